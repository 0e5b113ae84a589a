"""The LM's tokenizer with one token more, [RET]. Knows nothing of embeddings or of who says what.

[RET] is never added to the tokenizer: its id is the first one past the tokenizer's own, so no text can spell it, and
special tokens that a user types (`<|im_start|>`, `</s>`) are encoded as the ordinary text that they are.
"""

import copy
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from tokenizers.decoders import DecodeStream

from fromage_model.errors import ConfigError, InvalidInput
from fromage_model.language.spelling import spelling_of
from fromage_model.storage.file_kinds import read_json

SIGNS = ".,;:!?)"
REMEMBERED, MOST_REMEMBERED = 256, 256
"""Texts whose ids are kept, and characters of the longest of them."""


class Tokens:
    """Text <-> token ids. `vocabulary` is the tokenizer's length, `ret_id` the id after it."""

    def __init__(self, tokenizer: Any, *, stop_ids: Sequence[int] = ()):
        # Whether special tokens are recognised is a switch inside the tokenizer, which threads would flip under each
        # other: so there is one for our templates and one for everything else.
        self._tokenizer = tokenizer
        self._ordinary = copy.deepcopy(tokenizer)
        self._encode = _remembering(self._ordinary, split_special_tokens=True)
        self._encode_template = _remembering(self._tokenizer, split_special_tokens=False)
        self.vocabulary = len(tokenizer)
        self.ret_id = self.vocabulary
        self.stop_id: int = tokenizer.eos_token_id
        self.stop_ids = frozenset(stop_ids) | {self.stop_id}
        self.bos_id: int | None = tokenizer.bos_token_id
        self.start_ids = tuple(_ids_before_text(tokenizer))
        self.chat_template: str | None = tokenizer.chat_template
        self.all_special_tokens: tuple[str, ...] = tuple(tokenizer.all_special_tokens)

    def encode(self, text: str) -> list[int]:
        """Ordinary text -> ids, among which no special token can be."""
        return list(self._encode(text) if len(text) <= MOST_REMEMBERED else self._encode.__wrapped__(text))

    def beginning(self, text: str, most: int) -> str:
        """The text, or as much of its beginning as `most` ids hold."""
        ids = self.encode(text)
        kept = most
        while len(ids) > most:
            # A beginning may take an id more than it takes within the whole.
            text, kept = text[: self._end_of(text, kept)], kept - 1
            ids = self.encode(text)
        return text

    def _end_of(self, text: str, count: int) -> int:
        """Where in a text the character begins that its first `count` ids leave out or hold in part."""
        encoded = self._ordinary(text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)
        return encoded["offset_mapping"][count][0] if count > 0 else 0

    def encode_template(self, text: str) -> list[int]:
        """Our own template's text -> ids, special tokens recognised. Never for a user's words."""
        return list(self._encode_template(text))

    def encode_turn(self, text: str, ret_offsets: Sequence[int] = ()) -> list[int]:
        """Ordinary text with [RET] put back at the given character positions -> ids."""
        ids: list[int] = []
        start = 0
        for offset in sorted(ret_offsets):
            stop = min(max(offset, start), len(text))
            ids += [*self.encode(text[start:stop]), self.ret_id]
            start = stop
        return ids + self.encode(text[start:])

    @cached_property
    def signs(self) -> tuple[int, ...]:
        """Ids of the signs that end a clause, with or without a blank before: no text begins with one."""
        texts = (blank + sign for sign in SIGNS for blank in ("", " "))
        return tuple(dict.fromkeys(ids[-1] for text in texts if (ids := self.encode(text))))

    def render_chat(self, turns: Sequence[dict[str, str]]) -> str:
        """The LM's own chat template over turns whose contents are placeholders, up to the assistant's first word.

        Raises InvalidInput where the template refuses them: LLaMA 2's wants user and assistant in turn, Gemma's no
        system message.
        """
        try:
            return self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        except TemplateError as error:
            raise InvalidInput(f"the LM's chat template refuses the messages: {error}", field="messages") from error

    def decode(self, ids: Sequence[int]) -> str:
        """Ids -> text, without [RET] and without special tokens."""
        kept = [token for token in ids if token != self.ret_id]
        return self._tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def stream(self, begun: Sequence[int] = ()) -> "TextStream":
        """What follows `begun`, a text's first ids, as text."""
        stream = TextStream(self._tokenizer)
        for token in begun:
            stream.push(token)
        return stream

    def spelled(self, token: int) -> tuple[str, bytes | None]:
        """How one id reads by itself, U+FFFD for part of a character, and the bytes that it writes within a text; of a
        special token its name, and None.
        """
        data = self._spelling(token)
        return (
            (self._tokenizer.convert_ids_to_tokens(token), None)
            if data is None
            else (data.decode(errors="replace"), data)
        )

    @cached_property
    def _spelling(self) -> Callable[[int], bytes | None]:
        return spelling_of(self._tokenizer)


class TextStream:
    """Ids one at a time -> text as soon as its characters are whole; special tokens give nothing."""

    def __init__(self, tokenizer: Any):
        self._backend = tokenizer.backend_tokenizer
        self._stream = DecodeStream(skip_special_tokens=True)

    def push(self, token: int) -> str:
        return self._stream.step(self._backend, token) or ""


def load_tokens(folder: Path) -> Tokens:
    """The tokenizer of a folder as `save_pretrained` writes it; no code of the folder's is run.

    A text ends at the tokenizer's end token and at those of `generation_config.json`: LLaMA 3 has several. Raises
    ConfigError where that file can't be read.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    return Tokens(tokenizer, stop_ids=_generation_stop_ids(folder / "generation_config.json"))


def _generation_stop_ids(path: Path) -> list[int]:
    if not path.is_file():
        return []
    try:
        stops = read_json(path).get("eos_token_id")
    except (ValueError, AttributeError) as error:
        raise ConfigError(f"{path} can't be read as generation_config.json: {error}") from error
    return [stop for stop in (stops if isinstance(stops, list) else [stops]) if isinstance(stop, int)]


def _remembering(tokenizer: Any, *, split_special_tokens: bool) -> Any:
    """Text -> ids, of the latest texts without the tokenizer: every chat begins with the same ones."""
    return lru_cache(REMEMBERED)(lambda text: _ids(tokenizer, text, split_special_tokens=split_special_tokens))


def _ids(tokenizer: Any, text: str, *, split_special_tokens: bool) -> list[int]:
    if not text:
        return []
    return list(tokenizer(text, add_special_tokens=False, split_special_tokens=split_special_tokens)["input_ids"])


def _ids_before_text(tokenizer: Any) -> list[int]:
    """What the tokenizer puts before a text on its own account: BOS for OPT and LLaMA, nothing for SmolLM2."""
    plain = tokenizer("a", add_special_tokens=False)["input_ids"]
    full = tokenizer("a", add_special_tokens=True)["input_ids"]
    for start in range(len(full) - len(plain) + 1):
        if full[start : start + len(plain)] == plain:
            return list(full[:start])
    return []
