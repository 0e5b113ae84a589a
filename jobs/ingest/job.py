"""A source -> a catalogue: the wardrobe, OpenMoji, Open Clip Art, a folder of pictures, TSV, CSV, parquet, arrow, .pkl,
or a data set by its official files (Karpathy's COCO, VQAv2, Conceptual Captions).

In a table, `image` is a path or URL, and `caption`, `item_url`, `brand` and `group` (of items that must be trained on
or held out together) are known, by these names or those of `--columns`; other columns become attributes. Workers fetch,
render, check and write pictures; what is fetched is kept if the job is killed, and the same command goes on with it. A
row that can't be read goes to failures.parquet with its reason; a file of a folder that is neither a picture nor called
like one, to left_out.parquet. Over a catalogue that is there, only what changed is changed, and what the feed no longer
names is deleted. On a cluster, paths must mean the same on every node, or be URIs. Knows nothing of models.

    python -m jobs.ingest --source openmoji --out openmoji
"""

import logging
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fromage_model.catalogue.assemble import assemble
from fromage_model.catalogue.feeds import openmoji
from fromage_model.catalogue.feeds.columns import parse_columns
from fromage_model.catalogue.feeds.feed import Feed
from fromage_model.catalogue.feeds.folders import told_of
from fromage_model.catalogue.pictures.fetch import FetchLimits
from fromage_model.catalogue.pictures.hosts import Patience
from fromage_model.catalogue.table import FAILURES_FILE, IMAGES_FOLDER, INFO_FILE, read_info
from fromage_model.catalogue.upsert import upsert
from fromage_model.errors import CatalogueError
from fromage_model.vision.images import ImageLimits
from jobs.common.durable import DurableRun, Files, Stage, work_folder
from jobs.common.durable.publish import check_target, publishing, target
from jobs.common.reporting.report import Progress, Report, Stopwatch, ray_session
from jobs.ingest.args import IngestArgs
from jobs.ingest.fetching import FetchPictures
from jobs.ingest.info import info_of, reasons, standing
from jobs.ingest.outcome import Known, collect, readable, remove_pictures, wanted, write, write_report
from jobs.ingest.sources import OPENMOJI, WARDROBE, default_name, read_source, refuse_inside, source_sha256

log = logging.getLogger(__name__)

# Raised whenever the same source and settings would give another catalogue.
FORMAT = 3
# What decides the content of a catalogue, beside the source.
SETTINGS = (
    "held_out",
    "side_px",
    "max_image_mib",
    "max_image_megapixels",
    "allow_private",
    "encoding",
    "drop_near_duplicates",
)


def main(args: IngestArgs) -> Report:
    """Make the catalogue, or find it up to date. Raises FromageError for what the user can put right."""
    watch = Stopwatch()
    folder = target("catalogue", args.out or default_name(args.source))
    if not (args.force or args.retry_failed) and (info := _up_to_date(folder, args)) is not None:
        DurableRun.forget(work_folder(folder))
        log.info("%s is up to date; --force makes it again", folder)
        return _report(info, folder, args, watch, skipped=True)
    _refuse_other_seed(folder, args)
    feed = read_source(args.source, args.folder, **args.reading)
    refuse_inside(folder, args.source, args.folder)
    check_target(folder, marker=INFO_FILE)
    if feed.left_out:
        log.info("%s: %d rows%s", args.source, len(feed.rows), told_of(feed.left_out))
    report = ingest(feed, folder, args, watch)
    if report.rows_failed:
        log.warning("%d of %d rows failed; %s/%s tells why", report.rows_failed, report.rows_in, folder, FAILURES_FILE)
    return report


def ingest(feed: Feed, folder: Path | str, args: IngestArgs, watch: Stopwatch) -> Report:
    """Fetch every picture of the feed and put the catalogue in its place.

    Raises CatalogueError when not one row could be read, or too much would be gone.
    """
    known = _known(folder, args)
    if not args.allow_shrink:
        known.refuse_shrinking("feed", len(feed.rows), known.info.get("counts", {}).get("rows"))
    progress = Progress("ingest", total=len(feed.rows))
    work = _fetch(feed, known, args, progress)
    outcome = collect(feed, known, work)
    if not outcome.pictures:
        work.remove()
        raise CatalogueError(f"none of the {len(feed.rows)} rows of {args.source} could be read: {outcome.reasons()}")
    now = datetime.now(UTC)
    same_share = known.info.get("settings", {}).get("held_out") == args.held_out
    assembled = assemble(
        feed,
        outcome.pictures,
        held_out=openmoji.HELD_OUT_ITEMS if args.held_out is None and feed.source == OPENMOJI else args.held_out,
        drop_near=args.drop_near_duplicates,
        settled=known.before.splits if known.before and same_share else None,
        now=now,
    )
    upserted = upsert(assembled.table, known.before, now=now)
    if not args.allow_shrink and known.before:
        known.refuse_shrinking("catalogue", upserted.table.num_rows, len(known.before.records))
    info = info_of(feed, folder, _settings(args), outcome, assembled, upserted)
    report = _report(info, folder, args, watch, skipped=False, peak_rss_mb=progress.peak_rss_mb)
    with publishing(folder, marker=INFO_FILE) as scratch:
        write(scratch, outcome, assembled, upserted, known=known, work=work_folder(folder), info=info)
        write_report(scratch, report, progress, upserted.table, folder, reasons=reasons(info))
    remove_pictures(known, set(upserted.table["image"].to_pylist()))
    work.remove()
    return report


