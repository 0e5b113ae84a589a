"""What catalogue.json says of an ingest, and whether that still holds. Knows nothing of command lines or of Ray."""

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fromage_model.catalogue.assemble import Assembled
from fromage_model.catalogue.feeds.feed import Feed
from fromage_model.catalogue.pictures.answers import Unreachable
from fromage_model.catalogue.pictures.links import read_dead_links
from fromage_model.catalogue.schema import HELD_OUT
from fromage_model.catalogue.table import FAILURES_FILE, fingerprint, read_info
from fromage_model.catalogue.upsert import Upserted
from fromage_model.errors import CatalogueError
from jobs.ingest.outcome import Outcome, readable


def info_of(
    feed: Feed, folder: Path | str, settings: dict[str, Any], outcome: Outcome, assembled: Assembled, upserted: Upserted
) -> dict[str, Any]:
    """What catalogue.json says. `rows` are `items`, `doubles` and `failed` together; files `left_out` are no rows."""
    table, failures = upserted.table, outcome.failures + assembled.failures
    return {
        "name": PurePosixPath(folder).name,
        "source": feed.source,
        "source_sha256": feed.sha256,
        "licence": feed.licence,
        "attribution": feed.attribution,
        "settings": settings,
        "fingerprint": fingerprint(table),
        "counts": {
            "rows": len(feed.rows),
            "items": table.num_rows,
            "doubles": len(assembled.doubles),
            "failed": len(failures),
            "failed_by_reason": dict(Counter(failure.error for failure in failures)),
            "left_out": len(outcome.left_out),
            "left_out_by_reason": dict(Counter(one.reason for one in outcome.left_out)),
            "near_duplicates": len(assembled.near),
            "groups": len(set(table["group"].to_pylist())),
            "held_out": table["split"].to_pylist().count(HELD_OUT),
            "added": upserted.added,
            "changed": upserted.changed,
            "unchanged": upserted.unchanged,
            "deleted": upserted.deleted,
            "pictures_not_sent_again": outcome.unchanged,
            "pictures_kept_because_unreachable": outcome.stale,
        },
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def reasons(info: dict[str, Any]) -> dict[str, int]:
    """How often rows failed, and files were left out, for which reason."""
    counts = info["counts"]
    left_out = {f"left out: {reason}": count for reason, count in counts["left_out_by_reason"].items()}
    return counts["failed_by_reason"] | left_out


def standing(folder: Path | str, *, settings: dict[str, Any], retry_dead_after_days: float) -> dict[str, Any] | None:
    """What catalogue.json says, if these settings made what is there, and no link is worth another try."""
    here = readable(folder)
    try:
        info = None if here is None else read_info(here)
        if here is None or info is None or info.get("settings") != json.loads(json.dumps(settings)):
            return None
        if not (here / FAILURES_FILE).is_file():
            return None
        return None if _worth_another_try(here, retry_dead_after_days=retry_dead_after_days) else info
    except (CatalogueError, pa.ArrowException):
        return None


def _worth_another_try(folder: Path, *, retry_dead_after_days: float) -> bool:
    """Whether a server or store was away when the catalogue was made, or a dead link has rested for long enough.

    Raises CatalogueError or ArrowException where a table is damaged.
    """
    now = datetime.now(UTC)
    if not all(link.rests(now, retry_dead_after_days) for link in read_dead_links(folder).values()):
        return True
    errors = pq.read_table(folder / FAILURES_FILE, columns=["error"], partitioning=None)["error"]
    return Unreachable.__name__ in errors.to_pylist()
