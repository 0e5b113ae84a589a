"""What is remembered of URLs between one ingest and the next: validators of pictures, and links that are dead.

Knows nothing of fetching. Both tables lie in the catalogue's folder; without them everything is fetched anew.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from fromage_model.catalogue.schema import TIMESTAMP
from fromage_model.errors import CatalogueError

LINKS_FILE = "links.parquet"
DEAD_LINKS_FILE = "dead_links.parquet"

LINKS_SCHEMA = pa.schema(
    [
        pa.field("url", pa.string(), nullable=False),
        pa.field("file", pa.string(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("signature", pa.binary(), nullable=False),
        pa.field("etag", pa.string()),
        pa.field("last_modified", pa.string()),
    ]
)
DEAD_LINKS_SCHEMA = pa.schema(
    [
        pa.field("url", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("dead", pa.bool_(), nullable=False),
        pa.field("attempts", pa.int64(), nullable=False),
        pa.field("first_failed_at", TIMESTAMP, nullable=False),
        pa.field("last_failed_at", TIMESTAMP, nullable=False),
    ]
)


@dataclass(frozen=True)
class Link:
    """A URL's picture as it came last: where it lies in the catalogue, what it is, and the server's validators."""

    url: str
    file: str
    sha256: str
    signature: bytes
    etag: str | None
    last_modified: str | None


@dataclass(frozen=True)
class DeadLink:
    """A URL without a picture. `status` is the last reason; `dead`: the server answered that there is none."""

    url: str
    status: str
    dead: bool
    attempts: int
    first_failed_at: datetime
    last_failed_at: datetime

    def rests(self, now: datetime, days: float) -> bool:
        """Whether it is not asked again yet: it is dead, and `days` have not gone by."""
        return self.dead and now < self.last_failed_at + timedelta(days=days)


Row = TypeVar("Row", Link, DeadLink)


def failed_again(before: DeadLink | None, now_failed: DeadLink) -> DeadLink:
    """One more failure of a URL: attempts add up, the first date stays."""
    if before is None:
        return now_failed
    attempts = before.attempts + now_failed.attempts
    return replace(now_failed, attempts=attempts, first_failed_at=before.first_failed_at)


def read_links(folder: Path) -> dict[str, Link]:
    """By URL; those whose file is gone are left out. Raises CatalogueError where the table is of another form."""
    return {link.url: link for link in _read(folder / LINKS_FILE, LINKS_SCHEMA, Link) if (folder / link.file).is_file()}


def read_dead_links(folder: Path) -> dict[str, DeadLink]:
    """By URL. Raises as `read_links` does."""
    return {link.url: link for link in _read(folder / DEAD_LINKS_FILE, DEAD_LINKS_SCHEMA, DeadLink)}


def write_links(folder: Path, links: Iterable[Link], dead: Iterable[DeadLink]) -> None:
    """Write both tables into `folder`, in the order of the URLs; they are there, empty, without any."""
    for name, rows, schema in (
        (LINKS_FILE, list[Link | DeadLink](links), LINKS_SCHEMA),
        (DEAD_LINKS_FILE, list[Link | DeadLink](dead), DEAD_LINKS_SCHEMA),
    ):
        ordered = [vars(row) for row in sorted(rows, key=lambda row: row.url)]
        pq.write_table(pa.Table.from_pylist(ordered, schema=schema), folder / name)


def _read(path: Path, schema: pa.Schema, kind: type[Row]) -> Sequence[Row]:
    if not path.is_file():
        return []
    try:
        return [kind(**row) for row in pq.read_table(path, partitioning=None).cast(schema).to_pylist()]
    except (pa.ArrowException, ValueError) as error:
        raise CatalogueError(f"{path} is not the table that it should be: {error}; remove it") from error
