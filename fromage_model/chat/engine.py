"""Many requests decoded at once: between two steps of the LM, requests join and leave one KV cache.

What a request yields does not depend on who decodes beside it: each has its own sampling, its own limit and its own
row. Knows no threads and no queues; whoever serves calls `step` and hands the events on.

Shapes: R requests in a step, T positions, D LM width, V vocabulary.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from fromage_model.chat.chooser import Chooser
from fromage_model.errors import ConfigError, InvalidInput, PromptTooLong
from fromage_model.language.kv_cache import Layout, SlotCache
from fromage_model.language.model import States
from fromage_model.language.tokens import TextStream
from fromage_model.model.batching import embed_tokens
from fromage_model.model.core import FromageCore
from fromage_model.model.opening import Opening
from fromage_model.model.reading import opening_of
from fromage_model.prompts.messages import Event, Finished, Retrieval, RetrievalMode, Sampling, TextDelta
from fromage_model.prompts.segments import Prompt, open_pictures, token_count

PADDING_LIMIT = 1.5
"""Prompts that join together are read in one pass as long as that makes at most this many times their positions."""


@dataclass(frozen=True, eq=False)
class Request:
    """One reply to be decoded; what `Engine.add` gives and every event comes with.

    `opening` is what the prompt begins with, where the model keeps that.
    """

    prompt: Prompt = field(repr=False)
    retrieval: RetrievalMode
    sampling: Sampling
    prompt_tokens: int
    opening: Opening | None = field(default=None, repr=False)

    @property
    def unread(self) -> int:
        """Positions of the prompt after its opening."""
        return self.prompt_tokens - (0 if self.opening is None else len(self.opening.ids))


class Engine:
    """At most `slots` requests decode at once; others wait their turn, in the order in which they came."""

    def __init__(self, model: FromageCore, *, slots: int = 8):
        if slots < 1:
            raise ConfigError(f"slots is {slots}; expected 1 or more, for example 8")
        self._model = model
        self._slots = slots
        self._waiting: list[Request] = []
        self._rows: list[_Row] = []
        layers = model.lm.backbone.config.num_hidden_layers
        self._cache = SlotCache(layers=layers, slots=slots, device=model.lm.device)
        tokens, device = model.tokens, model.lm.device
        self._chooser = Chooser(slots=slots, device=device, ret_id=tokens.ret_id, stop_ids=tokens.stop_ids)

    def add(self, prompt: Prompt, *, retrieval: RetrievalMode = "auto", sampling: Sampling | None = None) -> Request:
        """Queue a request. Raises InvalidInput where there is nothing to continue, PromptTooLong when the prompt and
        the reply would not fit into the LM's positions.
        """
        sampling = sampling or Sampling()
        count = token_count(prompt, visual_tokens=self._model.config.visual_tokens)
        if count == 0:
            raise InvalidInput("the prompt is empty; expected text or a picture")
        limit = self._model.lm.max_positions
        if count + sampling.max_new_tokens > limit:
            message = (
                f"the prompt has {count} tokens and the reply up to {sampling.max_new_tokens}; together at most {limit}"
            )
            raise PromptTooLong(message, field="messages")
        request = Request(prompt, retrieval, sampling, count, opening=opening_of(self._model, prompt))
        self._waiting.append(request)
        return request

    @property
    def busy(self) -> bool:
        """Whether a request waits or decodes."""
        return bool(self._waiting or self._rows)

    @torch.inference_mode()
    def cancel(self, request: Request) -> None:
        """No more events of it; one that has finished, or is not ours, is left alone."""
        self._waiting = [other for other in self._waiting if other is not request]
        for row in self._rows:
            row.finished = row.finished or row.request is request
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
        """One token more for each request: read what was last chosen, let others join, choose -> what came of it.

        A request's last event is Finished, or the exception that ended it and it alone. A [RET] is chosen in one step
        and its Retrieval comes with the next, which reads it: the embedding is of the position that consumes [RET].
        """
        events: list[tuple[Request, Event | Exception]] = [*self._read_chosen()]
        self._drop_finished()
        events += self._let_join()
        if self._rows:
            logits = self._model.logits(torch.stack([row.state for row in self._rows]))
            for row, token in zip(self._rows, self._chooser(logits), strict=True):
                events += [(row.request, event) for event in row.advance(token)]
        self._drop_finished()
        return events

    def _read_chosen(self) -> list[tuple[Request, Event]]:
        if not self._rows:
            return []
        lm = self._model.lm
        ids = self._chooser.ids.unsqueeze(1)
        states = self._forward(embed_tokens(ids, lm=lm, ret=self._model.trained.ret), self._cache.extend())
        events: list[tuple[Request, Event]] = []
        for place, row in enumerate(self._rows):
            if not row.asked:
                row.state = states.last[place, -1]
                continue
            events += [(row.request, event) for event in row.retrieved(self._retrieval_embedding(row, states, place))]
            if row.request.sampling.ret_in_context:
                row.state = states.last[place, -1]
            else:
                self._cache.forget_last(place)
        return events

    def _retrieval_embedding(self, row: "_Row", states: States, place: int) -> np.ndarray:
        """(S,) float32 from the newest position of a row and from its pictures."""
        at_ret = [layer[place, -1] for layer in states.layers]
        return self._model.retrieval_embedding(at_ret, row.pictures).float().cpu().numpy()

    def _let_join(self) -> list[tuple[Request, Exception]]:
        """-> who can't, and why: what no check of a request foresaw ends it before it costs the others a pass."""
        requests = self._next_to_join()
        self._waiting = self._waiting[len(requests) :]
        failed: dict[Request, Exception] = {}
        for request in requests:
            try:
                self._chooser.admit(request.sampling, request.retrieval)
            except Exception as error:
                failed[request] = error
        joining = [request for request in requests if request not in failed]
        if joining:
            self._read_prompts(joining)
        return list(failed.items())

    def _read_prompts(self, requests: list[Request]) -> None:
        batch = self._model.embed_prompts([request.prompt for request in requests])
        opening = requests[0].opening
        lengths = [request.prompt_tokens for request in requests]
        layout = self._cache.admit(lengths, opening=() if opening is None else opening.layers)
        rows = torch.arange(len(requests), device=layout.positions.device)[:, None]
        states = self._forward(batch.embeddings[rows, layout.positions], layout)
        self._rows += [
            _Row(self._model, request, last[-1]) for request, last in zip(requests, states.last, strict=True)
        ]

    def _next_to_join(self) -> list[Request]:
        """Who waits longest, as many as there are free rows and prompts of like length that begin alike."""
        joining: list[Request] = []
        for request in self._waiting[: self._slots - len(self._rows)]:
            together = [*joining, request]
            counts = [other.unread for other in together]
            alike = request.opening is together[0].opening
            if not alike or max(counts) * len(counts) > PADDING_LIMIT * sum(counts):
                break
            joining.append(request)
        return joining

    def _forward(self, embeddings: Tensor, layout: Layout) -> States:
        return self._model.lm(embeddings, attention_mask=layout.mask, position_ids=layout.positions, cache=self._cache)

    def _drop_finished(self) -> None:
        staying = list(range(len(self._rows)))
        for place in reversed(range(len(self._rows))):
            if self._rows[place].finished:
                self._cache.leave(place)
                last = staying.pop()
                if place < len(staying):
                    staying[place] = last
        if len(staying) < len(self._rows):
            self._chooser.keep(staying)
            self._rows = [self._rows[place] for place in staying]


