"""What `jobs.ingest` does between a feed and a catalogue: which rows to fetch, what came, and what is written.

Knows nothing of command lines, and of Ray only that `DurableRun` takes it.
"""

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fromage_model.catalogue.assemble import Assembled, Picture
from fromage_model.catalogue.feeds.feed import Feed, FeedRow
from fromage_model.catalogue.pictures.answers import DeadLink as NoPicture
from fromage_model.catalogue.pictures.answers import Unreachable
from fromage_model.catalogue.pictures.links import (
    DeadLink,
    Link,
    failed_again,
    read_dead_links,
    read_links,
    write_links,
)
from fromage_model.catalogue.schema import Failure, LeftOut
from fromage_model.catalogue.table import (
    IMAGES_FOLDER,
    INFO_FILE,
    Catalogue,
    is_catalogue,
    write_catalogue,
    write_doubles,
    write_left_out,
)
from fromage_model.catalogue.upsert import Before, Upserted, read_origins, write_origins
from fromage_model.errors import CatalogueError, WriteError
from fromage_model.storage.artefacts import locate
from fromage_model.storage.files import WEB_SCHEMES, read_bytes, scheme_of
from jobs.common.durable import DurableRun, Files
from jobs.common.durable.publish import read_marker
from jobs.common.reporting.page import samples_of, spread, write_page
from jobs.common.reporting.report import Progress, Report
from jobs.ingest.fetching import WANTED

ROWS_PER_TABLE = 4096
REASONS_SHOWN = 3


@dataclass(frozen=True)
class Known:
    """What the catalogue that is there knows: its items, its links by URL, its dead links.

    `here` is where its files are read: `folder`, or a copy of what is behind that URI.
    """

    folder: Path | str
    here: Path | None = None
    info: dict[str, Any] = field(default_factory=dict)
    before: Before | None = None
    links: dict[str, Link] = field(default_factory=dict)
    dead: dict[str, DeadLink] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path | str) -> "Known":
        """Of nothing, nothing. Raises CatalogueError where a table is of another form."""
        here = readable(folder)
        if here is None:
            return cls(folder)
        catalogue = Catalogue.open(here)
        before = Before.of(catalogue.table, read_origins(here))
        return cls(folder, here, catalogue.info, before, read_links(here), read_dead_links(here))

    @property
    def pictures(self) -> set[str]:
        """The files of pictures in the catalogue's folder."""
        return {record["image"] for record in self.before.records.values()} if self.before else set()

    def digest(self, *, retry_failed: bool) -> str:
        """A hash over what the rows to fetch depend on beside the feed: which ingest made the catalogue, its links."""
        asks_dead = retry_failed and any(link.dead for link in self.dead.values())
        digest = hashlib.sha256(f"{self.info.get('made_at')} {asks_dead}\n".encode())
        for link in self.links.values():
            digest.update(f"{link.url} {link.sha256} {link.etag} {link.last_modified}\n".encode("utf-8", "replace"))
        for dead in self.dead.values():
            digest.update(f"{dead.url} {dead.dead} {dead.last_failed_at}\n".encode("utf-8", "replace"))
        return digest.hexdigest()

    def refuse_shrinking(self, what: str, now: int, before: int | None) -> None:
        """Raises CatalogueError where half or more would be gone."""
        if before and now * 2 <= before:
            raise CatalogueError(
                f"the {what} of {self.folder} would shrink from {before:,} to {now:,}; nothing was changed. "
                "If that is meant: --allow-shrink"
            )


@dataclass
class Outcome:
    """What came of every row of a feed: a picture or a failure, what is remembered of links, and what was no row."""

    pictures: list[Picture] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    links: dict[str, Link] = field(default_factory=dict)
    dead: dict[str, DeadLink] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    unchanged: int = 0
    stale: int = 0

    def reasons(self) -> str:
        """The most frequent reasons of failures, in words."""
        counts = Counter(f"{failure.stage}: {failure.message}" for failure in self.failures)
        return "; ".join(f"{reason} ({count}x)" for reason, count in counts.most_common(REASONS_SHOWN))


def readable(folder: Path | str) -> Path | None:
    """Where the files of a catalogue can be read: its folder, or a copy of what is behind a URI; None without any."""
    if isinstance(folder, str):
        return locate("catalogue", folder) if read_marker(folder, INFO_FILE) is not None else None
    return folder if is_catalogue(folder) else None


def wanted(
    feed: Feed, known: Known, *, retry_dead_after_days: float, retry_failed: bool, force: bool
) -> Iterator[pa.Table]:
    """The rows to fetch, WANTED, with what is known of their pictures; not those that are bad, nor dead links.

    With `force` nothing is known of pictures: servers are to send each again.
    """
    now = datetime.now(UTC)
    rows = []
    for row in feed.rows:
        rests = row.image in known.dead and known.dead[row.image].rests(now, retry_dead_after_days)
        if row.problem is None and (retry_failed or not rests):
            rows.append(_wanted_row(row, None if force else known.links.get(row.image)))
        if len(rows) == ROWS_PER_TABLE:
            yield pa.Table.from_pylist(rows, schema=WANTED)
            rows = []
    yield pa.Table.from_pylist(rows, schema=WANTED)


