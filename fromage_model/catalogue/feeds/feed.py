"""Feeds: where rows come from before their pictures are fetched, and what one row of any feed means.

`delimited.py` reads TSV and CSV, `arrow.py` parquet and arrow; a folder of pictures is read here.
Knows nothing of Ray or of fetching.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from fromage_model.errors import CatalogueError
from fromage_model.storage.artefacts import is_uri
from fromage_model.storage.files import beside, explained, filesystem, is_local, stamp_of, stem_of

IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"))
KNOWN_COLUMNS = ("image", "caption", "item_url", "brand", "group")
# What the fashion project writes where there is no caption yet.
NO_CAPTION = "0"


@dataclass(frozen=True, slots=True)
class Cell:
    """Where in a table file a picture's bytes stand: row group or record batch `part`, and the row in it."""

    file: str
    part: int
    row: int


@dataclass(frozen=True, slots=True)
class FeedRow:
    """One row as the feed gives it. `row` counts from 1; in a TSV it is the line below the header.

    `image` is a path, a URL, or only a name where `svg` holds the drawing itself or `cell` says where the bytes are.
    `captions` are all of a row that has several, `caption` among them. `problem` says why the row can't be used, where
    that is known before its picture is fetched. `series` names what drawings are variants of.
    """

    row: int
    image: str
    caption: str | None = None
    captions: tuple[str, ...] = ()
    item_url: str | None = None
    brand: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    group: str | None = None
    series: str | None = None
    svg: bytes | None = None
    cell: Cell | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Feed:
    """All rows of a source, and a hash that changes when the source does."""

    source: str
    rows: list[FeedRow]
    sha256: str
    licence: str | None = None
    attribution: str | None = None


def read_folder(folder: Path | str) -> Feed:
    """Every picture below `folder`, by file name ending, in the order of their paths; hidden folders are left out.

    The hash is over paths, sizes and times of change, not over bytes. Raises CatalogueError where there is no picture.
    """
    digest = hashlib.sha256()
    rows: list[FeedRow] = []
    for image, below, stamp in _stored(str(folder)) if is_uri(folder) else _local(Path(folder)):
        digest.update(f"{below}\0{stamp}\n".encode("utf-8", "replace"))
        rows.append(_folder_row(len(rows) + 1, image))
    if not rows:
        raise CatalogueError(f"{folder} holds no pictures; looked for {', '.join(sorted(IMAGE_SUFFIXES))}")
    return Feed(source=stem_of(str(folder)), rows=rows, sha256=digest.hexdigest())


def row_from(
    number: int, values: Mapping[str, Any], *, base: str, cell: Cell | None = None, problem: str | None = None
) -> FeedRow:
    """The row that named values mean; a picture's path is relative to the file `base`.

    `caption` may be a list, whose first is then the caption. Columns that are not known become attributes. What is
    empty is left out, and so is a caption `0`. Only a feed on this machine may name local files: those who write others
    must not decide which of them a catalogue shows.
    """
    texts = {name: text for name, value in values.items() if name != "caption" and (text := text_of(value))}
    captions = _captions(values.get("caption"))
    image = texts.get("image", "") if cell is None else f"{cell.file}#{number}"
    image = beside(base, image) if image and cell is None else image
    attributes = {name: text for name, text in texts.items() if name and name not in KNOWN_COLUMNS}
    item_url = texts.get("item_url")
    if problem is None and not image:
        problem = "the image field is empty"
    if problem is None and is_local(image) and not is_local(base):
        problem = f"a feed that does not lie on this machine names a local file: {image[:80]}"
    if problem is None and item_url and not item_url.lower().startswith(("http://", "https://")):
        problem = f"item_url must start with http:// or https://, got {item_url[:80]}"
    return FeedRow(
        row=number,
        image=image,
        caption=captions[0] if captions else None,
        captions=tuple(captions) if len(captions) > 1 else (),
        item_url=item_url,
        brand=texts.get("brand"),
        attributes=attributes,
        group=texts.get("group"),
        cell=cell,
        problem=problem,
    )


def text_of(value: Any) -> str:
    """A value of a table as text without surrounding blanks; empty for nulls, NaN and bytes."""
    if value is None or value != value or isinstance(value, bytes):
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def check_columns(names: list[str], where: str, *, hint: str = "") -> None:
    """Raises CatalogueError where `image` is missing, or a column stands there twice."""
    if "image" not in names:
        raise CatalogueError(f"{where}: missing column image; found columns: {', '.join(names) or 'none'}{hint}")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise CatalogueError(f"{where}: column {repeated[0] or '(without a name)'} stands in the header more than once")


def _captions(value: Any) -> list[str]:
    found = [text_of(one) for one in value] if isinstance(value, list | tuple) else [text_of(value)]
    return [text for text in dict.fromkeys(found) if text and text != NO_CAPTION]


def _local(folder: Path) -> Iterator[tuple[str, str, str]]:
    """(whole path, path below the folder, stamp) of each picture."""
    for parent, children, names in os.walk(folder):
        children[:] = sorted(child for child in children if not child.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if path.suffix.lower() in IMAGE_SUFFIXES and not name.startswith(".") and path.is_file():
                stat = path.stat()
                yield str(path.resolve()), str(path.relative_to(folder)), f"{stat.st_size}\0{stat.st_mtime_ns}"


def _stored(folder: str) -> Iterator[tuple[str, str, str]]:
    """The same of a folder of an object store."""
    files, root = filesystem(folder)
    with explained(folder):
        found = files.find(root, detail=True)
    for path in sorted(found):
        below = path.removeprefix(root.rstrip("/")).lstrip("/")
        if Path(path).suffix.lower() in IMAGE_SUFFIXES and not any(part.startswith(".") for part in below.split("/")):
            yield files.unstrip_protocol(path), below, stamp_of(found[path])


def _folder_row(number: int, name: str) -> FeedRow:
    readable = name.encode("utf-8", "backslashreplace").decode()
    return FeedRow(row=number, image=readable, problem=None if readable == name else "the file's name is not UTF-8")
