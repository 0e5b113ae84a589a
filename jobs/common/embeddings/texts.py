"""Texts + bundle -> their retrieval embeddings at `[RET]`, many by Ray Data actors. Knows nothing of items and indexes.

Shapes: N rows, S shared width.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa

from jobs.common.reporting.progress import Progress
from jobs.common.stages.rows import require_columns
from jobs.common.tables import matrix_of, vectors_of

log = logging.getLogger(__name__)

BATCH_TEXTS = 256
ROWS_PER_TABLE = 256
TEXTS = pa.schema([("row", pa.int64()), ("texts", pa.list_(pa.string()))])


class ReadTexts:
    """(row, texts) -> row, told, chars, chars_read: the mean of a row's texts' embeddings at [RET], (S,) of length 1.

    A text that is longer than the LM reads is read from its beginning; the longest such one of a row has `chars`
    characters, of which `chars_read` were read. Both are null where all was read.
    """

    columns = ("row", "texts")

    def __init__(self, *, bundle: str, threads: int, device: str = "cpu"):
        import torch

        from fromage_model.bundle import load_bundle

        # Ray gives a worker one thread for each whole CPU it reserves, whatever the machine has.
        torch.set_num_threads(threads)
        self.model = load_bundle(bundle, device=device, vision=False)

    def __call__(self, rows: pa.Table) -> pa.Table:
        require_columns(rows, self.columns, stage="ReadTexts")
        texts = rows["texts"].to_pylist()
        readable = {text: self.model.readable(text) for own in texts for text in own}
        told = self._told([[readable[text] for text in own] for own in texts])
        cut = [max((text for text in own if readable[text] != text), key=len, default=None) for own in texts]
        chars = [(None, None) if text is None else (len(text), len(readable[text])) for text in cut]
        return pa.table(
            {
                "row": rows["row"],
                "told": vectors_of(told),
                "chars": pa.array([whole for whole, _ in chars], pa.int64()),
                "chars_read": pa.array([read for _, read in chars], pa.int64()),
            }
        )

    def _told(self, texts: Sequence[Sequence[str]]) -> np.ndarray:
        """(N, S). Texts of like length go through the LM together, and those that occur twice once."""
        place = {text: number for number, text in enumerate(dict.fromkeys(text for own in texts for text in own))}
        read = self.model.text_embeddings(list(place), batch_size=BATCH_TEXTS).numpy()
        means = [read[[place[text] for text in own]].mean(axis=0) for own in texts]
        told = np.array(means, dtype=np.float32).reshape(len(texts), self.model.shared_width)
        return told / np.linalg.norm(told, axis=1, keepdims=True)


def read_texts(texts: Sequence[Sequence[str]], *, bundle: str, workers: int, threads: int) -> np.ndarray:
    """Lists of texts, none of them empty -> what ReadTexts tells of each, (N, S) in their order; logs what is cut.

    Where they are one table, so that workers could not share them, and nobody chose a cluster, this process reads them.
    Else it needs a Ray that runs.
    """
    tables = list(_tables(texts))
    batches: Iterator[pa.Table]
    if len(tables) <= 1 and not os.environ.get("RAY_ADDRESS"):
        batches = map(ReadTexts(bundle=bundle, threads=threads), tables)
    else:
        batches = _by_workers(tables, bundle=bundle, workers=workers, threads=threads)
    progress = Progress("reading texts", total=len(texts), of="texts")
    told: dict[int, Any] = {}
    for batch in batches:
        for row, chars, read in zip(*(batch[name].to_pylist() for name in ("row", "chars", "chars_read")), strict=True):
            if read is not None:
                log.warning(
                    "%.60r... has %d characters, of which the LM reads the first %d", texts[row][0], chars, read
                )
        told |= zip(batch["row"].to_pylist(), matrix_of(batch["told"]), strict=True)
        progress.add(batch.num_rows)
    return np.stack([told[row] for row in range(len(texts))])


def text_embeddings(texts: Sequence[str], *, bundle: str, workers: int, threads: int) -> np.ndarray:
    """(N, S) in the order of `texts`, as `read_texts` reads them."""
    return read_texts([[text] for text in texts], bundle=bundle, workers=workers, threads=threads)


def _by_workers(tables: list[pa.Table], *, bundle: str, workers: int, threads: int) -> Iterator[pa.Table]:
    import ray
    from ray.data import ActorPoolStrategy

    batches = (
        ray.data.from_arrow(tables)
        .map_batches(
            ReadTexts,
            fn_constructor_kwargs={"bundle": bundle, "threads": threads},
            compute=ActorPoolStrategy(size=workers),
            batch_size=ROWS_PER_TABLE,
            batch_format="pyarrow",
            num_cpus=1,
        )
        .iter_batches(batch_size=None, batch_format="pyarrow")
    )
    return iter(cast(Iterable[pa.Table], batches))


def _tables(texts: Sequence[Sequence[str]]) -> Iterator[pa.Table]:
    for start in range(0, len(texts), ROWS_PER_TABLE):
        some = texts[start : start + ROWS_PER_TABLE]
        yield pa.table({"row": range(start, start + len(some)), "texts": list(some)}, schema=TEXTS)
