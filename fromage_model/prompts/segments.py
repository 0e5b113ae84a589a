"""An interleaved list of text and pictures -> what the LM reads. Knows templates and order, not how text is decoded.

A prompt is a list of segments: token ids, or one picture's features. Only this module and our own templates decide
where special tokens stand; what a user typed arrives as ordinary text.

Shapes: F feature width.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
import torch
from torch import Tensor

from fromage_model.errors import InvalidInput
from fromage_model.language.tokens import Tokens
from fromage_model.prompts.messages import Message

_MARK = "\ue000{}\ue001"
_MARK_PATTERN = re.compile("\ue000(\\d+)\ue001")


@dataclass(frozen=True)
class Picture:
    """One picture of a prompt: features (F,) float32; pixels (3, H, W) where the encoder is trained (FROZEN)."""

    features: Tensor


Segment = list[int] | Picture
Prompt = list[Segment]


def raw_prompt(parts: Sequence[object], tokens: Tokens) -> Prompt:
    """Text and pictures' features in order, after the tokenizer's own start token (FROMAGe section 4).

    Raises InvalidInput on a part that is neither text nor features (F,), numpy or torch.
    """
    return [list(tokens.start_ids), *(_segment(part, tokens) for part in parts)]


def chat_prompt(
    messages: Sequence[Message],
    tokens: Tokens,
    *,
    system_prompt: str,
    examples: Sequence[tuple[str, str]] = (),
) -> Prompt:
    """A conversation, in the LM's chat template where it has one and as `Q: ... A:` lines where not.

    `system_prompt` stands before one that brings none of its own; `examples`, messages and their replies, come next as
    turns of their own. System messages side by side are one; one that comes later stays in its place where the template
    shows it there, and goes to the first where not. Each picture's features must already stand in the parts. Raises
    InvalidInput on an empty conversation.
    """
    if not messages:
        raise InvalidInput("expected at least one message", field="messages")
    if system_prompt and messages[0].role != "system":
        messages = [Message("system", [system_prompt]), *messages]
    messages = _joined_system(messages)
    first = 1 if messages[0].role == "system" else 0
    messages, rendered = _framed([*messages[:first], *_turns_of(examples), *messages[first:]], tokens)
    prompt: Prompt = [] if tokens.chat_template else [list(tokens.start_ids)]
    for index, piece in enumerate(_MARK_PATTERN.split(rendered)):
        if index % 2:
            prompt += _turn(messages[int(piece)], tokens)
        else:
            prompt.append(tokens.encode_template(piece))
    return prompt


def begun_reply(message: Message, tokens: Tokens) -> list[int]:
    """The beginning of a reply, text alone, as the LM would have written it behind `chat_prompt` -> ids.

    After the `A:` of an LM without a chat template that is with a space before it.
    """
    text, offsets = message.text, message.ret_offsets
    if text and not tokens.chat_template and not text[0].isspace():
        text, offsets = f" {text}", [offset and offset + 1 for offset in offsets]
    return tokens.encode_turn(text, offsets)


def chat_opening(tokens: Tokens, *, system_prompt: str, examples: Sequence[tuple[str, str]] = ()) -> list[int]:
    """The token ids with which every conversation begins that brings no system prompt of its own."""
    one, other = (
        token_ids(chat_prompt([Message("user", [text])], tokens, system_prompt=system_prompt, examples=examples))
        for text in ("a", "b")
    )
    return [token for token, _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))]


def after_opening(prompt: Prompt, opening: Sequence[int]) -> Prompt | None:
    """What follows in a prompt that begins with these ids; None for one that does not, or ends with them."""
    rest, left = list(prompt), list(opening)
    while left:
        if not rest or not isinstance(segment := rest[0], list):
            return None
        shared = min(len(segment), len(left))
        if segment[:shared] != left[:shared]:
            return None
        left = left[shared:]
        rest[:1] = [segment[shared:]] if len(segment) > shared else []
    return rest or None


def caption_text(caption: str, *, prompt: str) -> str:
    """A caption as training puts it before [RET]: after the caption prompt, and ended by a full stop."""
    return f"{prompt} {caption.strip().rstrip('.')}.".lstrip()


def item_texts(caption: str, words: Sequence[str], *, prompt: str) -> list[str]:
    """What an item is read by to be found: its caption and, if it has words that the caption lacks, both together."""
    told = caption.casefold()
    more = [word for word in words if word.casefold() not in told]
    together = [", ".join([caption.strip().rstrip("."), *more])] if more else []
    return [caption_text(text, prompt=prompt) for text in (caption, *together)]


def open_pictures(prompt: Prompt, *, ret_id: int) -> list[Picture]:
    """The pictures that no [RET] has answered yet: those after the prompt's last one."""
    found: list[Picture] = []
    for segment in prompt:
        if isinstance(segment, Picture):
            found.append(segment)
        elif ret_id in segment:
            found = []
    return found


