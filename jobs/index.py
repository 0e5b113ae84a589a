"""Catalogue + features + bundle -> retrieval index: a retrieval embedding of every item, ready for search.

An item is found by its picture, by its caption (the embedding at [RET] after it), or by both, their weighted sum; an
item without a caption by its picture alone. A caption is read alone and with the item's tags, and the mean counts:
people wish for what a thing is good for as often as for its name. The features must come from the vision encoder that
the bundle was trained with, and from this state of the catalogue; where one does not fit, the job says which and writes
nothing.

An index that the same bundle made is brought up to date: only items that are new, or whose picture or texts changed,
are embedded, and those that are gone become tombstones until so many are there that the index is compacted. Small ones
are searched exactly, large ones by faiss; the job says which, why, and how much of the exact answer is found.

    python -m jobs.index --catalogue openmoji --bundle default
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil

from fromage_model.artefacts import check_replaceable, place
from fromage_model.catalogue import Catalogue
from fromage_model.errors import ConfigError, FromageError
from fromage_model.index import INFO_FILE, IndexInfo, Plan, RetrievalIndex, plan_index
from jobs.index_changes import Changes, changes_of, rows_of
from jobs.item_vectors import VectorKind, item_vectors, read_texts, texts_of
from jobs.report import Report, Stopwatch, ray_session, run
from jobs.workers import name_for_workers, threads_each

log = logging.getLogger(__name__)

# Each upsert leaves a segment; a search goes through all of them.
MOST_SEGMENTS = 32
GIB = 1 << 30


@dataclass(frozen=True)
class IndexArgs:
    """Make a retrieval index, or bring one up to date."""

    catalogue: str = "openmoji"
    """Catalogue to index: a name, a folder, or a URI."""
    bundle: str = "default"
    """Bundle whose maps make the embeddings: a name, a folder, or a URI."""
    features: str | None = None
    """Features of the catalogue's pictures: a name or a folder. Without it, those named like the catalogue."""
    out: str | None = None
    """Name or folder of the index. Without it, the catalogue's name."""
    vectors: VectorKind = "both"
    """What an item is found by; one without a caption always by its picture."""
    picture_share: float = 0.25
    """What the picture counts in both, from 0 to 1; the caption counts the rest."""
    words: int = 4
    """Most tags and keywords of an item that are read with its caption; 0 reads the caption alone."""
    kind: Literal["auto", "exact", "hnsw", "ivfpq"] = "auto"
    """How the index is searched; auto goes by the number of items, the width of vectors, and --memory-gib."""
    memory_gib: float = 0.0
    """GiB that faiss's graph or lists may take where the index is served; 0 for half of this machine's memory."""
    dtype: Literal["float32", "float16"] = "float32"
    """How vectors are stored; float16 takes half the disk, and rounds scores at the fourth digit."""
    compact: bool = False
    """Make the index anew without its tombstones, even where it is up to date; nothing is embedded for it."""
    compact_above: float = 0.2
    """Share of tombstones, from 0 to 1, above which an index that is brought up to date is compacted."""
    workers: int = 1
    """Ray Data actors that project features, and then that read captions, each reserving one CPU."""
    threads: int = 0
    """Torch threads of each actor; 0 shares the machine's CPUs among them."""
    force: bool = False
    """Embed and index every item again, whatever is there."""

    def __post_init__(self):
        if not 0 <= self.picture_share <= 1:
            raise ConfigError(f"picture_share is {self.picture_share}; expected 0 to 1, for example 0.25")
        if self.words < 0:
            raise ConfigError(f"words is {self.words}; expected 0 or more, for example 4")
        if self.memory_gib < 0:
            raise ConfigError(f"memory_gib is {self.memory_gib}; expected 0 or more, for example 4")
        if not 0 <= self.compact_above <= 1:
            raise ConfigError(f"compact_above is {self.compact_above}; expected a share from 0 to 1, for example 0.2")


@dataclass(frozen=True)
class Embedded:
    """Unit vectors (N, S) of items by id; `missing` have no features.

    `queries` (T, S) are like what the index will be asked, and not among the vectors; None where there are no such.
    """

    ids: list[str]
    vectors: np.ndarray
    queries: np.ndarray | None
    missing: list[str]
    fingerprint: str


def main(args: IndexArgs) -> Report:
    """Make the index, update it, or find it up to date. Raises FromageError for what the user can put right."""
    watch = Stopwatch()
    catalogue = Catalogue.open(args.catalogue)
    folder = place("index", args.out or catalogue.name)
    index = None if args.force else found_index(folder, args)
    if index is None:
        check_replaceable(folder, marker=INFO_FILE)
        index, missing = make_index(catalogue, args)
        did = {"added": len(index), "changed": 0, "deleted": 0, "compacted": False}
    else:
        changes = changes_of(index.items, catalogue.table, vectors=args.vectors, words=args.words)
        missing, did = update(index, changes, catalogue, args)
        if not did and index.info.catalogue_fingerprint == catalogue.fingerprint:
            log.info("%s is up to date; --force makes it again", folder)
            return _report(index, catalogue, missing, folder, watch, skipped=True)
        index.mark_catalogue(catalogue.fingerprint)
    index.save(folder)
    log.info("%s: %d items indexed, %d without features", folder, len(index), len(missing))
    log.info("searched by %s: %s", index.kind, index.info.reason)
    return _report(index, catalogue, missing, folder, watch, skipped=False, **did)