class _Row:
    """A request that decodes: `state`, (D,), is what its next token is chosen from, `chosen` what is to be read."""

    def __init__(self, model: FromageCore, request: Request, state: Tensor):
        tokens = model.tokens
        self.request = request
        self.state = state
        self.pictures = open_pictures(request.prompt, ret_id=tokens.ret_id)
        self.chosen = -1
        self.finished = False
        self._ret_id = tokens.ret_id
        self._stop_ids = tokens.stop_ids
        self._text: TextStream = tokens.stream()
        self._offset = 0
        self._written = 0

    @property
    def asked(self) -> bool:
        """Whether [RET] is what is to be read."""
        return self.chosen == self._ret_id

    def advance(self, token: int) -> Iterator[Event | Exception]:
        """What the next token gives; nothing for [RET], which has to be read first."""
        try:
            yield from self._advance(token)
        except Exception as error:  # of this request: the LM's pass, and with it everybody's cache, is whole
            self.finished = True
            yield error

    def _advance(self, token: int) -> Iterator[Event]:
        self.chosen = token
        self._written += 1
        if self.chosen in self._stop_ids:
            yield self._finish("stop")
            return
        if self.asked:
            return
        piece = self._text.push(self.chosen)
        self._offset += len(piece)
        if piece:
            yield TextDelta(piece)
        yield from self._finish_at_limit()

    def retrieved(self, embedding: np.ndarray) -> Iterator[Event]:
        """The [RET] that was chosen has been read."""
        yield Retrieval(embedding=embedding, offset=self._offset)
        yield from self._finish_at_limit()

    def _finish_at_limit(self) -> Iterator[Event]:
        if self._written == self.request.sampling.max_new_tokens:
            yield self._finish("length")

    def _finish(self, reason: Literal["stop", "length"]) -> Finished:
        self.finished = True
        return Finished(reason, self.request.prompt_tokens, self._written)
