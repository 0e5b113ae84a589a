"""Many requests decoded at once: between two steps of the LM, requests join and leave its rows.

What a request yields does not depend on who decodes beside it: each has its own sampling, its own limit and its own
row. Prompts are read in pieces between the steps, and not at all as far as an earlier row has read the same. Knows no
threads and no queues; whoever serves calls `step` and hands the events on.

Shapes: R requests in a step, T positions, D LM width, V vocabulary.
"""

import time
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from fromage_model.chat.chooser import Chooser
from fromage_model.chat.pace import Pace, shares
from fromage_model.chat.prefix_cache import Counts, PrefixCache, content_of
from fromage_model.chat.writing import Writing
from fromage_model.errors import ConfigError, InvalidInput, PromptTooLong
from fromage_model.model.batching import embed_tokens
from fromage_model.model.core import FromageCore
from fromage_model.model.opening import Opening
from fromage_model.model.reading import opening_of
from fromage_model.prompts.messages import Event, RetrievalMode, Sampling
from fromage_model.prompts.segments import Prompt, token_count


@dataclass(frozen=True, eq=False)
class Request:
    """One reply to be decoded; what `Engine.add` gives and every event comes with.

    `opening` is what the prompt begins with, where the model keeps that; `begun`, what of the reply is there already.
    """

    prompt: Prompt = field(repr=False)
    retrieval: RetrievalMode
    sampling: Sampling
    prompt_tokens: int
    opening: Opening | None = field(default=None, repr=False)
    begun: tuple[int, ...] = ()


@dataclass(frozen=True)
class Load:
    """Who has no row yet, in the order in which they came; how many prompts are being read and replies written; and
    of how many replies the last step wrote a token.
    """

    waiting: tuple[Request, ...] = ()
    reading: int = 0
    writing: int = 0
    wrote: int = 0


@dataclass(eq=False)
class _Row:
    """A request that has a row of the LM's decoder. `content` is what stands at each position of its prompt after the
    opening and of its reply, and `read` says how much of that the LM has read.

    `unread`, (T, D), is what of its prompt is still to be read; `state`, (D,), what its next token is chosen from.
    `lead`, a scalar, are [RET]'s log-odds there by the model's decision: where a chat's reply begins, and nowhere else.
    """

    request: Request
    number: int
    content: list[Hashable]
    read: int
    unread: Tensor
    writing: Writing
    state: Tensor | None = None
    lead: Tensor | None = None


