"""Catalogue + features + bundle -> what each item is found by, with texts read on shards that outlive a kill.

Pictures are projected here and now (`image_embeddings`); reading texts through the LM is the long part, and goes
through Ray Data actors as a durable run. Knows nothing of indexes.

Shapes: N items, S shared width, T items with texts.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.schema import Failure
from fromage_model.errors import CatalogueError
from jobs.common.durable import DurableRun, Stage
from jobs.common.embeddings.cut_texts import CutText, cut_in, tell
from jobs.common.embeddings.items import VectorKind, item_vectors, texts_of
from jobs.common.embeddings.pictures import image_embeddings
from jobs.common.embeddings.texts import TEXTS, ReadTexts
from jobs.common.reporting.progress import Progress
from jobs.common.reporting.report import ray_session
from jobs.common.stages.workers import device_for, name_for_workers, threads_each
from jobs.common.tables import matrix_of, rows_of

ROWS_PER_TABLE = 4096
WORK = pa.schema([*TEXTS, ("id", pa.string()), ("image", pa.string())])
# The stage of an item that nothing was made of by `jobs.embed`, and of one whose texts can't be read.
FEATURES_STAGE, READ_STAGE = "features", "read"


class NoFeatures(Exception):
    """An item's picture has no features."""


@dataclass(frozen=True)
class Reading:
    """How items are embedded: `bundle` by name, `work` the folder of the durable run, `workers` its most actors."""

    bundle: str
    features: str | None
    vectors: VectorKind
    picture_share: float
    words: int
    work: str
    shard_rows: int = 256
    workers: int = 1
    threads: int = 0
    cpus_per_worker: float = 1.0
    num_gpus: float = 0.0
    force: bool = False
    retry_failed: bool = False


@dataclass(frozen=True)
class Embedded:
    """Unit vectors (N, S) of items by id, and the items that have none; `cut` are those whose texts were cut.

    `queries` (T, S) are like what the index will be asked, and not among the vectors; None where there are no such.
    """

    ids: list[str]
    vectors: np.ndarray
    queries: np.ndarray | None
    failures: list[Failure]
    fingerprint: str
    progress: Progress
    cut: list[CutText]


def embed_items(catalogue: Catalogue, reading: Reading, *, ids: Sequence[str] | None = None) -> Embedded:
    """The vectors of all items, or of some.

    Raises what `image_embeddings` raises, SettingsDiffer where `reading.work` was begun with others, WriteError where
    it can't be written, and CatalogueError where no text of any item can be read.
    """
    pictures = image_embeddings(
        catalogue, bundle=name_for_workers("bundle", reading.bundle), features=reading.features, ids=ids
    )
    failures = _without_features(catalogue, pictures.missing)
    texts = _texts(catalogue, pictures.ids, reading)
    progress = Progress("index", total=len(pictures.ids) + len(failures), failed=len(failures))
    progress.add(len(pictures.ids) + len(failures) - len(texts))
    if not len(texts):
        return Embedded(pictures.ids, pictures.vectors, None, failures, pictures.fingerprint, progress, [])
    run = _run(texts, reading, fingerprint=pictures.fingerprint)
    progress.add(run.rows_done, failed=run.rows_failed)
    if run.rows_done < run.rows:
        with progress:
            run.process([_stage(reading)], session=ray_session, on_shard=progress.shard)
    unread = [Failure(**row) for table in run.failures() for row in table.to_pylist()]
    if ids is None and len(unread) == len(pictures.ids):
        reasons = Counter(failure.message for failure in unread).most_common(3)
        run.remove()
        raise CatalogueError(f"no text of the {len(unread)} items of {catalogue.name} could be read: {reasons}")
    told, cut = _told(catalogue, run, pictures.ids, width=pictures.vectors.shape[1])
    tell(cut)
    vectors = item_vectors(pictures.vectors, told, kind=reading.vectors, picture_share=reading.picture_share)
    apart = told[told.any(axis=1)] if reading.vectors == "both" else told[:0]
    gone = {failure.id for failure in unread}
    kept = [row for row, id in enumerate(pictures.ids) if id not in gone]
    return Embedded(
        ids=[pictures.ids[row] for row in kept],
        vectors=vectors[kept],
        queries=apart if len(apart) else None,
        failures=failures + unread,
        fingerprint=pictures.fingerprint,
        progress=progress,
        cut=cut,
    )


