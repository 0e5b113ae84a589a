"""The bytes that a tokenizer's ids write. Knows the two ways in which the names of tokens spell bytes."""

import json
import re
from collections.abc import Callable
from typing import Any

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


def spelling_of(tokenizer: Any) -> Callable[[int], bytes | None]:
    """Id -> the bytes that it writes within a text, perhaps part of a character; None for a special token.

    Names are either of characters that each stand for a byte (GPT-2, OPT, SmolLM2, LLaMA 3), or text with `▁` for a
    space and `<0x0A>` for a byte (sentencepiece: LLaMA 1 and 2, Mistral, Gemma).
    """
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    added = {id: str(token) for id, token in tokenizer.added_tokens_decoder.items()}
    special = {id for id, token in tokenizer.added_tokens_decoder.items() if token.special}
    by_bytes = "ByteLevel" in json.dumps(json.loads(tokenizer.backend_tokenizer.to_str())["decoder"])
    bytes_of = {character: byte for byte, character in bytes_to_unicode().items()}

    def spelled(token: int) -> bytes | None:
        if token in special:
            return None
        if token in added:
            return added[token].encode()
        name = tokenizer.convert_ids_to_tokens(token)
        if by_bytes:
            return bytes(bytes_of[character] for character in name)
        if byte := _BYTE.fullmatch(name):
            return bytes([int(byte[1], 16)])
        return name.replace("▁", " ").encode()

    return spelled
