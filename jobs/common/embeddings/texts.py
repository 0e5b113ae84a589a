"""Texts + bundle -> their retrieval embeddings at `[RET]`, by Ray Data actors. Knows nothing of items and indexes.

Shapes: N rows, S shared width.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa

from fromage_model.errors import InvalidInput
from jobs.common.progress import Progress
from jobs.common.stages import failed, require_columns
from jobs.common.tables import matrix_of, vectors_of

BATCH_TEXTS = 256
ROWS_PER_TABLE = 256
TEXTS = pa.schema([("row", pa.int64()), ("texts", pa.list_(pa.string()))])
WRONG = pa.schema([("row", pa.int64()), ("stage", pa.string()), ("error", pa.string()), ("message", pa.string())])


class ReadTexts:
    """(row, texts) -> row, told: the mean of a row's texts' embeddings at [RET], (S,) of length 1.

    A row with a text that the LM can't take is a failed one.
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
        numbers, texts = rows["row"].to_pylist(), rows["texts"].to_pylist()
        problems = [self._problem(own) for own in texts]
        well = [place for place, problem in enumerate(problems) if problem is None]
        told = self._told([texts[place] for place in well])
        table = pa.table({"row": pa.array([numbers[place] for place in well], pa.int64()), "told": vectors_of(told)})
        ill = [{"row": row} | failed("read", error) for row, error in zip(numbers, problems, strict=True) if error]
        return pa.concat_tables([table, pa.Table.from_pylist(ill, WRONG)], promote_options="default") if ill else table

    def _told(self, texts: Sequence[Sequence[str]]) -> np.ndarray:
        """(N, S). Texts of like length go through the LM together, and those that occur twice once."""
        place = {text: number for number, text in enumerate(dict.fromkeys(text for own in texts for text in own))}
        read = self.model.text_embeddings(list(place), batch_size=BATCH_TEXTS).numpy()
        means = [read[[place[text] for text in own]].mean(axis=0) for own in texts]
        told = np.array(means, dtype=np.float32).reshape(len(texts), self.model.shared_width)
        return told / np.linalg.norm(told, axis=1, keepdims=True)

    def _problem(self, texts: Sequence[str]) -> InvalidInput | None:
        """Why a row can't be read."""
        for text in texts:
            try:
                self.model.check_text(text)
            except InvalidInput as error:
                return error
        return None


def read_texts(texts: Sequence[Sequence[str]], *, bundle: str, workers: int, threads: int) -> np.ndarray:
    """Lists of texts, none of them empty -> what ReadTexts tells of each, (N, S) in their order.

    Needs a Ray that runs. Raises InvalidInput for a text that the LM can't take.
    """
    import ray
    from ray.data import ActorPoolStrategy

    batches = (
        ray.data.from_arrow(list(_tables(texts)))
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
    progress = Progress("read texts", total=len(texts))
    told: dict[int, Any] = {}
    for batch in cast(Iterable[pa.Table], batches):
        if "error" in batch.column_names and (ill := batch.filter(batch["error"].is_valid())).num_rows:
            raise InvalidInput(f"text {ill['row'][0]}: {ill['message'][0]}")
        told |= zip(batch["row"].to_pylist(), matrix_of(batch["told"]), strict=True)
        progress.add(batch.num_rows)
    return np.stack([told[row] for row in range(len(texts))])


def text_embeddings(texts: Sequence[str], *, bundle: str, workers: int, threads: int) -> np.ndarray:
    """(N, S) in the order of `texts`. Needs a Ray that runs. Raises InvalidInput for a text that the LM can't take."""
    return read_texts([[text] for text in texts], bundle=bundle, workers=workers, threads=threads)


def _tables(texts: Sequence[Sequence[str]]) -> Iterator[pa.Table]:
    for start in range(0, len(texts), ROWS_PER_TABLE):
        some = texts[start : start + ROWS_PER_TABLE]
        yield pa.table({"row": range(start, start + len(some)), "texts": list(some)}, schema=TEXTS)
