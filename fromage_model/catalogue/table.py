"""A catalogue on disk: parquet shards, pictures, and a `catalogue.json` that says what made them.

Reads and writes them. Knows nothing of feeds, of Ray, or of how pictures are decoded.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fromage_model.catalogue.schema import (
    DOUBLES_SCHEMA,
    FAILURES_SCHEMA,
    LEFT_OUT_SCHEMA,
    NEAR_SCHEMA,
    SCHEMA,
    Double,
    Failure,
    Item,
    LeftOut,
    NearPair,
)
from fromage_model.errors import CatalogueError, InvalidInput
from fromage_model.storage.artefacts import is_uri, locate
from fromage_model.storage.file_kinds import read_json
from fromage_model.storage.files import read_bytes
from fromage_model.storage.remote import is_store

INFO_FILE = "catalogue.json"
FAILURES_FILE = "failures.parquet"
DOUBLES_FILE = "doubles.parquet"
NEAR_FILE = "near_duplicates.parquet"
LEFT_OUT_FILE = "left_out.parquet"
IMAGES_FOLDER = "images"
SHARD_PATTERN = "items-*.parquet"
ROWS_PER_SHARD = 10_000


class Catalogue:
    """The items of one folder, in the order of the feed. In a store, at `uri`, it is a copy without the pictures."""

    def __init__(self, folder: Path, *, table: pa.Table, info: dict[str, Any], uri: str | None = None):
        self.folder = folder
        self.uri = uri
        self.table = table
        self.info = info
        self._row_of = {id: row for row, id in enumerate(table["id"].to_pylist())}

    @classmethod
    def open(cls, name: str | Path) -> "Catalogue":
        """By known name, folder or fsspec URI. Raises MissingArtefact, or CatalogueError where files don't fit."""
        parts = list(cls.parts(name))
        table = pa.concat_tables([part.table for part in parts])
        return cls(parts[0].folder, table=table, info=parts[0].info, uri=parts[0].uri)

    @classmethod
    def parts(cls, name: str | Path) -> Iterator["Catalogue"]:
        """The same a part at a time, for who goes over all items and need not hold them. Raises as `open` does."""
        folder = locate("catalogue", name)
        shards = sorted(folder.glob(SHARD_PATTERN))
        if not shards:
            raise CatalogueError(f"{folder} is no catalogue: it has no {SHARD_PATTERN}")
        info = read_info(folder) or {}
        uri = str(name).rstrip("/") if is_uri(name) and is_store(str(name)) else None
        for shard in shards:
            yield cls(folder, table=_read_shard(shard), info=info, uri=uri)

    @property
    def name(self) -> str:
        return str(self.info.get("name") or self.folder.name)

    @cached_property
    def fingerprint(self) -> str:
        """A hash over each item's id, picture and caption, whatever the order of rows."""
        return fingerprint(self.table)

    def __len__(self) -> int:
        return self.table.num_rows

    def __contains__(self, id: str) -> bool:
        return id in self._row_of

    def item(self, id: str) -> Item:
        """The item with this id. Raises InvalidInput where there is none."""
        row = self._row_of.get(id)
        if row is None:
            raise InvalidInput(f"no item {id!r} in the catalogue {self.name}", field="id")
        return _items(self.table.slice(row, 1))[0]

    def items(self, split: str | None = None) -> list[Item]:
        """All items, or those of one split, in the order of the table."""
        table = self.table
        if split is not None:
            table = table.filter(pc.equal(table["split"], split))
        return _items(table)

    def image_path(self, id: str) -> Path:
        """Where an item's picture lies; always inside the catalogue's folder. Raises InvalidInput or CatalogueError."""
        image = self.item(id).image
        if is_uri(image):
            raise CatalogueError(f"the picture of item {id} is at {image}, not in the catalogue {self.name}")
        return self._inside(id, image)

    def image_place(self, id: str) -> str:
        """The path of an item's picture, or its URI where it, or the catalogue, is behind one. Raises as `image_path`
        does for a picture outside the catalogue.
        """
        image = self.item(id).image
        if is_uri(image):
            return image
        path = self._inside(id, image)
        return str(path) if self.uri is None else f"{self.uri}/{image}"

    def _inside(self, id: str, image: str) -> Path:
        path = (self.folder / image).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            raise CatalogueError(f"the picture of item {id} points outside the catalogue {self.name}")
        return path

    def image_bytes(self, id: str) -> bytes:
        """The bytes of an item's picture, as the feed gave them. Raises as `image_path` does."""
        path = self.image_path(id)
        if self.uri is not None:
            return read_bytes(self.image_place(id))
        try:
            return path.read_bytes()
        except OSError as error:
            raise CatalogueError(f"the picture of item {id} can't be read: {error}") from error


