"""Catalogue + features + bundle -> retrieval index: a retrieval embedding of every item, ready for search.

An item is found by its picture, by its caption (the embedding at [RET] after it), or by both, their weighted sum; an
item without a caption by its picture alone. A caption is read alone and with the item's tags, and the mean counts:
people wish for what a thing is good for as often as for its name. Of a text that is longer than the LM reads, only the
beginning counts; the log and cut_texts.parquet tell whose. The features must come from the vision encoder that the
bundle was trained with, and from this state of the catalogue; where one does not fit, the job says which and writes
nothing.

An index that the same bundle made is brought up to date: only items that are new, or whose picture or texts changed,
are embedded, and those that are gone become tombstones until so many are there that the index is compacted. Small ones
are searched exactly, large ones by faiss; the job says which, why, and how much of the exact answer is found.

    python -m jobs.index --catalogue openmoji --bundle default
"""

import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
import pyarrow.parquet as pq

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.schema import Failure
from fromage_model.catalogue.table import FAILURES_FILE, write_failures
from fromage_model.errors import ConfigError, FromageError
from fromage_model.index import INFO_FILE, IndexInfo, Plan, RetrievalIndex, plan_index
from fromage_model.storage.artefacts import locate
from jobs.common.durable import DurableRun, work_folder
from jobs.common.durable.publish import check_target, publishing, target
from jobs.common.embeddings.cut_texts import CutText, read_cut, write_cut
from jobs.common.embeddings.items import VectorKind
from jobs.common.options import check_options
from jobs.common.reporting.page import samples_of, spread, write_page
from jobs.common.reporting.report import Progress, Report, Stopwatch
from jobs.common.tables import rows_of
from jobs.index.changes import changes_of
from jobs.index.embeddings import READ_STAGE, Embedded, Reading, embed_items

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
    """Features of the catalogue's pictures: a name, a folder, or a URI. Without it, those named like the catalogue."""
    out: str | None = None
    """Name, folder or fsspec URI of the index. Without it, the catalogue's name."""
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
    shard_rows: int = 256
    """Items whose texts are kept at once when read: what a kill can cost each worker."""
    workers: int = 1
    """Most Ray Data actors that read captions; there is one at first, and more while captions wait."""
    threads: int = 0
    """Torch threads of each actor on a CPU; 0 shares the machine's CPUs among them."""
    cpus_per_worker: float = 1.0
    """CPUs that each actor reserves."""
    num_gpus: float = 0.0
    """GPUs, or share of one, that each actor reserves; above 0 the LM runs on CUDA."""
    max_failed: float = 0.01
    """Largest share of items that may fail; with more the job ends with exit code 1, and what succeeded is indexed."""
    retry_failed: bool = False
    """Read captions again that could not be read before."""
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
        check_options(
            self,
            positive=("shard_rows", "workers"),
            not_negative=("threads", "cpus_per_worker", "num_gpus"),
            shares=("max_failed",),
        )


@dataclass(frozen=True)
class Done:
    """An index that is to be written: what was done to it, the items that are not in it, and those with cut texts."""

    index: RetrievalIndex
    failures: list[Failure]
    progress: Progress
    cut: list[CutText]
    added: int = 0
    changed: int = 0
    deleted: int = 0
    compacted: bool = False

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.deleted or self.compacted)


def main(args: IndexArgs) -> Report:
    """Make the index, update it, or find it up to date. Raises FromageError for what the user can put right."""
    watch = Stopwatch()
    catalogue = Catalogue.open(args.catalogue)
    folder = target("index", args.out or catalogue.name)
    index = None if args.force else found_index(folder, args)
    if index is None:
        check_target(folder, marker=INFO_FILE)
        done = make_index(catalogue, folder, args)
    else:
        earlier = read_failures(folder)
        done = update(index, catalogue, folder, args, earlier=earlier)
        told = {failure.id for failure in done.failures} == {failure.id for failure in earlier}
        if not done and told and index.info.catalogue_fingerprint == catalogue.fingerprint:
            DurableRun.forget(work_folder(folder))
            log.info("%s is up to date; --force makes it again", folder)
            return _report(done, catalogue, folder, args, watch, skipped=True)
        index.mark_catalogue(catalogue.fingerprint)
    report = _report(done, catalogue, folder, args, watch, skipped=False)
    write(done, catalogue, folder, report)
    DurableRun.forget(work_folder(folder))
    log.info("%s: %d items indexed, %d failed", folder, len(done.index), len(done.failures))
    return report


