"""Items whose texts are longer than the LM reads: they are read from the beginning, and which they are is kept.

Such an item is in the index like any other. Knows nothing of models and indexes.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

CUT_FILE = "cut_texts.parquet"
SCHEMA = pa.schema([("id", pa.string()), ("chars", pa.int64()), ("chars_read", pa.int64())])
NAMED = 20

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CutText:
    """An item's longest text: how many characters it has, and how many of these were read."""

    id: str
    chars: int
    chars_read: int


def cut_in(table: pa.Table, ids: Sequence[str]) -> list[CutText]:
    """Those among rows as `ReadTexts` gives them; `ids` are the rows' items. None where it did not tell yet."""
    if "chars_read" not in table.column_names:
        return []
    lengths = zip(ids, table["chars"].to_pylist(), table["chars_read"].to_pylist(), strict=True)
    return [CutText(id, chars, read) for id, chars, read in lengths if read is not None]


def tell(cut: Sequence[CutText]) -> None:
    """Name them in the log."""
    for one in cut[:NAMED]:
        log.warning(
            "item %s: of its text of %s characters the LM reads the first %s; the rest is left out",
            one.id,
            f"{one.chars:,}",
            f"{one.chars_read:,}",
        )
    if len(cut) > NAMED:
        log.warning("and %d items more; %s of the index names all", len(cut) - NAMED, CUT_FILE)


def write_cut(folder: Path, cut: Iterable[CutText]) -> None:
    pq.write_table(pa.Table.from_pylist([asdict(one) for one in cut], schema=SCHEMA), folder / CUT_FILE)


def read_cut(folder: Path) -> list[CutText]:
    """What an index's folder tells; nothing where it was made before this was told."""
    path = folder / CUT_FILE
    return [CutText(**row) for row in pq.read_table(path).to_pylist()] if path.is_file() else []
