"""Parquet and Arrow files as feeds, and the bytes of pictures that stand in them.

A picture is a path or URL, bytes, or a struct of bytes and path (as `datasets` writes it). FROZEN's COCO files have
`image` bytes, `caption` a list, `image_id` and `split`: one item for each picture, with all its captions. Bytes are
read by whoever fetches the picture, a row group or a record batch at a time; the feed holds only where they are.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fromage_model.catalogue.feeds.columns import OWN_NAMES, sources_of
from fromage_model.catalogue.feeds.feed import Cell, Feed, FeedRow, row_from
from fromage_model.errors import CatalogueError
from fromage_model.storage.artefacts import is_uri
from fromage_model.storage.file_kinds import ARROW, HEAD_BYTES, PARQUET, kind_of, told
from fromage_model.storage.files import explained, filesystem, stamp, stem_of

PARQUET_SUFFIXES = (".parquet", ".pq")
ARROW_SUFFIXES = (".arrow", ".ipc", ".feather")
TABLE_SUFFIXES = (*PARQUET_SUFFIXES, *ARROW_SUFFIXES)


class TableFile:
    """An open parquet or arrow file; `part` reads one row group or record batch of it."""

    def __init__(self, file: pq.ParquetFile | pa.ipc.RecordBatchFileReader | pa.Table):
        self._file = file

    @property
    def schema(self) -> pa.Schema:
        return self._file.schema_arrow if isinstance(self._file, pq.ParquetFile) else self._file.schema

    @property
    def parts(self) -> int:
        if isinstance(self._file, pq.ParquetFile):
            return self._file.num_row_groups
        return 1 if isinstance(self._file, pa.Table) else self._file.num_record_batches

    def part(self, number: int, columns: Sequence[str]) -> pa.Table:
        if isinstance(self._file, pq.ParquetFile):
            return self._file.read_row_group(number, columns=list(columns))
        table = self._file if isinstance(self._file, pa.Table) else pa.table(self._file.get_batch(number))
        return table.select(columns)


def read_tables(paths: Sequence[str], *, columns: Mapping[str, str] = OWN_NAMES) -> Feed:
    """One file or several of the same columns, one after the other -> their rows.

    `columns` says what the files call ours, where they have other names for them. The hash is over names, sizes and
    times of change. Raises CatalogueError naming the file and what is wrong with it.
    """
    rows: list[FeedRow] = []
    for path in paths:
        rows += _rows(path, columns, first=len(rows) + 1)
    if not rows:
        raise CatalogueError(f"{', '.join(paths)}: no rows")
    stamps = "\n".join(f"{path}\0{stamp(path)}" for path in paths)
    return Feed(source=stem_of(paths[0]), rows=rows, sha256=hashlib.sha256(stamps.encode()).hexdigest())


@contextmanager
def table_file(path: str) -> Iterator[TableFile]:
    """The open file, parquet or Arrow as its bytes say; local ones are mapped into memory.

    Raises CatalogueError that says what it is where it is of another form.
    """
    files, name = filesystem(path)
    with explained(path), files.open(name, "rb") if is_uri(path) else pa.memory_map(name) as source:
        kind = kind_of(source.read(HEAD_BYTES))
        source.seek(0)
        if kind not in (None, PARQUET, ARROW):
            raise CatalogueError(told(path, kind, expected="parquet or Arrow"))
        if kind == PARQUET or (kind is None and path.lower().endswith(PARQUET_SUFFIXES)):
            yield TableFile(pq.ParquetFile(source))
        elif kind == ARROW:
            yield TableFile(pa.ipc.open_file(source))
        else:
            yield TableFile(pa.ipc.open_stream(source).read_all())


class CellReader:
    """Reads pictures' bytes out of tables. It keeps the part that it read last: rows are asked for in order."""

    def __init__(self) -> None:
        self._kept: tuple[tuple[str, int, str], pa.ChunkedArray] | None = None

    def read(self, cell: Cell) -> bytes:
        """The bytes; empty where the cell is null. Raises CatalogueError where the file can't be read."""
        kept = self._kept
        place = (cell.file, cell.part, cell.column)
        if kept is None or kept[0] != place:
            with table_file(cell.file) as file:
                kept = (place, file.part(cell.part, [cell.column])[cell.column])
        self._kept = kept
        value = kept[1][cell.row].as_py()
        return (value.get("bytes") if isinstance(value, dict) else value) or b""


def _rows(path: str, given: Mapping[str, str], *, first: int) -> Iterator[FeedRow]:
    number = first
    with table_file(path) as file:
        schema = file.schema
        sources = sources_of(schema.names, given, path)
        picture = sources["image"]
        image = schema.field(picture).type
        embedded = _is_bytes(image) or (pa.types.is_struct(image) and image.get_field_index("bytes") >= 0)
        if not embedded and not pa.types.is_string(image) and not pa.types.is_large_string(image):
            raise CatalogueError(
                f"{path}: column {picture} is {image}; expected paths, URLs, bytes, or a struct of bytes"
            )
        read = {ours: theirs for ours, theirs in sources.items() if not _is_bytes(schema.field(theirs).type)}
        if embedded:
            read.pop("image", None)
        for part in range(file.parts):
            for row, values in enumerate(_values(file.part(part, sorted(set(read.values()))))):
                named = {ours: values[theirs] for ours, theirs in read.items()}
                cell = Cell(path, part, row, picture) if embedded else None
                yield row_from(number, named, base=path, cell=cell)
                number += 1


def _values(table: pa.Table) -> Iterator[dict[str, Any]]:
    if not table.num_columns:
        yield from ({} for _ in range(table.num_rows))
        return
    for batch in table.to_batches(max_chunksize=1000):
        yield from batch.to_pylist()


def _is_bytes(type: pa.DataType) -> bool:
    return pa.types.is_binary(type) or pa.types.is_large_binary(type) or pa.types.is_fixed_size_binary(type)
