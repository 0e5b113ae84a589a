"""The original's training files by their names, a row at a time; pictures stay in the file until they are wanted."""

from collections.abc import Callable, Iterator
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

ArrowRow = tuple[str, str, dict[str, Any], Callable[[], bytes]]
"""The file's name, the picture's, the columns of COLUMNS, and what reads the picture."""


def read_arrow(folder: str, column: str) -> Iterator[ArrowRow]:
    """Every row of the files in `folder` that are trained on. Raises CatalogueError where there are none, or where one
    is another kind of file.
    """
    for path in _files(folder, column):
        wanted = ("image", "image_id", *COLUMNS[column])
        for number in range(_opened(str(path)).num_record_batches):
            batch = _opened(str(path)).get_batch(number)
            missing = [name for name in wanted if name not in batch.schema.names]
            if missing:
                raise CatalogueError(f"{path}: no column {', '.join(missing)}; found {', '.join(batch.schema.names)}")
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


def _picture(path: str, batch: int, row: int) -> bytes:
    return _opened(path).get_batch(batch)["image"][row].as_py() or b""
