"""What every side is asked to write, and how a rate is read off what was written. Knows none of the sides."""

from collections.abc import Sequence
from dataclasses import dataclass

from fromage_model.chat.reply import next_turn
from fromage_model.model.core import FromageCore
from fromage_model.prompts.messages import Message, Sampling
from fromage_model.prompts.segments import Prompt

PROMPT_TOKENS = 349
WISH = "Write an essay of many pages about the history of clothes and of shoes"
"""With what all chats of the bundle `openmoji` begin with it makes `PROMPT_TOKENS`, and its replies are long."""


@dataclass(frozen=True)
class Span:
    """One reply as its reader saw it: when it was asked for, began and ended, in seconds on one clock."""

    asked_s: float
    first_s: float
    last_s: float
    tokens: int


def decode_rate(spans: Sequence[Span]) -> float:
    """Tokens per second after the first of each reply, all replies together: reading the prompt is left out."""
    return sum((span.tokens - 1) / (span.last_s - span.first_s) for span in spans)


def whole_rate(spans: Sequence[Span]) -> float:
    """Tokens per second from asking to the last token of the last reply: reading the prompts is part of it."""
    took_s = max(span.last_s for span in spans) - min(span.asked_s for span in spans)
    return sum(span.tokens for span in spans) / took_s


def sampling(*, seed: int, new_tokens: int) -> Sampling:
    """How a reply is drawn on every side that is ours."""
    return Sampling(ret_in_context=False, max_new_tokens=new_tokens, temperature=1.0, seed=seed)


def prompt_of(model: FromageCore, wish: str) -> Prompt:
    return next_turn(model, [Message("user", [wish])], sampling=Sampling()).prompt
