"""A prompt laid out as the original FROMAGe does it, with [RET] among its parts. Knows no model.

In the original a [RET] of the prompt is written in its text; here the caller's text is ordinary text unless it is said
to be the caller's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fromage_model.language.tokens import Tokens
from fromage_model.prompts.messages import Part
from fromage_model.prompts.segments import Prompt, raw_prompt

RET_TEXT = "[RET]"


@dataclass(frozen=True)
class RetMark:
    """The one value of this class, `RET`, stands for the token [RET] among a prompt's parts."""


RET: Final = RetMark()


def original_prompt(parts: Sequence[Part | RetMark], tokens: Tokens, *, ret_in_text: bool = False) -> Prompt:
    """Parts in order, the tokenizer's own start token before the first text and not before a picture.

    Each part is tokenized by itself. Raises InvalidInput on a part of another kind.
    """
    prompt: Prompt = []
    started = False
    for part in parts:
        if not started and isinstance(part, str | RetMark):
            prompt.append(list(tokens.start_ids))
            started = True
        if isinstance(part, RetMark):
            prompt.append([tokens.ret_id])
        elif isinstance(part, str) and ret_in_text:
            prompt.append(_with_rets(part, tokens))
        else:
            prompt += raw_prompt([part], tokens)[1:]
    return prompt


def _with_rets(text: str, tokens: Tokens) -> list[int]:
    pieces = [tokens.encode(piece) for piece in text.split(RET_TEXT)]
    return pieces[0] + [token for piece in pieces[1:] for token in (tokens.ret_id, *piece)]