def found_index(folder: Path, args: IndexArgs) -> RetrievalIndex | None:
    """What `folder` holds, if this bundle made it of the same vectors in the same form."""
    from fromage_model.bundle import bundle_fingerprint

    fingerprint = bundle_fingerprint(args.bundle)
    try:
        index = RetrievalIndex.load(folder, fingerprint=fingerprint)
    except FromageError:
        return None
    return index if _recipe(index.info) == _recipe(args) else None


def _recipe(made: IndexInfo | IndexArgs) -> tuple[object, ...]:
    """How vectors are made and stored, without what has no part in it."""
    share = made.picture_share if made.vectors == "both" else None
    return made.vectors, made.dtype, share, None if made.vectors == "image" else made.words


def make_index(catalogue: Catalogue, args: IndexArgs) -> tuple[RetrievalIndex, list[str]]:
    """The index of the items that have features, and the ids of those that have none."""
    embedded = embed_items(catalogue, args)
    plan = plan_of(args, rows=len(embedded.ids), width=embedded.vectors.shape[1])
    log.info("searching by %s: %s", plan.kind, plan.reason)
    index = RetrievalIndex.build(
        embedded.vectors,
        rows_of(catalogue.table, embedded.ids),
        fingerprint=embedded.fingerprint,
        catalogue=catalogue.name,
        catalogue_fingerprint=catalogue.fingerprint,
        created_by="jobs.index",
        vectors_of=args.vectors,
        picture_share=args.picture_share,
        words=args.words,
        plan=plan,
        dtype=args.dtype,
        queries=embedded.queries,
    )
    return index, embedded.missing


def update(
    index: RetrievalIndex, changes: Changes, catalogue: Catalogue, args: IndexArgs
) -> tuple[list[str], dict[str, int | bool]]:
    """Bring an index up to date; the ids without features, and what was done, empty where there was nothing to do."""
    missing: list[str] = []
    held = set(index.ids)
    gone = list(changes.gone)
    added = changed = 0
    if changes.embed:
        embedded = embed_items(catalogue, args, ids=changes.embed)
        missing = embedded.missing
        gone += [id for id in missing if id in held]
        if embedded.ids:
            index.upsert(embedded.vectors, rows_of(catalogue.table, embedded.ids))
        added = sum(id not in held for id in embedded.ids)
        changed = len(embedded.ids) - added
    if changes.keep:
        index.upsert(index.vectors_for(changes.keep), rows_of(catalogue.table, changes.keep))
    deleted = index.delete(gone) if gone else 0
    changed += len(changes.keep)
    compacted = compact(index, args)
    if not (added or changed or deleted or compacted):
        return missing, {}
    return missing, {"added": added, "changed": changed, "deleted": deleted, "compacted": compacted}


def compact(index: RetrievalIndex, args: IndexArgs) -> bool:
    """Make the index anew where it was asked for, where too much of it is dead, or where another kind now suits it."""
    plan = plan_of(args, rows=len(index), width=index.info.width)
    worn = index.tombstone_share > args.compact_above or len(index.info.segments) > MOST_SEGMENTS
    if not (args.compact or worn or plan.kind != index.kind):
        return False
    log.info("compacting %d items and %d tombstones: %s", len(index), index.info.tombstones, plan.reason)
    index.compact(plan)
    return True


def plan_of(args: IndexArgs, *, rows: int, width: int) -> Plan:
    memory_gib = args.memory_gib or psutil.virtual_memory().total / GIB / 2
    return plan_index(rows, width, kind=args.kind, memory_gib=round(memory_gib, 2))


def embed_items(catalogue: Catalogue, args: IndexArgs, *, ids: Sequence[str] | None = None) -> Embedded:
    """The vectors of all items, or of some."""
    from fromage_model.bundle import bundle_config
    from jobs.image_embeddings import image_embeddings

    bundle = name_for_workers("bundle", args.bundle)
    threads = threads_each(args.workers, threads=args.threads)
    with ray_session():
        pictures = image_embeddings(
            catalogue, bundle=bundle, features=args.features, ids=ids, workers=args.workers, threads=threads
        )
        if args.vectors == "image" or not pictures.ids:
            return Embedded(pictures.ids, pictures.vectors, None, pictures.missing, pictures.fingerprint)
        items = rows_of(catalogue.table, pictures.ids)
        texts = texts_of(items, prompt=bundle_config(bundle).caption_prompt, words=args.words)
        width = pictures.vectors.shape[1]
        told = read_texts(texts, width=width, bundle=bundle, workers=args.workers, threads=threads)
    vectors = item_vectors(pictures.vectors, told, kind=args.vectors, picture_share=args.picture_share)
    apart = told[told.any(axis=1)] if args.vectors == "both" else told[:0]
    return Embedded(pictures.ids, vectors, apart if len(apart) else None, pictures.missing, pictures.fingerprint)


def _report(
    index: RetrievalIndex,
    catalogue: Catalogue,
    missing: Sequence[str],
    folder: Path,
    watch: Stopwatch,
    *,
    skipped: bool,
    **did: Any,
) -> Report:
    measured = index.info.measured
    return Report(
        "index",
        rows_in=len(catalogue),
        rows_out=len(index),
        rows_failed=len(missing),
        seconds=watch.seconds,
        output=folder,
        fingerprint=index.fingerprint,
        skipped=skipped,
        kind=index.kind,
        reason=index.info.reason,
        recall_at_10=measured.recall_at_10 if measured else 1.0,
        **did,
    )


if __name__ == "__main__":
    run(main, IndexArgs)
