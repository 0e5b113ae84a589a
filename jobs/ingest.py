"""A source -> a catalogue: OpenMoji, Open Clip Art, a folder of pictures, TSV, CSV, parquet, arrow, or embeddings .pkl.

Workers fetch, render, check and write pictures; this process writes the table. A row that can't be read goes to
failures.parquet with its reason, and the job goes on. In a table, `image` is a path or URL, and `caption`, `item_url`,
`brand` and `group` (of items that must be trained on or held out together) are known; other columns become attributes.
On a cluster, paths must mean the same on every node. Knows nothing of models.

    python -m jobs.ingest --source openmoji --out openmoji
"""

import json
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fromage_model.artefacts import place, writing
from fromage_model.catalogue import openmoji
from fromage_model.catalogue.assemble import Picture, assemble
from fromage_model.catalogue.feeds import Feed
from fromage_model.catalogue.fetch import FetchLimits
from fromage_model.catalogue.schema import HELD_OUT, Failure
from fromage_model.catalogue.table import (
    FAILURES_FILE,
    IMAGES_FOLDER,
    INFO_FILE,
    SHARD_PATTERN,
    fingerprint,
    read_info,
    write_catalogue,
)
from fromage_model.errors import CatalogueError
from fromage_model.images import ImageLimits
from jobs.report import Progress, Report, Stopwatch, ray_session, run
from jobs.sources import OPENMOJI, default_name, read_source, refuse_inside, source_sha256

log = logging.getLogger(__name__)

# Raised whenever the same source and settings would give another catalogue.
FORMAT = 1
ROWS_PER_BATCH = 256
REASONS_SHOWN = 3


@dataclass(frozen=True)
class IngestArgs:
    """Make a catalogue."""

    source: str = OPENMOJI
    """Where items come from: openmoji, openclipart, or a path or fsspec URI (s3://, gs://) of a folder of pictures, a
    TSV or CSV with an image column, parquet, arrow, or the original's embeddings .pkl; with a *, of several files."""
    encoding: str = "utf-8"
    """How a TSV or CSV is encoded, e.g. utf-8, cp1252 or utf-16."""
    folder: str | None = None
    """Where Open Clip Art's folders png and svg are. Without it, where Debian's packages put them."""
    out: str | None = None
    """Name or folder of the catalogue. Without it, the name of the source."""
    held_out: int | None = None
    """Least number of items to hold out of training. Without it, 300 for openmoji and a tenth of any other source."""
    side_px: int = 224
    """Width and height in pixels at which drawings (SVG) are rasterised."""
    max_image_mib: float = 20.0
    """Largest picture that is read, in MiB; a larger one is a failed row."""
    max_image_megapixels: float = 50.0
    """Most pixels of a picture that is read, in millions; a larger one is a failed row."""
    allow_private: bool = False
    """Fetch from private, loopback and link-local addresses too. Only for a feed that you wrote yourself."""
    workers: int = 2
    """Ray Data actors that fetch and check pictures."""
    cpus_per_worker: float = 0.5
    """CPUs that each actor reserves; fetching mostly waits."""
    per_host: int = 8
    """Most requests that one host gets at the same time, from all actors together."""
    at_once: int = 64
    """Most pictures that are fetched at the same time, by all actors together."""
    threads: int = 4
    """Threads of each actor that read files and check pictures."""
    force: bool = False
    """Make the catalogue again even where it is up to date."""


def main(args: IngestArgs) -> Report:
    """Make the catalogue, or find it up to date. Raises FromageError for what the user can put right."""
    watch = Stopwatch()
    folder = place("catalogue", args.out or default_name(args.source))
    if not args.force and (info := _up_to_date(folder, args)) is not None:
        log.info("%s is up to date; --force makes it again", folder)
        return _report(info, folder, watch, skipped=True)
    feed = read_source(args.source, args.folder, encoding=args.encoding)
    refuse_inside(folder, args.source)
    with writing(folder, marker=INFO_FILE) as scratch:
        info = ingest(feed, scratch, args, name=folder.name)
    _log_failures(info, folder)
    return _report(info, folder, watch, skipped=False)


