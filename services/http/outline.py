"""How much JSON a body holds, told without reading it, so that one that is all structure costs next to nothing.

To read a text of a megabyte is quick; to read a million empty lists takes seconds, in which nobody else is served. Here
a body is walked from text to text, and what stands between them is counted. What is no JSON is for the parser to say.
"""

import re

from fromage_model.errors import InvalidInput

MOST_PIECES = 50_000
"""Texts, lists, objects and commas of one body. Sixty-four messages that each showed ten products have 20,000."""
MOST_DEPTH = 32
MOST_BETWEEN_BYTES = 1024 * 1024
"""Numbers, blanks and brackets, all that is no text."""
MOST_QUOTED_BYTES = 1024 * 1024
"""A text that holds quotation marks. One of a picture's bytes holds none, and is found to end without a look at it."""

BACKSLASH = ord("\\")
REST_OF_TEXT = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)


def check_outline(body: bytes) -> None:
    """Raises InvalidInput where `body` is more than any request needs, or nested deeper."""
    pieces = depth = between = at = 0
    while True:
        opening = body.find(b'"', at)
        end = len(body) if opening < 0 else opening
        between += end - at
        if between > MOST_BETWEEN_BYTES:
            raise InvalidInput(f"the body has over {MOST_BETWEEN_BYTES:,} bytes of numbers and blanks; send fewer")
        opened = body.count(b"{", at, end) + body.count(b"[", at, end)
        pieces += 1 + opened + body.count(b",", at, end)
        depth += opened
        if pieces > MOST_PIECES:
            raise InvalidInput(f"the body has over {MOST_PIECES:,} values; send fewer messages, or shorter lists")
        if depth > MOST_DEPTH:
            told = f"the body is nested too deep: at most {MOST_DEPTH} lists and objects in each other, or in a row"
            raise InvalidInput(told)
        if opening < 0:
            return
        depth -= body.count(b"}", at, end) + body.count(b"]", at, end)
        at = _behind_text(body, opening + 1)


def _behind_text(body: bytes, start: int) -> int:
    """Where the text that begins at `start` is over; the end of a body that ends in the middle of it."""
    end = body.find(b'"', start)
    if end < 0:
        return len(body)
    if end == start or body[end - 1] != BACKSLASH:
        return end + 1
    if found := REST_OF_TEXT.match(body, start, start + MOST_QUOTED_BYTES):
        return found.end()
    if len(body) - start > MOST_QUOTED_BYTES:
        raise InvalidInput(f"the body holds a text of over {MOST_QUOTED_BYTES:,} bytes; send a shorter one")
    return len(body)