def token_count(prompt: Prompt, *, visual_tokens: int) -> int:
    """LM positions that the prompt takes."""
    return sum(visual_tokens if isinstance(segment, Picture) else len(segment) for segment in prompt)


def token_ids(prompt: Prompt) -> list[int]:
    """The ids of a prompt without pictures. Raises InvalidInput where it holds one."""
    if any(isinstance(segment, Picture) for segment in prompt):
        raise InvalidInput("expected a prompt of text alone, got a picture")
    return [token for segment in prompt if isinstance(segment, list) for token in segment]


def _turns_of(examples: Sequence[tuple[str, str]]) -> list[Message]:
    return [turn for message, reply in examples for turn in (Message("user", [message]), Message("assistant", [reply]))]


def _framed(messages: Sequence[Message], tokens: Tokens) -> tuple[Sequence[Message], str]:
    """The messages, those of the system in front where the template wants them there, and what it makes of them."""
    try:
        rendered = _render(messages, tokens)
        if len(_MARK_PATTERN.findall(rendered)) == len(messages):
            return messages, rendered
    except InvalidInput:
        if not any(message.role == "system" for message in messages[1:]):
            raise
    moved = _joined_system(sorted(messages, key=lambda message: message.role != "system"))
    return moved, _render(moved, tokens)


def _joined_system(messages: Sequence[Message]) -> list[Message]:
    """System messages side by side made one, an empty line between their texts."""
    joined: list[Message] = []
    for message in messages:
        if joined and joined[-1].role == message.role == "system":
            joined[-1] = Message("system", [*joined[-1].parts, "\n\n", *message.parts])
        else:
            joined.append(message)
    return joined


def _render(messages: Sequence[Message], tokens: Tokens) -> str:
    marks = [_MARK.format(index) for index in range(len(messages))]
    if tokens.chat_template:
        return tokens.render_chat(
            [{"role": message.role, "content": mark} for message, mark in zip(messages, marks, strict=True)]
        )
    names = {"system": "", "user": "Q: ", "assistant": "A: "}
    lines = [names[message.role] + mark for message, mark in zip(messages, marks, strict=True)]
    return "\n".join([*lines, "A:"])


def _turn(message: Message, tokens: Tokens) -> Prompt:
    """A turn's parts in order, [RET] put back at its positions in the turn's joined text."""
    segments: Prompt = []
    start = 0
    last = max((index for index, part in enumerate(message.parts) if isinstance(part, str)), default=None)
    for index, part in enumerate(message.parts):
        if not isinstance(part, str):
            segments.append(_segment(part, tokens))
            continue
        stop = start + len(part)
        here = [
            offset - start
            for offset in message.ret_offsets
            if start <= offset < stop or (index == last and offset >= stop)
        ]
        segments.append(tokens.encode_turn(part, here))
        start = stop
    if last is None and message.ret_offsets:
        segments.append([tokens.ret_id] * len(message.ret_offsets))
    return segments


def _segment(part: object, tokens: Tokens) -> Segment:
    if isinstance(part, str):
        return tokens.encode(part)
    if isinstance(part, np.ndarray):
        part = torch.from_numpy(np.ascontiguousarray(part, dtype=np.float32))
    if isinstance(part, Tensor) and part.ndim == 1:
        return Picture(part)
    raise InvalidInput(f"a prompt's part must be text or a picture's features (F,), got {type(part).__name__}")