def fingerprint(table: pa.Table) -> str:
    """32 hex digits over (id, image_sha256, caption) of every item, sorted by id."""
    digest = hashlib.sha256()
    columns = [table[name].to_pylist() for name in ("id", "image_sha256", "caption")]
    for row in sorted(zip(*columns, strict=True), key=lambda row: row[0]):
        digest.update(json.dumps(row).encode())
    return digest.hexdigest()[:32]


def is_catalogue(folder: Path) -> bool:
    """Whether items lie in `folder`."""
    return any(folder.glob(SHARD_PATTERN))


def read_info(folder: Path) -> dict[str, Any] | None:
    """What `catalogue.json` says, or None where there is none. Raises CatalogueError where it is no JSON object."""
    path = folder / INFO_FILE
    if not path.is_file():
        return None
    try:
        info = read_json(path)
    except ValueError as error:
        raise CatalogueError(str(error)) from error
    if not isinstance(info, dict):
        raise CatalogueError(f"{path}: expected a JSON object, got {type(info).__name__}")
    return info


def write_catalogue(folder: Path, *, table: pa.Table, failures: Sequence[Failure], info: dict[str, Any]) -> None:
    """Write all but the pictures into `folder`, which `artefacts.writing` gave."""
    write_items(folder, table)
    write_failures(folder, failures)
    (folder / INFO_FILE).write_text(json.dumps(info, indent=2, ensure_ascii=False) + "\n")


def write_items(folder: Path, table: pa.Table) -> None:
    """The shards of the table, over those of the same name."""
    table = table.cast(SCHEMA)
    for shard, start in enumerate(range(0, max(table.num_rows, 1), ROWS_PER_SHARD)):
        pq.write_table(table.slice(start, ROWS_PER_SHARD), folder / f"items-{shard:05d}.parquet")


def write_failures(folder: Path, failures: Sequence[Failure]) -> None:
    """Rows that failed, in the order of the feed; the file is there, empty, when none did."""
    rows = [vars(failure) for failure in sorted(failures, key=lambda failure: failure.row)]
    pq.write_table(pa.Table.from_pylist(rows, schema=FAILURES_SCHEMA), folder / FAILURES_FILE)


def write_doubles(folder: Path, doubles: Sequence[Double], near: Sequence[NearPair]) -> None:
    """Rows that came to items which are there, and pairs of items with pictures that are the same or nearly."""
    pq.write_table(pa.Table.from_pylist([vars(double) for double in doubles], DOUBLES_SCHEMA), folder / DOUBLES_FILE)
    pq.write_table(pa.Table.from_pylist([vars(pair) for pair in near], NEAR_SCHEMA), folder / NEAR_FILE)


def write_left_out(folder: Path, left_out: Sequence[LeftOut]) -> None:
    """Files of a source that are no rows; the file is there, empty, when there are none."""
    rows = [vars(one) for one in left_out]
    pq.write_table(pa.Table.from_pylist(rows, schema=LEFT_OUT_SCHEMA), folder / LEFT_OUT_FILE)


def _read_shard(path: Path) -> pa.Table:
    table = pq.read_table(path, partitioning=None)
    missing = [name for name in SCHEMA.names if name not in table.column_names]
    if missing:
        raise CatalogueError(f"{path}: missing columns {', '.join(missing)}; found {', '.join(table.column_names)}")
    try:
        return table.select(SCHEMA.names).cast(SCHEMA)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise CatalogueError(f"{path}: a column is not of the catalogue's type: {error}") from error


def _items(table: pa.Table) -> list[Item]:
    return [Item(**(row | {"attributes": dict(row["attributes"] or ())})) for row in table.to_pylist()]
