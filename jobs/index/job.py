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

With --hybrid a sentence encoder's embeddings of what is said of items stand beside, to be searched together with
theirs; the option may come and go, and nothing else is embedded again for it.

    python -m jobs.index --catalogue wardrobe --bundle default
"""

import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.schema import Failure
from fromage_model.catalogue.table import FAILURES_FILE, write_failures
from fromage_model.errors import FromageError
from fromage_model.index import INFO_FILE, IndexInfo, Plan, RetrievalIndex, plan_index
from fromage_model.storage.artefacts import locate
from jobs.common.durable import DurableRun, work_folder
from jobs.common.durable.publish import check_target, publishing, target
from jobs.common.embeddings.cut_texts import CutText, read_cut, write_cut
from jobs.common.reporting.page import samples_of, spread, write_page
from jobs.common.reporting.report import Progress, Report, Stopwatch
from jobs.common.tables import rows_of
from jobs.index.changes import changes_of
from jobs.index.embeddings import READ_STAGE, Reading, embed_items
from jobs.index.options import IndexArgs
from jobs.index.sentences import ItemSentences

log = logging.getLogger(__name__)

# Each upsert leaves a segment; a search goes through all of them.
MOST_SEGMENTS = 32
GIB = 1 << 30


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
    retold: bool = False

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.deleted or self.compacted or self.retold)


def main(args: IndexArgs) -> Report:
    """Make the index, update it, or find it up to date. Raises FromageError for what the user can put right."""
    watch = Stopwatch()
    catalogue = Catalogue.open(args.catalogue)
    folder = target("index", args.out or catalogue.name)
    index = None if args.force else found_index(folder, args)
    sentences = ItemSentences(args.hybrid, threads=args.threads) if args.hybrid else None
    if index is None:
        check_target(folder, marker=INFO_FILE)
        done = make_index(catalogue, folder, args, sentences=sentences)
    else:
        earlier = read_failures(folder)
        done = update(index, catalogue, folder, args, sentences=sentences, earlier=earlier)
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
    from fromage_model.header import bundle_fingerprint

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


def make_index(
    catalogue: Catalogue, folder: Path | str, args: IndexArgs, *, sentences: ItemSentences | None = None
) -> Done:
    """The index of all items that have features, and whose texts could be read."""
    embedded = embed_items(catalogue, _reading(folder, args))
    plan = plan_of(args, rows=len(embedded.ids), width=embedded.vectors.shape[1])
    log.info("to be searched by %s: %s", plan.kind, plan.reason)
    items = rows_of(catalogue.table, embedded.ids)
    index = RetrievalIndex.build(
        embedded.vectors,
        items,
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
        texts=sentences.of(items) if sentences else None,
        sentences=sentences.info if sentences else None,
    )
    return Done(index, embedded.failures, embedded.progress, embedded.cut, added=len(index))


def update(
    index: RetrievalIndex,
    catalogue: Catalogue,
    folder: Path | str,
    args: IndexArgs,
    *,
    earlier: list[Failure],
    sentences: ItemSentences | None = None,
) -> Done:
    """Bring an index up to date, `earlier` being the items that could not be put into it before."""
    changes = changes_of(index.items, catalogue.table, vectors=args.vectors, words=args.words)
    same = index.info.catalogue_fingerprint == catalogue.fingerprint and not args.retry_failed
    unread = {failure.id: failure for failure in earlier if same and failure.stage == READ_STAGE}
    failures = [unread[id] for id in changes.embed if id in unread]
    held = set(index.ids)
    gone = list(changes.gone)
    embed = [id for id in changes.embed if id not in unread]
    known = sentences is not None and sentences.made(index.info.sentences)
    retold = not known and (sentences is not None or index.info.sentences is not None)
    if retold:
        index.forget_texts()
    embedded = embed_items(catalogue, _reading(folder, args), ids=embed) if embed else None
    added = changed = 0
    if embedded is not None:
        failures += embedded.failures
        gone += [failure.id for failure in embedded.failures if failure.id in held]
        _upsert(index, embedded.vectors, rows_of(catalogue.table, embedded.ids), sentences if known else None)
        added = sum(id not in held for id in embedded.ids)
        changed = len(embedded.ids) - added
    if changes.keep:
        kept = rows_of(catalogue.table, changes.keep)
        _upsert(index, index.vectors_for(changes.keep), kept, sentences if known else None)
        changed += len(changes.keep)
    deleted = index.delete(gone) if gone else 0
    if retold and sentences is not None:
        index.tell(sentences.of(index.items), sentences.info)
    progress = embedded.progress if embedded else Progress("index", total=len(catalogue))
    again = set(embed)
    cut = [one for one in read_cut(locate("index", folder)) if one.id in index and one.id not in again]
    cut += embedded.cut if embedded else []
    return Done(index, failures, progress, cut, added, changed, deleted, compact(index, args), retold)


def _upsert(index: RetrievalIndex, vectors: np.ndarray, items: pa.Table, sentences: ItemSentences | None) -> None:
    if len(vectors):
        index.upsert(vectors, items, texts=sentences.of(items) if sentences else None)


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
        hybrid=told.encoder if (told := index.info.sentences) else None,
        kind=index.kind,
        reason=index.info.reason,
        recall_at_10=measured.recall_at_10 if measured else 1.0,
        peak_rss_mb=done.progress.peak_rss_mb,
        **({} if skipped else did),
    )