def found_index(folder: Path | str, args: IndexArgs) -> RetrievalIndex | None:
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


def make_index(catalogue: Catalogue, folder: Path | str, args: IndexArgs) -> Done:
    """The index of all items that have features, and whose texts could be read."""
    embedded = embed_items(catalogue, _reading(folder, args))
    plan = plan_of(args, rows=len(embedded.ids), width=embedded.vectors.shape[1])
    log.info("to be searched by %s: %s", plan.kind, plan.reason)
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
    return Done(index, embedded.failures, embedded.progress, embedded.cut, added=len(index))


def update(
    index: RetrievalIndex, catalogue: Catalogue, folder: Path | str, args: IndexArgs, *, earlier: list[Failure]
) -> Done:
    """Bring an index up to date, `earlier` being the items that could not be put into it before."""
    changes = changes_of(index.items, catalogue.table, vectors=args.vectors, words=args.words)
    same = index.info.catalogue_fingerprint == catalogue.fingerprint and not args.retry_failed
    unread = {failure.id: failure for failure in earlier if same and failure.stage == READ_STAGE}
    failures = [unread[id] for id in changes.embed if id in unread]
    held = set(index.ids)
    gone = list(changes.gone)
    embed = [id for id in changes.embed if id not in unread]
    embedded = embed_items(catalogue, _reading(folder, args), ids=embed) if embed else None
    added = changed = 0
    if embedded is not None:
        failures += embedded.failures
        gone += [failure.id for failure in embedded.failures if failure.id in held]
        added, changed = _upsert(index, embedded, catalogue)
    if changes.keep:
        index.upsert(index.vectors_for(changes.keep), rows_of(catalogue.table, changes.keep))
        changed += len(changes.keep)
    deleted = index.delete(gone) if gone else 0
    progress = embedded.progress if embedded else Progress("index", total=len(catalogue))
    again = set(embed)
    cut = [one for one in read_cut(locate("index", folder)) if one.id in index and one.id not in again]
    cut += embedded.cut if embedded else []
    return Done(index, failures, progress, cut, added, changed, deleted, compact(index, args))


def _upsert(index: RetrievalIndex, embedded: Embedded, catalogue: Catalogue) -> tuple[int, int]:
    """How many items are new, and how many were there."""
    held = set(index.ids)
    if embedded.ids:
        index.upsert(embedded.vectors, rows_of(catalogue.table, embedded.ids))
    added = sum(id not in held for id in embedded.ids)
    return added, len(embedded.ids) - added


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


def read_failures(folder: Path | str) -> list[Failure]:
    """The items that could not be put into the index that is there."""
    path = locate("index", folder) / FAILURES_FILE
    return [Failure(**row) for row in pq.read_table(path).to_pylist()] if path.is_file() else []


def write(done: Done, catalogue: Catalogue, folder: Path | str, report: Report) -> None:
    """Put the index, its failures and the page about it in their place."""
    with publishing(folder, marker=INFO_FILE) as scratch:
        done.index.write(scratch)
        write_failures(scratch, done.failures)
        write_cut(scratch, done.cut)
        rows = catalogue.table.take(spread(len(catalogue))).select(["id", "caption"]).to_pylist()
        write_page(
            scratch,
            figures=report.as_dict(),
            points=done.progress.points,
            reasons=Counter(failure.error for failure in done.failures),
            samples=samples_of(rows, catalogue.image_bytes),
        )


def _reading(folder: Path | str, args: IndexArgs) -> Reading:
    given = {name: getattr(args, name) for name in Reading.__dataclass_fields__ if name != "work"}
    return Reading(**given, work=work_folder(folder))


def _report(
    done: Done, catalogue: Catalogue, folder: Path | str, args: IndexArgs, watch: Stopwatch, *, skipped: bool
) -> Report:
    index = done.index
    measured = index.info.measured
    did = {name: getattr(done, name) for name in ("added", "changed", "deleted", "compacted")}
    return Report(
        "index",
        rows_in=len(catalogue),
        rows_out=len(index),
        rows_failed=len(done.failures),
        seconds=watch.seconds,
        output=folder,
        max_failed=args.max_failed,
        fingerprint=index.fingerprint,
        texts_cut=len(done.cut),
        skipped=skipped,
        kind=index.kind,
        reason=index.info.reason,
        recall_at_10=measured.recall_at_10 if measured else 1.0,
        peak_rss_mb=done.progress.peak_rss_mb,
        **({} if skipped else did),
    )
