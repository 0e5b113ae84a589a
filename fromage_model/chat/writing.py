"""One reply as its tokens come: text, the products that it asks for, and its end. Knows no LM and no other replies."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from fromage_model.chat.logprobs import Scored
from fromage_model.chat.stops import Stops
from fromage_model.language.tokens import TextStream, Tokens
from fromage_model.prompts.messages import Event, Finished, Retrieval, Sampling, TextDelta, TokenScore
from fromage_model.prompts.segments import Prompt, open_pictures


class Writing:
    """`chosen` is the token that was chosen last; `pictures` are those that a [RET] answers.

    `begun`: ids of the reply that stand in the prompt already. Offsets count what is written here alone.
    """

    def __init__(
        self, tokens: Tokens, prompt: Prompt, *, prompt_tokens: int, sampling: Sampling, begun: Sequence[int] = ()
    ):
        self.pictures = open_pictures(prompt, ret_id=tokens.ret_id)
        self.chosen = -1
        self.finished = False
        self._prompt_tokens = prompt_tokens
        self._max_new_tokens = sampling.max_new_tokens
        self._tokens = tokens
        self._text: TextStream = tokens.stream([token for token in begun if token != tokens.ret_id])
        self._stops = Stops(sampling.stop)
        self._offset = 0
        self._written = 0
        self._whole = True
        self._scores: list[tuple[int, TokenScore]] = []
        self._asked: list[Retrieval] = []

    @property
    def asked(self) -> bool:
        """Whether [RET] is what was chosen."""
        return self.chosen == self._tokens.ret_id

    def advance(self, token: int, scored: Scored | None = None) -> Iterator[Event | Exception]:
        """What the next token gives; nothing for [RET], which has to be read first."""
        try:
            yield from self._advance(token, scored)
        except Exception as error:  # of this reply: the LM's pass, and with it everybody's cache, is whole
            self.finished = True
            yield error

    def _advance(self, token: int, scored: Scored | None) -> Iterator[Event]:
        self.chosen = token
        self._written += 1
        if self.chosen in self._tokens.stop_ids:
            yield from self._finish("stop")
            return
        if self.asked:
            return
        piece = self._text.push(self.chosen)
        if scored is not None:
            self._score(piece, scored)
        yield from self._show(self._stops.push(piece))
        if self._stops.stopped:
            yield self._finished("stop")
            return
        yield from self._finish_at_limit()

    def retrieved(self, embedding: np.ndarray) -> Iterator[Event]:
        """The [RET] that was chosen has been read; `embedding` is (S,) float32.

        Where text before it waits, because it may belong to a stop, so do the products.
        """
        self._asked.append(Retrieval(embedding=embedding, offset=self._offset + self._stops.held))
        yield from self._show("")
        yield from self._finish_at_limit()

    def _score(self, piece: str, scored: Scored) -> None:
        """A token that came as whole characters reads as they do: at a text's beginning some write no space."""
        text, data = self._tokens.spelled(self.chosen)
        if data is None:
            return
        own = (piece, piece.encode()) if piece and self._whole else (text, data)
        top = tuple(TokenScore(*self._tokens.spelled(id), logprob) for id, logprob in scored.top)
        self._whole = piece != ""
        self._scores.append((self._offset + self._stops.held, TokenScore(*own, scored.logprob, top)))

    def _show(self, text: str) -> Iterator[Event]:
        """Text that stays, and between its characters the products that wait for them."""
        end = self._offset + len(text)
        while self._asked and self._asked[0].offset <= end:
            retrieval = self._asked.pop(0)
            before = retrieval.offset - self._offset
            yield from self._delta(text[:before])
            yield retrieval
            text = text[before:]
        yield from self._delta(text)

    def _delta(self, text: str) -> Iterator[Event]:
        if text:
            self._offset += len(text)
            begun = [score for start, score in self._scores if start < self._offset]
            self._scores = self._scores[len(begun) :]
            yield TextDelta(text, tuple(begun))

    def _finish_at_limit(self) -> Iterator[Event]:
        if self._written == self._max_new_tokens:
            yield from self._finish("length")

    def _finish(self, reason: Literal["stop", "length"]) -> Iterator[Event]:
        yield from self._show(self._stops.rest())
        yield self._finished(reason)

    def _finished(self, reason: Literal["stop", "length"]) -> Finished:
        self.finished = True
        return Finished(reason, self._prompt_tokens, self._written)
