"""Parquet and Arrow files as feeds, and the bytes of pictures that stand in them.

A picture is a path or URL, bytes, or a struct of bytes and path (as `datasets` writes it). FROZEN's COCO files have
`image` bytes, `caption` a list, `image_id` and `split`: one item for each picture, with all its captions. Bytes are
read by whoever fetches the picture, a row group or a record batch at a time; the feed holds only where they are.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fromage_model.catalogue.feeds.feed import Cell, Feed, FeedRow, check_columns, row_from
from fromage_model.errors import CatalogueError
from fromage_model.storage.artefacts import is_uri
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


def read_tables(paths: Sequence[str]) -> Feed:
    """One file or several of the same columns, one after the other -> their rows.

    The hash is over names, sizes and times of change. Raises CatalogueError naming the file and what is wrong with it.
    """
    rows: list[FeedRow] = []
    for path in paths:
        rows += _rows(path, first=len(rows) + 1)
    if not rows:
        raise CatalogueError(f"{', '.join(paths)}: no rows")
    stamps = "\n".join(f"{path}\0{stamp(path)}" for path in paths)
    return Feed(source=stem_of(paths[0]), rows=rows, sha256=hashlib.sha256(stamps.encode()).hexdigest())


@contextmanager
def table_file(path: str) -> Iterator[TableFile]:
    """The open file; local ones are mapped into memory. Raises CatalogueError where it is of another form."""
    files, name = filesystem(path)
    with explained(path), files.open(name, "rb") if is_uri(path) else pa.memory_map(name) as source:
        if path.lower().endswith(PARQUET_SUFFIXES):
            yield TableFile(pq.ParquetFile(source))
            return
        try:
            found = pa.ipc.open_file(source)
        except pa.ArrowInvalid:
            source.seek(0)
            found = pa.ipc.open_stream(source).read_all()
        yield TableFile(found)


class CellReader:
    """Reads pictures' bytes out of tables. It keeps the part that it read last: rows are asked for in order."""

    def __init__(self) -> None:
        self._kept: tuple[tuple[str, int], pa.ChunkedArray] | None = None

    def read(self, cell: Cell) -> bytes:
        """The bytes; empty where the cell is null. Raises CatalogueError where the file can't be read."""
        kept = self._kept
        if kept is None or kept[0] != (cell.file, cell.part):
            with table_file(cell.file) as file:
                kept = ((cell.file, cell.part), file.part(cell.part, ["image"])["image"])
        self._kept = kept
        value = kept[1][cell.row].as_py()
        return (value.get("bytes") if isinstance(value, dict) else value) or b""


def _rows(path: str, *, first: int) -> Iterator[FeedRow]:
    number = first
    with table_file(path) as file:
        names = file.schema.names
        check_columns(names, path)
        image = file.schema.field("image").type
        embedded = _is_bytes(image) or (pa.types.is_struct(image) and image.get_field_index("bytes") >= 0)
        if not embedded and not pa.types.is_string(image) and not pa.types.is_large_string(image):
            raise CatalogueError(f"{path}: column image is {image}; expected paths, URLs, bytes, or a struct of bytes")
        columns = [name for name in names if not _is_bytes(file.schema.field(name).type)]
        columns = [name for name in columns if not (embedded and name == "image")]
        for part in range(file.parts):
            for row, values in enumerate(_values(file.part(part, columns))):
                yield row_from(number, values, base=path, cell=Cell(path, part, row) if embedded else None)
                number += 1


def _values(table: pa.Table) -> Iterator[dict[str, Any]]:
    if not table.num_columns:
        yield from ({} for _ in range(table.num_rows))
        return
    for batch in table.to_batches(max_chunksize=1000):
        yield from batch.to_pylist()


def _is_bytes(type: pa.DataType) -> bool:
    return pa.types.is_binary(type) or pa.types.is_large_binary(type) or pa.types.is_fixed_size_binary(type)