class Engine:
    """At most `slots` requests decode at once; others wait their turn, in the order in which they came."""

    def __init__(self, model: FromageCore, *, slots: int = 8, prefix_bytes: int = 0, pace: Pace | None = None):
        """`prefix_bytes`: most bytes of keys and values that are kept of rows that have left, for prompts that begin
        alike.
        """
        if slots < 1:
            raise ConfigError(f"slots is {slots}; expected 1 or more, for example 8")
        self._model = model
        self._slots = slots
        self._waiting: list[Request] = []
        self._reading: list[_Row] = []
        self._writing: list[_Row] = []
        self._wrote = 0
        self._decoder = model.lm.decoder(slots)
        self._prefixes = PrefixCache(prefix_bytes)
        self._pace = pace or Pace()
        tokens, device = model.tokens, model.lm.device
        self._chooser = Chooser(slots=slots, device=device, ret_id=tokens.ret_id, stop_ids=tokens.stop_ids)

    @torch.inference_mode()
    def warm(self) -> None:
        """Ahead of the first request prepare for steps of any size, which on a GPU takes a while."""
        opening = self._model.opening
        self._decoder.warm(None if opening is None else opening.kept)

    @property
    def prefix_counts(self) -> Counts:
        """Positions of prompts that had been read before, or had not; and the bytes that are kept for that."""
        return self._prefixes.counts

    @property
    def load(self) -> Load:
        """Who waits, and what is being done."""
        return Load(tuple(self._waiting), len(self._reading), len(self._writing), self._wrote)

    @property
    def cache_bytes(self) -> int:
        """Memory of the rows' keys and values."""
        return self._decoder.cache_bytes

    def add(
        self,
        prompt: Prompt,
        *,
        retrieval: RetrievalMode = "auto",
        sampling: Sampling | None = None,
        begun: Sequence[int] = (),
    ) -> Request:
        """Queue a request; the reply goes on as if the LM had written `begun`, ids that the prompt ends with, but for
        a [RET] that is not kept in context.

        Raises InvalidInput where there is nothing to continue, PromptTooLong when the prompt and
        the reply would not fit into the LM's positions, or into a row of its cache.
        """
        sampling = sampling or Sampling()
        count = token_count(prompt, visual_tokens=self._model.config.visual_tokens)
        if count == 0:
            raise InvalidInput("the prompt is empty; expected text or a picture")
        limit = min(self._model.lm.max_positions, self._decoder.max_positions or self._model.lm.max_positions)
        if count + sampling.max_new_tokens > limit:
            message = (
                f"the prompt has {count} tokens and the reply up to {sampling.max_new_tokens}; together at most {limit}"
            )
            raise PromptTooLong(message, field="messages")
        opening = opening_of(self._model, prompt)
        request = Request(prompt, retrieval, sampling, count, opening=opening, begun=tuple(begun))
        self._waiting.append(request)
        return request

    @property
    def busy(self) -> bool:
        """Whether a request waits or decodes."""
        return bool(self._waiting or self._reading or self._writing)

    @torch.inference_mode()
    def cancel(self, request: Request) -> None:
        """No more events of it; one that has finished, or is not ours, is left alone."""
        self._waiting = [other for other in self._waiting if other is not request]
        for row in (*self._reading, *self._writing):
            row.writing.finished = row.writing.finished or row.request is request
        self._drop_finished()

    def run(self) -> Iterator[tuple[Request, Event]]:
        """Steps until nobody waits or decodes; requests may be added meanwhile. Raises what a request fails with."""
        while self.busy:
            for request, event in self.step():
                if isinstance(event, Exception):
                    raise event
                yield request, event

    @torch.inference_mode()
    def step(self) -> list[tuple[Request, Event | Exception]]:
        """One token more for each request that is being written, and some more of the prompts that are not read yet.

        A request's last event is Finished, or the exception that ended it and it alone. A [RET] is chosen in one step
        and its Retrieval comes with the next, which reads it: the embedding is of the position that consumes [RET].
        """
        start_s = time.perf_counter()
        writing = bool(self._writing)
        events: list[tuple[Request, Event | Exception]] = [*self._read_chosen()]
        self._drop_finished()
        events += self._seat()
        count, failed = self._read_prompts(self._pace.positions(writing=writing))
        events += failed
        self._wrote = len(self._writing)
        if self._writing:
            logits = self._model.logits(torch.stack([row.state for row in self._writing if row.state is not None]))
            for place, row in enumerate(self._writing):
                if row.lead is not None:
                    logits[place, -1] = logits[place, :-1].logsumexp(dim=-1) + row.lead
                    row.lead = None
            chosen = self._chooser(logits)
            for row, token, scored in zip(self._writing, chosen, self._chooser.scores, strict=True):
                events += [(row.request, event) for event in row.writing.advance(token, scored)]
        self._drop_finished()
        self._pace.took(time.perf_counter() - start_s, positions=count, writing=writing)
        return events

    def _read_chosen(self) -> list[tuple[Request, Event]]:
        rows = self._writing
        if not rows:
            return []
        embeddings = embed_tokens(self._chooser.ids, lm=self._model.lm, ret=self._model.trained.ret)
        states = self._decoder.step(embeddings, [row.number for row in rows])
        events: list[tuple[Request, Event]] = []
        forgotten: list[int] = []
        for place, row in enumerate(rows):
            if row.writing.asked:
                at_ret = [layer[place] for layer in states.layers]
                embedding = self._model.retrieval_embedding(at_ret, row.writing.pictures).float().cpu().numpy()
                events += [(row.request, event) for event in row.writing.retrieved(embedding)]
                if not row.request.sampling.ret_in_context:
                    forgotten.append(row.number)
                    continue
            row.state = states.last[place]
            row.content.append(row.writing.chosen)
            row.read += 1
        if forgotten:
            self._decoder.forget_last(forgotten)
        return events

    def _seat(self) -> list[tuple[Request, Exception]]:
        """Who waits longest gets a free row -> who can't, and why."""
        failed: list[tuple[Request, Exception]] = []
        while self._waiting and len(self._reading) + len(self._writing) < self._slots:
            request = self._waiting.pop(0)
            try:
                self._reading.append(self._row_for(request))
            except Exception as error:
                failed.append((request, error))
        return failed

    def _row_for(self, request: Request) -> _Row:
        """Of what the prompt says after its opening, that which an earlier row has read is in the new row at once."""
        opening = request.opening
        opened = 0 if opening is None else len(opening.ids)
        content = content_of(request.prompt, visual_tokens=self._model.config.visual_tokens)[opened:]
        embeddings = self._model.embed_prompts([request.prompt]).embeddings[0, opened:]
        found = self._prefixes.find(content, behind=_before(request))
        number = self._decoder.join(None if opening is None else opening.kept)
        read = 0 if found is None else found.shape[3]
        if found is not None:
            try:
                self._decoder.load(number, found)
            except Exception:
                self._decoder.leave(number)
                raise
        self._prefixes.count(hits=opened + read, misses=len(content) - read)
        writing = Writing(
            self._model.tokens,
            request.prompt,
            prompt_tokens=request.prompt_tokens,
            sampling=request.sampling,
            begun=request.begun,
        )
        return _Row(request, number, content, read, embeddings[read:], writing)

    def _read_prompts(self, most: int) -> tuple[int, list[tuple[Request, Exception]]]:
        """Read at most so many positions -> how many they were, and who failed; who is read to the end can write."""
        given = shares(most, [len(row.unread) for row in self._reading]) if self._reading else []
        pieces = [(row, count) for row, count in zip(self._reading, given, strict=True) if count]
        if pieces:
            numbers = [row.number for row, _ in pieces]
            states = self._decoder.prefill_many(numbers, [row.unread[:count] for row, count in pieces])
            for place, (row, count) in enumerate(pieces):
                row.state = states.last[place]
                row.unread, row.read = row.unread[count:], row.read + count
                if not len(row.unread):
                    row.lead = self._lead(row.request, [layer[place] for layer in states.layers])
        failed: list[tuple[Request, Exception]] = []
        for row in [row for row in self._reading if not len(row.unread)]:
            try:
                asked = row.request
                after = self._model.tokens.encode(asked.sampling.after_ret or "")
                # After replies with products an LM begins others with a sign, for [RET], and goes on as if some came.
                unfit = [*after[:1], *self._model.tokens.signs] if after else []
                self._chooser.admit(
                    asked.sampling, asked.retrieval, begun=asked.begun, after_ret=after, no_beginning=unfit
                )
            except Exception as error:  # what no check of a request foresaw ends it, and nobody else
                row.writing.finished = True
                failed.append((row.request, error))
            else:
                self._reading.remove(row)
                self._writing.append(row)
        self._drop_finished()
        return sum(given), failed

    def _lead(self, request: Request, states: Sequence[Tensor]) -> Tensor | None:
        """What the decision says at a prompt's end; None where there is none, or no reply of a chat begins."""
        decision = self._model.trained.decision
        if decision is None or request.begun or request.sampling.max_tokens_before_ret != 0:
            return None
        return decision(decision.read(states))

    def _drop_finished(self) -> None:
        for row in (*self._reading, *self._writing):
            if row.writing.finished:
                self._leave(row)
        self._reading = [row for row in self._reading if not row.writing.finished]
        staying = [place for place, row in enumerate(self._writing) if not row.writing.finished]
        if len(staying) < len(self._writing):
            self._chooser.keep(staying)
            self._writing = [self._writing[place] for place in staying]

    def _leave(self, row: _Row) -> None:
        self._prefixes.keep(
            row.content[: row.read],
            behind=_before(row.request),
            export=lambda start, stop: self._decoder.export(row.number, start, stop),
        )
        self._decoder.leave(row.number)


def _before(request: Request) -> tuple[int, ...]:
    """What stands before the positions that are a row's own."""
    return () if request.opening is None else tuple(request.opening.ids)
