"""Feeds: where rows come from before their pictures are fetched. A folder of pictures, or a TSV.

Knows nothing of Ray, of fetching, or of OpenMoji.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fromage_model.artefacts import file_sha256
from fromage_model.errors import CatalogueError

IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"))
KNOWN_COLUMNS = ("image", "caption", "item_url", "brand", "group")


@dataclass(frozen=True)
class FeedRow:
    """One row as the feed gives it. `row` counts from 1; in a TSV it is the line below the header.

    `image` is a path, an http(s) URL, or only a name where `svg` holds the drawing itself. `problem` says why the row
    can't be used, where that is known before its picture is fetched. `series` names what drawings are variants of.
    """

    row: int
    image: str
    caption: str | None = None
    item_url: str | None = None
    brand: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    group: str | None = None
    series: str | None = None
    svg: bytes | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Feed:
    """All rows of a source, and a hash that changes when the source does."""

    source: str
    rows: list[FeedRow]
    sha256: str
    licence: str | None = None
    attribution: str | None = None


def read_folder(folder: Path) -> Feed:
    """Every picture below `folder`, by file name ending, in the order of their paths; hidden folders are left out.

    The hash is over paths, sizes and times of change, not over bytes. Raises CatalogueError where there is no picture.
    """
    digest = hashlib.sha256()
    rows: list[FeedRow] = []
    for path in _pictures(folder):
        stat = path.stat()
        digest.update(f"{path.relative_to(folder)}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode("utf-8", "replace"))
        rows.append(_folder_row(len(rows) + 1, path))
    if not rows:
        raise CatalogueError(f"{folder} holds no pictures; looked for {', '.join(sorted(IMAGE_SUFFIXES))}")
    return Feed(source=folder.resolve().name, rows=rows, sha256=digest.hexdigest())


def read_tsv(path: Path) -> Feed:
    """A tab-separated file in UTF-8 with a header; only `image` is required, unknown columns become attributes.

    Quotes stand for themselves (as in Conceptual Captions), so a field can't hold a tab or a line break. Empty fields
    are null. An image is an http(s) URL or a path, relative to the file. Raises CatalogueError, naming what is missing.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise CatalogueError(f"{path} is not UTF-8: line {line} holds {error.object[error.start]:#04x}") from error
    except OSError as error:
        raise CatalogueError(f"{path} can't be read: {error}") from error
    first, *lines = text.split("\n")
    header = [name.strip() for name in first.split("\t")]
    _check_header(header, path)
    folder = path.parent.resolve()
    rows = [_tsv_row(number, header, line, folder) for number, line in enumerate(lines, start=1) if line.strip()]
    if not rows:
        raise CatalogueError(f"{path} has a header and no rows")
    return Feed(source=path.stem, rows=rows, sha256=file_sha256(path))


def _pictures(folder: Path) -> Iterator[Path]:
    for parent, children, names in os.walk(folder):
        children[:] = sorted(child for child in children if not child.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if path.suffix.lower() in IMAGE_SUFFIXES and not name.startswith(".") and path.is_file():
                yield path


def _folder_row(number: int, path: Path) -> FeedRow:
    name = str(path.resolve())
    readable = name.encode("utf-8", "backslashreplace").decode()
    return FeedRow(row=number, image=readable, problem=None if readable == name else "the file's name is not UTF-8")


def _check_header(header: list[str], path: Path) -> None:
    if "image" not in header:
        found = ", ".join(header) or "none"
        hint = "; are its columns separated by tabs?" if len(header) == 1 and "," in header[0] else ""
        raise CatalogueError(f"{path}: missing column image; found columns: {found}{hint}")
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise CatalogueError(f"{path}: column {repeated[0]} stands in the header more than once")


def _tsv_row(number: int, header: list[str], line: str, folder: Path) -> FeedRow:
    cells = line.split("\t")
    values = {name: cell.strip() for name, cell in zip(header, cells, strict=False) if cell.strip()}
    problem = None
    if len(cells) > len(header):
        problem = f"{len(cells)} fields, but the header names {len(header)}"
    elif "image" not in values:
        problem = "the image field is empty"
    elif not values.get("item_url", "http://").lower().startswith(("http://", "https://")):
        problem = f"item_url must start with http:// or https://, got {values['item_url'][:80]}"
    image = values.get("image", "")
    if image and "://" not in image:
        image = str(folder / image)
    return FeedRow(
        row=number,
        image=image,
        caption=values.get("caption"),
        item_url=values.get("item_url"),
        brand=values.get("brand"),
        group=values.get("group"),
        attributes={name: value for name, value in values.items() if name and name not in KNOWN_COLUMNS},
        problem=problem,
    )
