"""What goes into a chat and what comes out of it: plain values, without tokens, tensors on devices, or HTTP.

Shapes: F feature width, S shared width.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Literal

import numpy as np
from PIL import Image

from fromage_model.errors import InvalidInput

Role = Literal["system", "user", "assistant"]
RetrievalMode = Literal["auto", "always", "never"]
Part = str | Image.Image | np.ndarray
MOST_LOGPROBS = 20
"""Likeliest tokens that can be told beside the one that was written."""


@dataclass(frozen=True)
class Message:
    """One turn. A part is text, a picture (PIL), or a picture's features, (F,) float32.

    `ret_offsets` are the character positions, in the turn's joined text, at which `[RET]` stood: an assistant's turn
    that showed products is put before the LM as the LM wrote it.
    """

    role: Role
    parts: Sequence[Part]
    ret_offsets: Sequence[int] = ()

    @property
    def text(self) -> str:
        return "".join(part for part in self.parts if isinstance(part, str))


@dataclass(frozen=True)
class Sampling:
    """How the reply is decoded.

    `ret_in_context`: whether the text after a [RET] reads it, as in the original. Without it the text goes on from the
    state before [RET], as the frozen LM by itself would; what a short training makes of [RET] can't derail it.
    `max_tokens_before_ret`: how many tokens of text may stand before a [RET]; None for any number, in a chat for what
    the model's config says; 0 where the LM must ask at once or not at all.
    `after_ret`: the text with which a reply goes on that begins with [RET], and whose first token begins no other, as
    no sign does; None for none, in a chat for what the model's config says.
    `ret_scale_factor`: what [RET]'s logit is multiplied by, as in the original; None for 1, or in a chat for what the
    model's config says of when to show products.
    `ret_log_odds`: the least log-odds of [RET] against all other tokens at which it is written, and below which it is
    not, whatever the temperature; None where it is chosen like any token.
    `repetition_penalty` divides the logits of what was written, once (CTRL); `presence_penalty` is taken from them
    once, `frequency_penalty` once for each time. [RET] is among none of them.
    `stop`: texts before the first of which the reply ends.
    `top_logprobs`: with each token of text its log-probability and those of so many of the likeliest; None for none.
    """

    max_new_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 1.0
    ret_scale_factor: float | None = None
    ret_log_odds: float | None = None
    min_tokens_before_ret: int = 0
    max_tokens_before_ret: int | None = None
    max_rets: int = 1
    after_ret: str | None = None
    ret_in_context: bool = True
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    stop: Sequence[str] = ()
    top_logprobs: int | None = None
    seed: int | None = None

    def __post_init__(self):
        object.__setattr__(self, "stop", (self.stop,) if isinstance(self.stop, str) else tuple(self.stop))
        checks = (
            ("max_new_tokens", self.max_new_tokens >= 1, "at least 1"),
            ("temperature", 0 <= self.temperature <= 2, "between 0 (greedy) and 2"),
            ("top_p", 0 < self.top_p <= 1, "above 0 and at most 1"),
            ("ret_scale_factor", self.ret_scale_factor is None or self.ret_scale_factor >= 0, "0 or more, or None"),
            (
                "ret_log_odds",
                self.ret_log_odds is None or (isfinite(self.ret_log_odds) and self.ret_scale_factor is None),
                "a number, without a ret_scale_factor, or None",
            ),
            ("min_tokens_before_ret", self.min_tokens_before_ret >= 0, "0 or more"),
            (
                "max_tokens_before_ret",
                self.max_tokens_before_ret is None or self.max_tokens_before_ret >= self.min_tokens_before_ret,
                f"at least min_tokens_before_ret, {self.min_tokens_before_ret}",
            ),
            ("max_rets", self.max_rets >= 0, "0 or more"),
            ("repetition_penalty", 0 < self.repetition_penalty <= 2, "above 0 and at most 2"),
            ("presence_penalty", -2 <= self.presence_penalty <= 2, "between -2 and 2"),
            ("frequency_penalty", -2 <= self.frequency_penalty <= 2, "between -2 and 2"),
            ("stop", all(isinstance(text, str) and text for text in self.stop), "texts, none of them empty"),
            ("top_logprobs", self.top_logprobs in (None, *range(MOST_LOGPROBS + 1)), f"0 to {MOST_LOGPROBS}, or None"),
        )
        for name, valid, wanted in checks:
            if not valid:
                raise InvalidInput(f"{name} is {getattr(self, name)}; it must be {wanted}", field=name)


@dataclass(frozen=True)
class TokenScore:
    """A token of the LM's own vocabulary and its log-probability there, as the LM had it: before temperature, top_p,
    penalties and the rules of [RET], which has no share in it.

    `text`: what it reads as, with U+FFFD for part of a character; `data`: its bytes, None for a special token. `top`:
    the likeliest in its place, best first.
    """

    text: str
    data: bytes | None
    logprob: float
    top: tuple["TokenScore", ...] = ()


@dataclass(frozen=True)
class TextDelta:
    """The next piece of the reply's text, whole characters only, never a special token.

    `tokens`: where log-probabilities are asked for, those whose text begins in it.
    """

    text: str
    tokens: tuple[TokenScore, ...] = ()


@dataclass(frozen=True)
class Retrieval:
    """The LM asked for products here: a unit vector (S,) float32, and the position in the reply's text so far."""

    embedding: np.ndarray = field(repr=False)
    offset: int


@dataclass(frozen=True)
class Finished:
    """The reply is complete. `reason` is "stop" (the LM, or a text of `Sampling.stop`, ended it) or "length" (the token
    limit did). `completion_tokens` are all that were written, those that were cut off too.
    """

    reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int


Event = TextDelta | Retrieval | Finished
