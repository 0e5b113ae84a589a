"""One reply as its tokens come: text, the products that it asks for, and its end. Knows no LM and no other replies."""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from fromage_model.language.tokens import TextStream, Tokens
from fromage_model.prompts.messages import Event, Finished, Retrieval, TextDelta
from fromage_model.prompts.segments import Prompt, open_pictures


class Writing:
    """`chosen` is the token that was chosen last; `pictures` are those that a [RET] answers."""

    def __init__(self, tokens: Tokens, prompt: Prompt, *, prompt_tokens: int, max_new_tokens: int):
        self.pictures = open_pictures(prompt, ret_id=tokens.ret_id)
        self.chosen = -1
        self.finished = False
        self._prompt_tokens = prompt_tokens
        self._max_new_tokens = max_new_tokens
        self._ret_id = tokens.ret_id
        self._stop_ids = tokens.stop_ids
        self._text: TextStream = tokens.stream()
        self._offset = 0
        self._written = 0

    @property
    def asked(self) -> bool:
        """Whether [RET] is what was chosen."""
        return self.chosen == self._ret_id

    def advance(self, token: int) -> Iterator[Event | Exception]:
        """What the next token gives; nothing for [RET], which has to be read first."""
        try:
            yield from self._advance(token)
        except Exception as error:  # of this reply: the LM's pass, and with it everybody's cache, is whole
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
        """The [RET] that was chosen has been read; `embedding` is (S,) float32."""
        yield Retrieval(embedding=embedding, offset=self._offset)
        yield from self._finish_at_limit()

    def _finish_at_limit(self) -> Iterator[Event]:
        if self._written == self._max_new_tokens:
            yield self._finish("length")

    def _finish(self, reason: Literal["stop", "length"]) -> Finished:
        self.finished = True
        return Finished(reason, self._prompt_tokens, self._written)
