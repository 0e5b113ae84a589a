"""The official files of a data set: where they lie, what changes when they do, their records, one at a time, and the
feed that rows of them are.

Knows no data set: names of files, lists and fields are given.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import ijson

from fromage_model.catalogue.annotations import OFFICIAL_SPLIT, TRAINED_ON
from fromage_model.catalogue.feeds.feed import Feed, FeedRow
from fromage_model.errors import CatalogueError
from fromage_model.storage.artefacts import is_uri
from fromage_model.storage.file_kinds import HEAD_BYTES, JSON, kind_of, told
from fromage_model.storage.files import explained, filesystem, reading, stamp, stamp_of, type_of

NAMES_OF = {str: "a text", int: "a whole number", list: "a list"}
FIELDS_SHOWN = 12


class BrokenRecord(Exception):
    """One record of a file can't be used, in words; others can."""


def below(folder: str, *names: str) -> str:
    """The path or URI of something in a folder."""
    return "/".join((folder.rstrip("/"), *names))


def checked_folder(folder: str, *, what: str) -> str:
    """`folder` in full. Raises CatalogueError where there is no such folder, saying `what` would lie there."""
    if type_of(folder) != "directory":
        raise CatalogueError(f"{folder} is no folder; expected one with {what}")
    return folder.rstrip("/") if is_uri(folder) else str(filesystem(folder)[1])


def records(path: str, list_name: str) -> Iterator[Any]:
    """Each element of the list `list_name` of a JSON file, which is never in memory as a whole.

    Raises CatalogueError where the file is no JSON, or has no such list or nothing in it.
    """
    read = 0
    with reading(path) as file:
        try:
            for record in ijson.items(file, f"{list_name}.item"):
                read += 1
                yield record
        except ijson.JSONError as error:
            raise CatalogueError(_no_json(path, read, list_name, error)) from error
    if not read:
        raise CatalogueError(f"{path} has no list {list_name!r} with anything in it; it has {_keys(path)}")


def fields_of(record: Any, expected: Mapping[str, type], where: str, *, may_be_blank: bool = False) -> list[Any]:
    """The values of the fields that are expected, in their order. Raises BrokenRecord that names one that is wrong."""
    if not isinstance(record, dict):
        raise BrokenRecord(f"{where} is no object with fields but {_shown(record)}")
    for name, kind in expected.items():
        if name not in record:
            found = ", ".join(list(record)[:FIELDS_SHOWN]) or "none"
            raise BrokenRecord(f"{where} has no field {name}; its fields are {found}")
        value = record[name]
        blank = isinstance(value, str) and not value.strip() and not may_be_blank
        if not isinstance(value, kind) or isinstance(value, bool) or blank:
            raise BrokenRecord(f"{where}: expected {name} to be {NAMES_OF[kind]}, got {_shown(value)}")
    return [record[name] for name in expected]


def split_feed(source: str, rows: Iterable[FeedRow], *, sha256: str, licence: str, attribution: str) -> Feed:
    """All rows, and held out the groups of those whose official split is not trained on."""
    rows = list(rows)
    held_out = frozenset(
        row.group for row in rows if row.group and row.attributes.get(OFFICIAL_SPLIT) not in TRAINED_ON
    )
    return Feed(source, rows, sha256, licence=licence, attribution=attribution, held_out=held_out)


def files_sha256(files: Iterable[str], folders: Iterable[str]) -> str:
    """A hash over the sizes and times of change of files, and of all that lies in folders."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path}\0{stamp(path)}\n".encode("utf-8", "replace"))
    for folder in folders:
        store, path = filesystem(folder)
        with explained(folder):
            found = store.ls(path, detail=True)
        for info in sorted(found, key=lambda info: str(info["name"])):
            digest.update(f"{info['name']}\0{stamp_of(info)}\n".encode("utf-8", "replace"))
    return digest.hexdigest()


def _no_json(path: str, read: int, list_name: str, error: Exception) -> str:
    with reading(path) as file:
        kind = kind_of(file.read(HEAD_BYTES))
    if kind is not None and kind != JSON:
        return told(path, kind, expected="JSON")
    after = f" after {read:,} of {list_name}" if read else ""
    return f"{path} is not whole JSON{after}: {' '.join(str(error).split())[:200]}; fetch it again"


def _keys(path: str) -> str:
    """What stands in the file instead, in words."""
    with reading(path) as file:
        names = [value for prefix, event, value in ijson.parse(file) if event == "map_key" and not prefix]
    return f"the fields {', '.join(names[:FIELDS_SHOWN])}" if names else "no fields"


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text[:60]}{'...' if len(text) > 60 else ''}"