def ingest(feed: Feed, folder: Path, args: IngestArgs, *, name: str) -> dict[str, Any]:
    """Fetch every picture of the feed and write the catalogue into `folder`; returns what its catalogue.json says.

    Raises CatalogueError when not one row could be read.
    """
    pictures, failures = _fetch_all(feed, folder, args)
    if not pictures:
        raise CatalogueError(f"none of the {len(feed.rows)} rows of {args.source} could be read: {_reasons(failures)}")
    held_out = openmoji.HELD_OUT_ITEMS if args.held_out is None and feed.source == OPENMOJI else args.held_out
    assembled = assemble(feed, pictures, held_out=held_out)
    failures += assembled.failures
    table = assembled.table
    info = {
        "name": name,
        "source": feed.source,
        "source_sha256": feed.sha256,
        "licence": feed.licence,
        "attribution": feed.attribution,
        "settings": _settings(args),
        "fingerprint": fingerprint(table),
        "counts": {
            "rows": len(feed.rows),
            "items": table.num_rows,
            "failed": len(failures),
            "failed_by_reason": dict(Counter(failure.error for failure in failures)),
            "groups": len(set(table["group"].to_pylist())),
            "held_out": table["split"].to_pylist().count(HELD_OUT),
        },
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_catalogue(folder, table=table, failures=failures, info=info)
    return info


def _fetch_all(feed: Feed, folder: Path, args: IngestArgs) -> tuple[list[Picture], list[Failure]]:
    """Write the pictures below `folder`; rows whose picture can't be had, or that are bad anyway, are failures."""
    now = datetime.now(UTC)
    failures = [
        Failure(row.row, None, row.image or None, "feed", "BadRow", row.problem, 0, now)
        for row in feed.rows
        if row.problem
    ]
    (folder / IMAGES_FOLDER).mkdir()
    image_of = {row.row: row.image for row in feed.rows if not row.problem}
    pictures: list[Picture] = []
    if not image_of:
        return pictures, failures
    progress = Progress("ingest", total=len(image_of))
    with ray_session():
        for batch in _fetched(feed, folder, args):
            for row in batch.to_pylist():
                if row["error"] is not None:
                    failures.append(_failure(row, image_of[row["row"]]))
                else:
                    pictures.append(_picture(row))
            progress.add(batch.num_rows)
    return pictures, failures


def _fetched(feed: Feed, folder: Path, args: IngestArgs) -> Iterable[pa.Table]:
    """The stage's output, in the order of the feed."""
    import ray

    from jobs.fetching import WANTED, FetchPictures

    wanted = [
        {"row": row.row, "image": row.image, "svg": row.svg, "cell": asdict(row.cell) if row.cell else None}
        for row in feed.rows
        if not row.problem
    ]
    blocks = [
        pa.Table.from_pylist(wanted[start : start + ROWS_PER_BATCH], schema=WANTED)
        for start in range(0, len(wanted), ROWS_PER_BATCH)
    ]
    limits = ImageLimits(max_bytes=int(args.max_image_mib * 2**20), max_pixels=int(args.max_image_megapixels * 1e6))
    workers = max(1, min(args.workers, args.per_host, args.at_once, len(blocks)))
    fetching = FetchLimits(
        max_bytes=limits.max_bytes, per_host=args.per_host // workers, at_once=args.at_once // workers
    )
    rows = ray.data.from_arrow(blocks).map_batches(
        FetchPictures,
        fn_constructor_kwargs={
            "folder": str(folder.resolve()),
            "side_px": args.side_px,
            "image_limits": limits,
            "fetch_limits": fetching,
            "allow_private": args.allow_private,
            "threads": args.threads,
        },
        batch_format="pyarrow",
        batch_size=ROWS_PER_BATCH,
        num_cpus=args.cpus_per_worker,
        compute=ray.data.ActorPoolStrategy(size=workers),
    )
    return rows.iter_batches(batch_format="pyarrow", batch_size=None)


def _picture(row: dict[str, Any]) -> Picture:
    small = None if row["thumbnail"] is None else np.frombuffer(row["thumbnail"], dtype=np.uint8)
    return Picture(row["row"], row["file"], row["sha256"], small)


def _failure(row: dict[str, Any], image: str) -> Failure:
    return Failure(
        row=row["row"],
        id=None,
        image=image,
        stage=row["stage"],
        error=row["error"],
        message=row["message"],
        attempts=row["attempts"],
        failed_at=datetime.now(UTC),
    )


def _settings(args: IngestArgs) -> dict[str, Any]:
    """What decides the content of the catalogue, beside the source."""
    names = ("held_out", "side_px", "max_image_mib", "max_image_megapixels", "allow_private")
    return {"format": FORMAT} | {name: value for name, value in asdict(args).items() if name in names}


def _up_to_date(folder: Path, args: IngestArgs) -> dict[str, Any] | None:
    """What catalogue.json says, if this source and these settings made what is there."""
    try:
        info = read_info(folder)
    except CatalogueError:
        return None
    if info is None or info.get("settings") != json.loads(json.dumps(_settings(args))):
        return None
    if not (folder / FAILURES_FILE).is_file() or not any(folder.glob(SHARD_PATTERN)):
        return None
    found = source_sha256(args.source, args.folder, encoding=args.encoding)
    return info if info.get("source_sha256") == found else None


def _log_failures(info: dict[str, Any], folder: Path) -> None:
    counts = info["counts"]
    if counts["failed"]:
        log.warning("%d of %d rows failed; %s tells why", counts["failed"], counts["rows"], folder / FAILURES_FILE)


def _reasons(failures: list[Failure]) -> str:
    counts = Counter(f"{failure.stage}: {failure.message}" for failure in failures)
    return "; ".join(f"{reason} ({count}x)" for reason, count in counts.most_common(REASONS_SHOWN))


def _report(info: dict[str, Any], folder: Path, watch: Stopwatch, *, skipped: bool) -> Report:
    counts = info["counts"]
    return Report(
        "ingest",
        rows_in=counts["rows"],
        rows_out=counts["items"],
        rows_failed=counts["failed"],
        seconds=watch.seconds,
        output=folder,
        groups=counts["groups"],
        held_out=counts["held_out"],
        fingerprint=info["fingerprint"],
        skipped=skipped,
    )


if __name__ == "__main__":
    run(main, IngestArgs)
