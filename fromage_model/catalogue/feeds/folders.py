"""A folder of pictures as a feed. What a file is, its bytes say; what is no picture is left out, with its reason.

A file that is called like a picture is a row whatever is in it: if it is none, that is a failure which its owner wants
to hear of. Any other is looked into. Knows nothing of Ray or of fetching.
"""

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fromage_model.catalogue.feeds.arrow import TABLE_SUFFIXES
from fromage_model.catalogue.feeds.feed import Feed, FeedRow
from fromage_model.catalogue.schema import LeftOut
from fromage_model.errors import CatalogueError
from fromage_model.storage.artefacts import is_uri
from fromage_model.storage.files import explained, filesystem, stamp_of, stem_of
from fromage_model.storage.image_kinds import HEAD_BYTES, PICTURE_ENDINGS, PICTURES, kind_of

HIDDEN = "hidden"
HIDDEN_FOLDER = "a hidden folder; nothing in it is looked at"
LINKED_FOLDER = "a link to a folder; such links are not followed"
UNKNOWN = "no picture of a kind that is known"
A_TABLE = "no picture; a table's rows are read where the table itself is the --source"
TEXT_TABLE_SUFFIXES = (".tsv", ".csv")
# Stores answer each question after a while, and any number of them at once.
LOOKS_AT_ONCE = 16
LEFT_OUT_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """What lies at `place`, `below` the folder; `left_out` or `problem` say why it is not, or can't be, looked into."""

    place: str
    below: str
    stamp: str = ""
    left_out: str | None = None
    problem: str | None = None


def read_folder(folder: Path | str) -> Feed:
    """Every picture below `folder` in the order of their paths, and what else lies there as `left_out`.

    The hash is over paths, and sizes and times of change of pictures, not over bytes. Raises CatalogueError where there
    is no picture.
    """
    entries = list(_stored(str(folder)) if is_uri(folder) else _local(Path(folder)))
    doubtful = [
        entry for entry in entries if not (entry.left_out or entry.problem or claims_to_be_picture(entry.place))
    ]
    with ThreadPoolExecutor(LOOKS_AT_ONCE) as threads:
        reasons = dict(zip(doubtful, threads.map(_why_no_picture, doubtful), strict=True))
    digest = hashlib.sha256()
    rows: list[FeedRow] = []
    left_out: list[LeftOut] = []
    for entry in entries:
        reason = entry.left_out or reasons.get(entry)
        if reason is None:
            rows.append(_row(len(rows) + 1, entry))
            digest.update(f"{entry.below}\0{entry.stamp}\n".encode("utf-8", "replace"))
        else:
            left_out.append(LeftOut(_readable(entry.below), reason))
            # Hidden files come and go with whoever looks at the folder.
            told = "" if reason == HIDDEN else f"{entry.below}\0{reason}\n"
            digest.update(told.encode("utf-8", "replace"))
    if not rows:
        raise CatalogueError(f"{folder} holds no pictures{told_of(left_out)}")
    return Feed(source=stem_of(str(folder)), rows=rows, sha256=digest.hexdigest(), left_out=left_out)


def told_of(left_out: list[LeftOut]) -> str:
    """`; 2 files are left out: notes.txt (no picture ...), ...`, empty where none is."""
    if not left_out:
        return ""
    shown = ", ".join(f"{one.file} ({one.reason})" for one in left_out[:LEFT_OUT_SHOWN])
    more = ", ..." if len(left_out) > LEFT_OUT_SHOWN else ""
    return f"; {len(left_out)} {'file is' if len(left_out) == 1 else 'files are'} left out: {shown}{more}"


def claims_to_be_picture(name: str) -> bool:
    """Whether a file is called like a picture."""
    return PurePosixPath(name).suffix.lower() in PICTURE_ENDINGS


def is_picture(place: str) -> bool:
    """Whether the bytes of a file, by path or URI, begin like a picture's. Raises CatalogueError."""
    return kind_of(_head(place)) in PICTURES


def _why_no_picture(entry: Entry) -> str | None:
    try:
        head = _head(entry.place)
    except CatalogueError as error:
        return str(error)
    kind = kind_of(head)
    if kind in PICTURES:
        return None
    table = entry.place.lower().endswith((*TABLE_SUFFIXES, *TEXT_TABLE_SUFFIXES))
    return A_TABLE if table else kind or (UNKNOWN if head else "an empty file")


def _head(place: str) -> bytes:
    files, path = filesystem(place) if is_uri(place) else (None, place)
    with explained(place):
        if files is None:
            with open(path, "rb") as file:
                return file.read(HEAD_BYTES)
        # Stores answer a request for a part of nothing with an error.
        return files.cat_file(path, start=0, end=HEAD_BYTES) if files.info(path).get("size") else b""


def _local(folder: Path) -> Iterator[Entry]:
    unread: list[OSError] = []
    for parent, children, names in os.walk(folder, onerror=unread.append):
        here = Path(parent)
        for name in sorted(names):
            yield _local_file(here / name, str((here / name).relative_to(folder)))
        for name in sorted(children):
            below = f"{(here / name).relative_to(folder)}/"
            if name.startswith("."):
                yield Entry(str(here / name), below, left_out=HIDDEN_FOLDER)
            elif (here / name).is_symlink():
                yield Entry(str(here / name), below, left_out=LINKED_FOLDER)
        children[:] = sorted(child for child in children if not child.startswith("."))
    for error in unread:
        place = str(error.filename)
        yield Entry(place, os.path.relpath(place, folder), problem=f"the folder can't be read: {error.strerror}")


def _local_file(path: Path, below: str) -> Entry:
    if path.name.startswith("."):
        return Entry(str(path), below, left_out=HIDDEN)
    if path.is_file():
        stat = path.stat()
        return Entry(str(path.resolve()), below, f"{stat.st_size}\0{stat.st_mtime_ns}")
    # A link that leads nowhere, a pipe: if it is called like a picture, it fails as one.
    return Entry(str(path.absolute()), below, left_out=None if claims_to_be_picture(path.name) else "no regular file")


def _stored(folder: str) -> Iterator[Entry]:
    """The same of a folder of an object store."""
    files, root = filesystem(folder)
    with explained(folder):
        found = files.find(root, detail=True)
    hidden = set[str]()
    for path in sorted(found):
        below = path.removeprefix(root.rstrip("/")).lstrip("/")
        place = files.unstrip_protocol(path)
        parents = below.split("/")[:-1]
        inside = next((number for number, part in enumerate(parents, 1) if part.startswith(".")), None)
        if inside is not None:
            hidden_folder = "/".join(parents[:inside]) + "/"
            if hidden_folder not in hidden:
                hidden.add(hidden_folder)
                yield Entry(place, hidden_folder, left_out=HIDDEN_FOLDER)
        # An object whose name ends in a slash stands for a folder.
        elif not below.endswith("/") and found[path].get("type", "file") == "file":
            reason = HIDDEN if below.rpartition("/")[2].startswith(".") else None
            yield Entry(place, below, stamp_of(found[path]), left_out=reason)


def _row(number: int, entry: Entry) -> FeedRow:
    image = _readable(entry.place)
    unnamed = None if image == entry.place else "the file's name is not UTF-8"
    return FeedRow(row=number, image=image, problem=entry.problem or unnamed)


def _readable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()
