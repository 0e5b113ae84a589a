"""The original's training files by their names, a row at a time; pictures stay in the file until they are wanted."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from fromage_model.errors import CatalogueError
from fromage_model.storage.files import stamp

TRAINED_ON = {
    "caption": ("coco_caption_karpathy_train", "coco_caption_karpathy_restval", "conceptual_caption_train_*"),
    "questions": ("vqav2_train", "vqav2_trainable_val"),
}
"""Names without `.arrow`, by the column that holds what is learned."""
COLUMNS = {"caption": ("caption",), "questions": ("questions", "answers", "answer_scores")}
TYPES = {
    "image": "bytes",
    "caption": "lists of texts",
    "questions": "lists of texts",
    "answers": "lists of lists of texts",
    "answer_scores": "lists of lists of numbers",
}

ArrowRow = tuple[str, str, dict[str, Any], Callable[[], bytes]]
"""The file's name, the picture's, the columns of COLUMNS, and what reads the picture."""


def read_arrow(folder: str, column: str) -> Iterator[ArrowRow]:
    """Every row of the files in `folder` that are trained on. Raises CatalogueError where there are none, or where one
    is another kind of file.
    """
    for path in _files(folder, column):
        wanted = ("image", "image_id", *COLUMNS[column])
        for number in range(_opened(str(path)).num_record_batches):
            batch = _batch(str(path), number)
            _check_columns(batch.schema, wanted, path)
            rows = batch.select([name for name in wanted if name != "image"]).to_pylist()
            for place, row in enumerate(rows):
                yield path.name, str(row.pop("image_id")), row, partial(_picture, str(path), number, place)


def arrow_state(folder: str, column: str) -> str:
    """Names, sizes and times of change of these files: a hash over pictures would read them all."""
    return "\n".join(f"{path.name} {stamp(str(path))}" for path in _files(folder, column))


def _files(folder: str, column: str) -> list[Path]:
    names = TRAINED_ON[column]
    files = [path for name in names for path in sorted(Path(folder).expanduser().glob(f"{name}.arrow"))]
    if not files:
        expected = ", ".join(f"{name}.arrow" for name in names)
        raise CatalogueError(
            f"{folder} has no file to train on; expected {expected}, which `python -m jobs.export frozen-arrow` writes"
        )
    return files


@cache
def _opened(path: str) -> pa.ipc.RecordBatchFileReader:
    """Mapped into memory once, as long as the process lives: a picture is a few pages of it."""
    try:
        return pa.ipc.open_file(pa.memory_map(path))
    except (pa.ArrowInvalid, OSError) as error:
        raise CatalogueError(f"{path} is no arrow file: {error}") from error


def _batch(path: str, number: int) -> pa.RecordBatch:
    try:
        return _opened(path).get_batch(number)
    except (pa.ArrowInvalid, OSError) as error:
        raise CatalogueError(f"batch {number} of {path} can't be read: {error}") from error


def _check_columns(schema: pa.Schema, wanted: Sequence[str], path: Path) -> None:
    missing = [name for name in wanted if name not in schema.names]
    if missing:
        raise CatalogueError(f"{path}: no column {', '.join(missing)}; found {', '.join(schema.names)}")
    for name in wanted:
        expected, found = TYPES.get(name), _in_words(schema.field(name).type)
        if expected not in (None, found):
            raise CatalogueError(
                f"{path}: expected the column {name} to be {expected}, found {schema.field(name).type}"
            )


def _in_words(type: pa.DataType) -> str:
    if pa.types.is_list(type) or pa.types.is_large_list(type):
        return f"lists of {_in_words(type.value_type)}"
    if pa.types.is_string(type) or pa.types.is_large_string(type):
        return "texts"
    if pa.types.is_binary(type) or pa.types.is_large_binary(type):
        return "bytes"
    return "numbers" if pa.types.is_floating(type) or pa.types.is_integer(type) else str(type)


def _picture(path: str, batch: int, row: int) -> bytes:
    return _batch(path, batch)["image"][row].as_py() or b""