def _known(folder: Path | str, args: IngestArgs) -> Known:
    """What the catalogue that is there knows. Raises CatalogueError where it is damaged, unless `force` gives it up."""
    try:
        return Known.read(folder)
    except CatalogueError as error:
        if not args.force:
            raise CatalogueError(f"{error}. To make the catalogue anew, without its captions: --force") from error
        log.warning("%s; it is made anew", error)
        return Known(folder)


def _refuse_other_seed(folder: Path | str, args: IngestArgs) -> None:
    """Raises CatalogueError where another wardrobe would be replaced without being asked."""
    here = None if args.force or args.source != WARDROBE else readable(folder)
    info = read_info(here) if here else None
    before = (info or {}).get("settings", {}).get("seed")
    if before is not None and before != args.garments["seed"]:
        raise CatalogueError(
            f"{folder} is the wardrobe of seed {before}; nothing was changed. To replace it by that of seed "
            f"{args.garments['seed']}: --force; to keep both: --out NAME"
        )


def begin(feed: Feed, known: Known, args: IngestArgs) -> DurableRun:
    """The run with the rows to fetch: a new one, or the one that was killed, where it was begun with the same."""
    return DurableRun.open(
        work_folder(known.folder),
        job="ingest",
        settings=_settings(args),
        source=f"{feed.sha256} {known.digest(retry_failed=args.retry_failed)}",
        rows=wanted(
            feed,
            known,
            retry_dead_after_days=args.retry_dead_after_days,
            retry_failed=args.retry_failed,
            force=args.force,
        ),
        shard_rows=args.shard_rows,
        force=args.force,
        retry_failed=args.retry_failed,
    )


def _fetch(feed: Feed, known: Known, args: IngestArgs, progress: Progress) -> DurableRun:
    """The finished run: every row to be fetched is, in this run or in one that was killed."""
    work = begin(feed, known, args)
    untried = progress.total - work.rows
    progress.go_on(done=untried + work.rows_done, failed=untried + work.rows_failed)
    if work.rows_done < work.rows:
        # Pictures for a folder wait beside it until they are all there; those of a store go to their place at once.
        beside = work.files.root if isinstance(known.folder, Path) else known.folder
        Files(f"{beside}/{IMAGES_FOLDER}").make()
        with progress:
            work.process([_stage(work, beside, args)], session=ray_session, on_shard=progress.shard)
    return work


def _stage(work: DurableRun, folder: str, args: IngestArgs) -> Stage:
    """Workers share the limits on requests evenly, so that together they hold them."""
    limits = ImageLimits(max_bytes=int(args.max_image_mib * 2**20), max_pixels=int(args.max_image_megapixels * 1e6))
    workers = min(args.workers, args.per_host, args.at_once, work.shards)
    fetching = FetchLimits(
        max_bytes=limits.max_bytes,
        connect_s=args.connect_timeout_s,
        read_s=args.read_timeout_s,
        total_s=args.total_timeout_s,
        patience=Patience(attempts=args.attempts),
        per_host=args.per_host // workers,
        at_once=args.at_once // workers,
    )
    options = {
        "folder": folder,
        "side_px": args.drawn_px,
        "image_limits": limits,
        "fetch_limits": fetching,
        "allow_private": args.allow_private,
        "threads": args.threads,
    }
    return Stage(FetchPictures, options, num_cpus=args.cpus_per_worker, workers=(workers, workers))


def _settings(args: IngestArgs) -> dict[str, Any]:
    # A catalogue that was made before columns could be named is like one without.
    named = {"columns": parse_columns(args.columns)} if args.columns.strip() else {}
    drawn = {"side_px": args.drawn_px} | (args.garments if args.source == WARDROBE else {})
    return (
        {"format": FORMAT} | {name: value for name, value in asdict(args).items() if name in SETTINGS} | drawn | named
    )


def _up_to_date(folder: Path | str, args: IngestArgs) -> dict[str, Any] | None:
    """What catalogue.json says, if this source and these settings made what is there, and no link is to be asked."""
    info = standing(folder, settings=_settings(args), retry_dead_after_days=args.retry_dead_after_days)
    if info is None:
        return None
    found = source_sha256(args.source, args.folder, **args.reading)
    return info if info.get("source_sha256") == found else None


def _report(
    info: dict[str, Any], folder: Path | str, args: IngestArgs, watch: Stopwatch, *, skipped: bool, **extra: Any
) -> Report:
    counts = info["counts"]
    told = ("items", "doubles", "near_duplicates", "added", "changed", "unchanged", "deleted", "groups", "held_out")
    return Report(
        "ingest",
        rows_in=counts["rows"],
        rows_out=counts["items"] + counts["doubles"],
        rows_failed=counts["failed"],
        seconds=watch.seconds,
        output=folder,
        max_failed=args.allowed_to_fail,
        left_out=counts["left_out"],
        **{name: counts[name] for name in told},
        fingerprint=info["fingerprint"],
        skipped=skipped,
        **extra,
    )
