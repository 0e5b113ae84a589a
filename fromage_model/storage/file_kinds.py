"""What a file from outside is by its first bytes, told where it is not what was expected, with what would work.

A download that went wrong leaves a page, a pointer or an error under the file's name, and a reader of the expected form
says something of magic numbers then. Knows no form beyond how it begins.
"""

import codecs
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEAD_BYTES = 1024
TEXT_SHOWN = 40
LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
AGAIN = "download it again"
UNPACK = "unpack it first"
_PAGE = re.compile(rb"\s*(<!--.*?-->\s*)?<(!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL)
_JSON = re.compile(rb'\s*(\{\s*["}]|\[\s*[\[{"\]\d-])')


@dataclass(frozen=True)
class FileKind:
    """`name` with its article, and `advice`: what one who has such a file under this name can do about it."""

    name: str
    advice: str = ""


EMPTY = FileKind("empty", AGAIN)
PAGE = FileKind(
    "an HTML page, not the file itself",
    "take the link that downloads the file (on huggingface.co and github.com /resolve/ or /raw/ stands where the page "
    "has /blob/), and log in where the site asks for it",
)
POINTER = FileKind(
    "a Git LFS pointer, not the file itself", "`git lfs install` and `git lfs pull` in its repository bring the file"
)
XML = FileKind("an XML document, as stores send instead of a file that they won't give", AGAIN)
JSON = FileKind("JSON")
PICKLE = FileKind("a pickle")
PARQUET = FileKind("a parquet file", "let its name end in .parquet")
ARROW = FileKind("an Arrow file", "let its name end in .arrow")
SAFETENSORS = FileKind(
    "a safetensors file", "torch.save(safetensors.torch.load_file(path), other_path) makes a checkpoint of it"
)
ZIP = FileKind("a zip file, as .xlsx, .npz and torch's own are")
STAND_INS = (EMPTY, PAGE, POINTER, XML)
MAGICS = {
    LEGACY_TORCH: FileKind(
        "a file of a torch before 1.6", "torch.save(torch.load(path, weights_only=True), path) makes a newer one of it"
    ),
    b"PK\x03\x04": ZIP,
    b"\x1f\x8b": FileKind("packed with gzip", UNPACK),
    b"BZh": FileKind("packed with bzip2", UNPACK),
    b"\xfd7zXZ\0": FileKind("packed with xz", UNPACK),
    b"\x28\xb5\x2f\xfd": FileKind("packed with zstd", UNPACK),
    b"7z\xbc\xaf\x27\x1c": FileKind("packed with 7-Zip", UNPACK),
    b"PAR1": PARQUET,
    b"ARROW1": ARROW,
    b"GGUF": FileKind("a GGUF file", "take the model's safetensors"),
    b"\x93NUMPY": FileKind("an array of numpy"),
    b"\x89HDF\r\n": FileKind("an HDF5 file, as Keras writes"),
    b"%PDF": FileKind("a PDF"),
    b"\x89PNG": FileKind("a picture (PNG)"),
    b"\xff\xd8\xff": FileKind("a picture (JPEG)"),
    b"GIF8": FileKind("a picture (GIF)"),
    b"\xd0\xcf\x11\xe0": FileKind("a file of an old Office, as .xls"),
    b"SQLite format 3": FileKind("a database of SQLite"),
}


def kind_of(head: bytes) -> FileKind | None:
    """What a file is that begins with these, its first HEAD_BYTES; None where they don't tell."""
    if not head:
        return EMPTY
    for magic, kind in MAGICS.items():
        if head.startswith(magic):
            return kind
    if head[257:262] == b"ustar":
        return FileKind("a tar archive", UNPACK)
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        return PICKLE
    if head[8:9] == b"{" and 0 < int.from_bytes(head[:8], "little") < 1 << 32:
        return SAFETENSORS
    text = head.removeprefix(b"\xef\xbb\xbf")
    if text.startswith(b"version https://git-lfs"):
        return POINTER
    if _PAGE.match(text):
        return PAGE
    if text.lstrip().startswith(b"<?xml"):
        return PAGE if b"<html" in text.lower() else XML
    return JSON if _JSON.match(text) else None


def kind_at(path: Path | str) -> FileKind | None:
    """What a local file is; None where it can't be read, or its beginning does not tell."""
    return kind_of(_head(path)) if Path(path).is_file() else None


def is_instead(path: Path | str, *, expected: str, other_than: tuple[FileKind, ...] = ()) -> str | None:
    """A sentence on what a local file is instead of what was `expected`, and what would work.

    None where it is not known, and where it is of a kind among `other_than`: then what is wrong with it is another
    matter.
    """
    head = _head(path)
    kind = kind_of(head) if Path(path).is_file() else None
    if kind is None and (text := _beginning(head)):
        kind = FileKind(f"a text that begins with {text!r}")
    return None if kind is None or kind in other_than else told(path, kind, expected=expected)


def told(path: Path | str, kind: FileKind, *, expected: str) -> str:
    """That sentence for a kind that is known."""
    advice = f"; {kind.advice}" if kind.advice else ""
    return f"{path} can't be read: it is {kind.name}; expected {expected}{advice}"


def read_json(path: Path | str) -> Any:
    """What a JSON file holds, in UTF-8, or in UTF-16 or UTF-32 as its byte order mark says.

    Raises OSError, and ValueError that says what the file is if not JSON.
    """
    data = Path(path).read_bytes()
    try:
        return json.loads(data)
    except ValueError as error:
        kind = kind_of(data[:HEAD_BYTES])
        if kind is None or kind == JSON:
            raise ValueError(f"{path} is not JSON: {error}") from error
        raise ValueError(told(path, kind, expected="JSON")) from error


def _head(path: Path | str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""


def _beginning(head: bytes) -> str:
    """The first words of a text, as a server sends where there is no such file; empty for other bytes."""
    try:
        # A character may be cut at the end of the head, and nowhere else.
        words = " ".join(codecs.getincrementaldecoder("utf-8")().decode(head)[:TEXT_SHOWN].split())
    except UnicodeDecodeError:
        return ""
    return words if words.isprintable() else ""
