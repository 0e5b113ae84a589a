"""Bodies that no client means, by name, with the status of their refusal."""

import gzip
import json
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

MESSAGE = b'{"role":"user","content":"a"}'


class Attack(NamedTuple):
    body: Callable[[], bytes]
    status: int = 400
    headers: Mapping[str, str] = MappingProxyType({})


def asking(**fields: Any) -> bytes:
    """A chat request with these fields too."""
    return json.dumps({"messages": [{"role": "user", "content": "Hello"}], **fields}).encode()


def with_raw(field: str, value: bytes) -> bytes:
    return b'{"messages":[' + MESSAGE + b'],"' + field.encode() + b'":' + value + b"}"


def saying(raw: bytes) -> bytes:
    return b'{"messages":[{"role":"user","content":"' + raw + b'"}]}'


def messages(count: int, message: bytes = MESSAGE) -> bytes:
    return b'{"messages":[' + b",".join([message] * count) + b"]}"


@cache
def gzip_bomb() -> bytes:
    return gzip.compress(bytes(200 << 20), compresslevel=6)


GZIP = {"content-encoding": "gzip"}
ATTACKS: dict[str, Attack] = {
    "10^6 messages": Attack(lambda: messages(10**6)),
    "10^5 messages": Attack(lambda: messages(10**5)),
    "10^4 messages": Attack(lambda: messages(10**4)),
    "10^4 numbers for messages": Attack(lambda: messages(10**4, b"5")),
    "10^4 lists deep": Attack(lambda: b'{"messages":' + b"[" * 10**4 + b"]" * 10**4 + b"}"),
    "10^4 objects deep": Attack(lambda: b'{"a":' * 10**4 + b"1" + b"}" * 10**4),
    "10^7 brackets": Attack(lambda: b"[" * 10**7),
    "10^7 blanks": Attack(lambda: b" " * 10**7),
    "10^6 quotation marks": Attack(lambda: b'{"messages":[' + b'"' * 10**6),
    "10^7 escapes": Attack(lambda: saying(b"\\\\" * 10**7)),
    "10^7 letters": Attack(lambda: saying(b"a" * 10**7)),
    "a name of 10^6 letters, twice": Attack(lambda: b'{"' + b"k" * 10**6 + b'":1,"' + b"k" * 10**6 + b'":1}'),
    "a whole number of 10^5 digits": Attack(lambda: with_raw("seed", b"9" * 10**5)),
    "a whole number of 10^6 digits in a field unknown": Attack(lambda: with_raw("other", b"9" * (2 * 10**6))),
    "1e999": Attack(lambda: with_raw("temperature", b"1e999")),
    "NaN": Attack(lambda: with_raw("temperature", b"NaN")),
    "-Infinity": Attack(lambda: with_raw("top_p", b"-Infinity")),
    "NaN in a field unknown": Attack(lambda: with_raw("other", b"NaN")),
    "a field twice": Attack(lambda: with_raw("n", b'1,"n":2')),
    "messages twice": Attack(lambda: with_raw("messages", b"[]")),
    "half a surrogate pair": Attack(lambda: saying(b"\\ud800")),
    "the other half": Attack(lambda: saying(b"\\udc00\\ud800")),
    "half a pair in a field's name": Attack(lambda: b'{"\\ud800":1}'),
    "a control character": Attack(lambda: saying(b"a\x01")),
    "a line end in a text": Attack(lambda: saying(b"a\nb")),
    "bytes that are no UTF-8": Attack(lambda: saying(b"\xff\xfe")),
    "an overlong slash": Attack(lambda: saying(b"\xc0\xaf")),
    "a byte order mark": Attack(lambda: b"\xef\xbb\xbf" + asking()),
    "UTF-16": Attack(lambda: asking().decode().encode("utf-16")),
    "JSON that breaks off": Attack(lambda: asking()[:-3]),
    "two bodies in one": Attack(lambda: asking() * 2),
    "a comment": Attack(lambda: b"/* hi */" + asking()),
    "a pickle": Attack(lambda: b"\x80\x04\x95\x1c\0\0\0\0\0\0\0\x8c\x05posix\x94."),
    "nothing": Attack(lambda: b""),
    "40 MiB": Attack(lambda: bytes(40 << 20), 413),
    "a gzip bomb": Attack(gzip_bomb, 413, GZIP),
    "a gzip bomb within one": Attack(lambda: gzip.compress(gzip_bomb()), 400, GZIP),
    "gzip that breaks off": Attack(lambda: gzip.compress(asking())[:-9], 400, GZIP),
    "gzip that goes on": Attack(lambda: gzip.compress(asking()) * 2, 400, GZIP),
    "gzip that is none": Attack(asking, 400, GZIP),
    "deflate that is none": Attack(lambda: b"\xff" * 99, 400, {"content-encoding": "deflate"}),
    "an encoding unknown": Attack(asking, 415, {"content-encoding": "br"}),
    "encodings in a row": Attack(asking, 415, {"content-encoding": "gzip, gzip"}),
    "a form": Attack(lambda: b"messages=a", 400, {"content-type": "application/x-www-form-urlencoded"}),
    "xml": Attack(lambda: b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>", 400, {"content-type": "text/xml"}),
    "no type": Attack(asking, 400, {"content-type": ""}),
    "a length of 10^20": Attack(asking, 413, {"content-length": "9" * 20}),
}