def _texts(catalogue: Catalogue, ids: Sequence[str], reading: Reading) -> pa.Table:
    """WORK: the items that have texts, those with the longest first, so that those of like length go together."""
    from fromage_model.header import bundle_config

    if reading.vectors == "image" or not ids:
        return WORK.empty_table()
    items = rows_of(catalogue.table, list(ids)).select(["id", "image", "caption", "attributes"])
    texts = texts_of(items, prompt=bundle_config(reading.bundle).caption_prompt, words=reading.words)
    number_of = {id: number for number, id in enumerate(catalogue.table["id"].to_pylist(), start=1)}
    numbers = [number_of[id] for id in ids]
    columns = [pa.array(numbers, pa.int64()), pa.array(texts, TEXTS.field("texts").type), items["id"], items["image"]]
    table = pa.Table.from_arrays(columns, schema=WORK)
    lengths = [max(map(len, own), default=0) for own in texts]
    longest_first = sorted((row for row, own in enumerate(texts) if own), key=lambda row: (-lengths[row], numbers[row]))
    return table.take(pa.array(longest_first, pa.int64()))


def _run(texts: pa.Table, reading: Reading, *, fingerprint: str) -> DurableRun:
    digest = hashlib.sha256()
    for id, own in zip(texts["id"].to_pylist(), texts["texts"].to_pylist(), strict=True):
        digest.update(json.dumps([id, own]).encode())
    return DurableRun.open(
        reading.work,
        job="index",
        settings={"bundle": fingerprint, "words": reading.words, "device": device_for(reading.num_gpus)},
        source=digest.hexdigest(),
        rows=(texts.slice(start, ROWS_PER_TABLE) for start in range(0, len(texts), ROWS_PER_TABLE)),
        shard_rows=reading.shard_rows,
        force=reading.force,
        retry_failed=reading.retry_failed,
    )


def _stage(reading: Reading) -> Stage:
    options: dict[str, Any] = {
        "bundle": name_for_workers("bundle", reading.bundle),
        "threads": threads_each(reading.workers, threads=reading.threads),
        "device": device_for(reading.num_gpus),
    }
    return Stage(ReadTexts, options, READ_STAGE, reading.cpus_per_worker, reading.num_gpus, (1, reading.workers))


def _told(catalogue: Catalogue, run: DurableRun, ids: Sequence[str], *, width: int) -> tuple[np.ndarray, list[CutText]]:
    """(N, S) in the order of `ids`, zero for an item without texts; and the items whose texts were cut."""
    in_catalogue = catalogue.table["id"].to_pylist()
    row_of = {id: row for row, id in enumerate(ids)}
    told = np.zeros((len(ids), width), dtype=np.float32)
    cut: list[CutText] = []
    for table in run.tables():
        read = [in_catalogue[number - 1] for number in table["row"].to_pylist()]
        told[[row_of[id] for id in read]] = matrix_of(table["told"])
        cut += cut_in(table, read)
    return told, cut


def _without_features(catalogue: Catalogue, missing: Sequence[str]) -> list[Failure]:
    number_of = {id: number for number, id in enumerate(catalogue.table["id"].to_pylist(), start=1)}
    now = datetime.now(UTC)
    message = "its picture has no features; the failures.parquet of the features tells why"
    images = rows_of(catalogue.table, list(missing))["image"].to_pylist()
    return [
        Failure(number_of[id], id, image, FEATURES_STAGE, NoFeatures.__name__, message, 0, now)
        for id, image in zip(missing, images, strict=True)
    ]
