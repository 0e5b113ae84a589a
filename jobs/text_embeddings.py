"""Texts + bundle -> their retrieval embeddings at `[RET]`, by Ray Data actors. Knows nothing of items and indexes.

Shapes: N texts, S shared width.
"""

from collections.abc import Iterable, Sequence
from typing import cast

import numpy as np
import pyarrow as pa

from jobs.report import Progress
from jobs.stages import require_columns
from jobs.tables import matrix_of, vectors_of

BATCH_TEXTS = 64


class EmbedTexts:
    """Ray Data stage: columns `row` and `text` -> `row` and the retrieval embedding `vector` (S,) at `[RET]`."""

    columns = ("row", "text")

    def __init__(self, bundle: str, threads: int):
        import torch

        from fromage_model.bundle import load_bundle

        torch.set_num_threads(threads)
        self.model = load_bundle(bundle, vision=False)

    def __call__(self, batch: pa.Table) -> pa.Table:
        require_columns(batch, self.columns, stage="EmbedTexts")
        embedded = self.model.text_embeddings(batch.column("text").to_pylist()).numpy()
        return pa.table({"row": batch.column("row"), "vector": vectors_of(embedded)})


def text_embeddings(texts: Sequence[str], *, bundle: str, workers: int, threads: int) -> np.ndarray:
    """(N, S) in the order of `texts`, by Ray Data actors. Needs a Ray that runs."""
    import ray
    from ray.data import ActorPoolStrategy

    batches = (
        ray.data.from_arrow(pa.table({"row": list(range(len(texts))), "text": list(texts)}))
        .map_batches(
            EmbedTexts,
            fn_constructor_kwargs={"bundle": bundle, "threads": threads},
            compute=ActorPoolStrategy(size=workers),
            batch_size=BATCH_TEXTS,
            batch_format="pyarrow",
            num_cpus=1,
        )
        .iter_batches(batch_size=None, batch_format="pyarrow")
    )
    progress = Progress("read texts", total=len(texts))
    read = []
    for batch in cast(Iterable[pa.Table], batches):
        read.append(batch)
        progress.add(batch.num_rows)
    return matrix_of(pa.concat_tables(read).sort_by("row").column("vector"))
