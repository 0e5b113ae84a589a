"""Arrow files that are written a record batch at a time, so that memory holds one, however many pictures there are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

CAPTIONED = pa.schema(
    [
        ("image", pa.binary()),
        ("caption", pa.list_(pa.string())),
        ("image_id", pa.string()),
        ("split", pa.string()),
    ]
)
ANSWERED = pa.schema(
    [
        ("image", pa.binary()),
        ("questions", pa.list_(pa.string())),
        ("answers", pa.list_(pa.list_(pa.string()))),
        ("answer_labels", pa.list_(pa.list_(pa.int64()))),
        ("answer_scores", pa.list_(pa.list_(pa.float64()))),
        ("image_id", pa.int64()),
        ("question_id", pa.list_(pa.int64())),
        ("split", pa.string()),
    ]
)
ROWS_PER_BATCH = 1000
# Pictures of some hundred KB each: a batch is written when it holds so many bytes, or so many rows.
BATCH_BYTES = 32 << 20


class ArrowFile:
    """A file of Arrow's form for random access; one batch of it waits in memory."""

    def __init__(self, path: Path, schema: pa.Schema):
        self.rows = 0
        self._schema = schema
        self._waiting: list[Mapping[str, Any]] = []
        self._bytes = 0
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_file(self._sink, schema)

    def add(self, row: Mapping[str, Any]) -> None:
        """One row, with a value for every column."""
        self._waiting.append(row)
        self.rows += 1
        self._bytes += len(row["image"])
        if len(self._waiting) >= ROWS_PER_BATCH or self._bytes >= BATCH_BYTES:
            self._flush()

    def finish(self) -> None:
        """Write what waits and the file's end."""
        self._flush()
        self._writer.close()
        self._sink.close()

    def give_up(self) -> None:
        """Close it as it is; nobody will read it."""
        self._sink.close()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_batch(pa.RecordBatch.from_pylist(self._waiting, schema=self._schema))
        self._waiting, self._bytes = [], 0


class SplitFiles:
    """The file of one split, or with `rows_per_part` files NAME_0, NAME_1, ..., of which one is open. A context.

    `rows` are those of each file by its name.
    """

    def __init__(self, folder: Path, name: str, schema: pa.Schema, *, rows_per_part: int | None = None):
        self.rows: dict[str, int] = {}
        self._folder = folder
        self._name = name
        self._schema = schema
        self._rows_per_part = rows_per_part
        self._open: ArrowFile | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._open is not None and kind is None:
            self._open.finish()
        elif self._open is not None:
            self._open.give_up()

    def add(self, row: Mapping[str, Any]) -> None:
        """One row, into a further file where the last one is full."""
        if self._open is None or self._open.rows == self._rows_per_part:
            self._next()
        assert self._open is not None  # `_next` opened it
        self._open.add(row)
        self.rows[next(reversed(self.rows))] += 1

    def _next(self) -> None:
        if self._open is not None:
            self._open.finish()
        part = "" if self._rows_per_part is None else f"_{len(self.rows)}"
        name = f"{self._name}{part}.arrow"
        self._open = ArrowFile(self._folder / name, self._schema)
        self.rows[name] = 0


def cut(path: Path, *, last: int, first_file: Path, last_file: Path) -> tuple[int, int]:
    """The `last` rows of a file into one, those before into another -> the rows of both. What is read is mapped."""
    with pa.memory_map(str(path)) as source:
        reader = pa.ipc.open_file(source)
        total = sum(reader.get_batch(number).num_rows for number in range(reader.num_record_batches))
        left = max(total - last, 0)
        with (
            pa.OSFile(str(first_file), "wb") as one,
            pa.OSFile(str(last_file), "wb") as other,
            pa.ipc.new_file(one, reader.schema) as before,
            pa.ipc.new_file(other, reader.schema) as after,
        ):
            start = 0
            for number in range(reader.num_record_batches):
                batch = reader.get_batch(number)
                here = min(max(left - start, 0), batch.num_rows)
                for writer, piece in ((before, batch.slice(0, here)), (after, batch.slice(here))):
                    if piece.num_rows:
                        writer.write_batch(piece)
                start += batch.num_rows
    return left, total - left