def collect(feed: Feed, known: Known, run: DurableRun) -> Outcome:
    """What a finished run, and what is known, say of every row of the feed."""
    outcome = Outcome(left_out=feed.left_out)
    by_number = {row.row: row for row in feed.rows}
    for table in run.tables():
        for came in table.to_pylist():
            _add_picture(outcome, by_number[came["row"]], came)
    failures = [Failure(**row) for table in run.failures() for row in table.to_pylist()]
    for failure in failures:
        _add_failure(outcome, by_number[failure.row], failure, known)
    accounted = {picture.row for picture in outcome.pictures} | {failure.row for failure in outcome.failures}
    for number, row in by_number.items():
        if number not in accounted:
            outcome.failures.append(_not_fetched(row, known))
            if row.image in known.dead:
                outcome.dead[row.image] = known.dead[row.image]
    return outcome


def write(
    scratch: Path, outcome: Outcome, assembled: Assembled, upserted: Upserted, *, known: Known, work: str, info: dict
) -> None:
    """All files of the catalogue into `scratch`: pictures are linked from where they were fetched, or were before.

    Those of a catalogue behind a URI are in their place already.
    """
    shown = set(upserted.table["image"].to_pylist())
    links = [link for link in outcome.links.values() if link.file in shown]
    if isinstance(known.folder, Path):
        (scratch / IMAGES_FOLDER).mkdir()
        for file in shown:
            fetched = Path(work, file)
            _link(fetched if fetched.is_file() else known.folder / file, scratch / file)
    write_catalogue(scratch, table=upserted.table, failures=outcome.failures + assembled.failures, info=info)
    write_doubles(scratch, assembled.doubles, assembled.near)
    write_left_out(scratch, outcome.left_out)
    write_origins(scratch, upserted.origins)
    write_links(scratch, links, outcome.dead.values())


def remove_pictures(known: Known, shown: set[str]) -> None:
    """Remove pictures of before that no item shows, where the catalogue is behind a URI and was not replaced whole."""
    if isinstance(known.folder, str):
        files = Files(f"{known.folder}/{IMAGES_FOLDER}")
        for file in known.pictures - shown:
            files.remove(file.removeprefix(f"{IMAGES_FOLDER}/"))


def write_report(
    scratch: Path, report: Report, progress: Progress, table: pa.Table, folder: Path | str, *, reasons: dict[str, int]
) -> None:
    """The page about what was done, beside the catalogue's other files."""
    rows = table.take(spread(len(table))).select(["id", "image", "caption"]).to_pylist()
    image_of = {row["id"]: row["image"] for row in rows}
    root = folder if isinstance(folder, str) else scratch
    write_page(
        scratch,
        figures=report.as_dict(),
        points=progress.points,
        reasons=reasons,
        samples=samples_of(rows, lambda id: read_bytes(f"{root}/{image_of[id]}")),
    )


def _wanted_row(row: FeedRow, link: Link | None) -> dict[str, Any]:
    before = None
    if link is not None:
        before = {name: value for name, value in vars(link).items() if name != "url"}
    cell = None if row.cell is None else asdict(row.cell)
    own = {"svg": row.svg, "data_url": row.data_url, "cell": cell}
    return {"row": row.row, "image": row.image, "before": before, **own}


def _add_picture(outcome: Outcome, row: FeedRow, came: dict[str, Any]) -> None:
    small = None if came["thumbnail"] is None else np.frombuffer(came["thumbnail"], dtype=np.uint8)
    outcome.pictures.append(Picture(row.row, came["file"], came["sha256"], small, came["signature"]))
    outcome.unchanged += came["unchanged"]
    if scheme_of(row.image) in WEB_SCHEMES:
        names = ("file", "sha256", "signature", "etag", "last_modified")
        outcome.links[row.image] = Link(url=row.image, **{name: came[name] for name in names})


def _add_failure(outcome: Outcome, row: FeedRow, failure: Failure, known: Known) -> None:
    """A failure; but where a server is only away, the picture that it gave before stays."""
    if failure.error in (Unreachable.__name__, NoPicture.__name__) and scheme_of(row.image) in WEB_SCHEMES:
        dead = failure.error == NoPicture.__name__
        at = failure.failed_at
        newest = DeadLink(row.image, failure.message, dead, failure.attempts, at, at)
        outcome.dead[row.image] = failed_again(known.dead.get(row.image), newest)
    link = known.links.get(row.image)
    if failure.error == Unreachable.__name__ and link is not None:
        outcome.stale += 1
        outcome.links[row.image] = link
        outcome.pictures.append(Picture(row.row, link.file, link.sha256, None, link.signature))
    else:
        outcome.failures.append(failure)


def _not_fetched(row: FeedRow, known: Known) -> Failure:
    """Why a row was not even tried: it is bad, or its link is dead."""
    now = datetime.now(UTC)
    if row.problem is not None:
        return Failure(row.row, None, row.image or None, "feed", "BadRow", row.problem, 0, now)
    link = known.dead[row.image]
    message = f"{link.status} on {link.last_failed_at:%Y-%m-%d}; not asked again yet, --retry-failed does"
    return Failure(row.row, None, row.image, "fetch", NoPicture.__name__, message, 0, now)


def _link(source: Path, target: Path) -> None:
    """A hard link, or a copy where the file system has none. Raises WriteError where neither can be made."""
    try:
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)
    except OSError as error:
        raise WriteError(f"{target} can't be written: {error.strerror or error}") from error
