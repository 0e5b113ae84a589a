"""A conversation as one text that its client keeps: nothing of it stays on the server, so any replica goes on with it.

Whoever changes it changes what they themselves said: a chat's messages come from its client just the same.
"""

import base64
import binascii
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fromage_model.errors import InvalidInput

MOST_BYTES = 64 * 1024
MOST_REMEMBERED_CHARS = 6000
MOST_TURNS = 16


@dataclass(frozen=True)
class Exchange:
    """A message, the reply to it, and the products in that: ids with their positions, in characters."""

    text: str
    reply: str
    products: tuple[tuple[str, int], ...] = ()

    def as_messages(self) -> list[dict[str, Any]]:
        shown = [{"id": id, "offset": offset} for id, offset in self.products]
        reply = {"role": "assistant", "content": self.reply, "products": shown}
        return [{"role": "user", "content": self.text}, reply]


def packed(exchanges: Sequence[Exchange], *, most_chars: int = MOST_BYTES) -> str:
    """The last of them, as many as an LM still reads in a moment and `most_chars` hold, in letters of a cookie."""
    kept = list(exchanges)[-MOST_TURNS:]
    while kept:
        values = [[one.text, one.reply, [list(shown) for shown in one.products]] for one in kept]
        text = base64.urlsafe_b64encode(zlib.compress(json.dumps(values).encode())).decode()
        if sum(len(one.text) + len(one.reply) for one in kept) <= MOST_REMEMBERED_CHARS and len(text) <= most_chars:
            return text
        kept = kept[1:]
    return ""


def unpacked(text: str) -> list[Exchange]:
    """Raises InvalidInput for what `packed` did not give."""
    if not text:
        return []
    try:
        reader = zlib.decompressobj()
        data = reader.decompress(base64.b64decode(text.encode(), altchars=b"-_", validate=True), MOST_BYTES)
        if not reader.eof:
            raise ValueError("it goes on")
        return [
            Exchange(str(said), str(reply), tuple((str(id), int(offset)) for id, offset in products))
            for said, reply, products in json.loads(data)
        ]
    except (ValueError, TypeError, binascii.Error, zlib.error, RecursionError) as error:
        problem = 'the conversation can\'t be read; send what the last answer had in this field, or "" to begin anew'
        raise InvalidInput(problem, field="conversation") from error
