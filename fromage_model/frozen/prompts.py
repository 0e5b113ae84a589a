"""Few-shot prompts: text and pictures in order -> the interleaved prompt of `prompts.segments`.

A FROZEN prompt's pictures are pixels, (3, H, W): its encoder is trained, so features can't be kept. Knows no model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image
from torch import Tensor

from fromage_model.errors import InvalidInput
from fromage_model.language.tokens import Tokens
from fromage_model.prompts.segments import Picture, Prompt

PromptPart = str | Image.Image | Tensor


@dataclass(frozen=True)
class Demonstration:
    """One solved example: a picture (RGB, or pixels (3, H, W)) and the text that belongs to it."""

    image: Image.Image | Tensor
    text: str


def few_shot_parts(
    query: Sequence[PromptPart],
    demonstrations: Sequence[Demonstration] = (),
    *,
    task_induction: str = "",
    repeats: int = 1,
) -> list[PromptPart]:
    """Task induction, the demonstrations, then the query: what a few-shot prompt says (section 4.2 and figure 3).

    `repeats` gives the demonstrations that many times, each time all of them in their order. Nothing is put between
    the parts: a space or line break belongs to the texts. Raises InvalidInput on an empty query or no repeat.
    """
    if not query:
        raise InvalidInput("expected a query: a picture, a text or both", field="query")
    if repeats < 1:
        raise InvalidInput(f"repeats is {repeats}; expected 1 or more", field="repeats")
    shots: list[PromptPart] = [part for shot in demonstrations for part in (shot.image, shot.text)]
    return [*([task_induction] if task_induction else []), *shots * repeats, *query]


def frozen_prompt(parts: Sequence[str | Picture], tokens: Tokens) -> Prompt:
    """Text and pictures in order -> a prompt, the tokenizer's start token (if it has one) before its first text.

    So a picture and a text are prefix, start token, text, as in training. An empty text is a place for the start token;
    without any text it comes last.
    """
    prompt: Prompt = []
    start = list(tokens.start_ids)
    for part in parts:
        if isinstance(part, Picture):
            prompt.append(part)
        else:
            prompt.append(start + tokens.encode(part))
            start = []
    return [*prompt, start] if start else prompt
