"""The durable jobs over small catalogues, each as a command that can be killed and started again.

Every hundredth picture is damaged, or an item without features: it must stand in the failures table, once. Of the feed
that is ingested, every hundredth row comes to the item of the row before: it must stand among the doubles, once.
"""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.features import SHARD_PATTERN
from fromage_model.catalogue.table import DOUBLES_FILE, FAILURES_FILE
from fromage_model.index import RetrievalIndex
from jobs.caption.failures import CAPTIONS_FOLDER
from jobs.common.durable import work_folder
from tests.benchmarks.common import shapes
from tests.jobs import tiny
from tests.pictures import encoded

ILL_EVERY = 100
# Large enough for a moment between shards, so that there is something to kill.
FEED_SIDE_PX = 400


@dataclass(frozen=True)
class Job:
    """A command, where it keeps its work, the rows that it must account for, and those that it does in the end.

    `undo` takes its output away, so that the same command does everything again.
    """

    name: str
    command: tuple[str, ...]
    work: Path
    expected: frozenset[str]
    found: Callable[[], list[str]]
    undo: Callable[[], object]


def embed(home: Path, rows: int, shard_rows: int) -> Job:
    catalogue = damaged_squares(home / "embedded", rows)
    features = home / "features"
    encoder = shapes.write_encoder(home / "clip", shapes.SHAPES["tiny"])
    options = ("--encoder", str(encoder), "--out", str(features), "--cpus-per-decoder", "0.25")
    return Job(
        "embed",
        command("embed", "--catalogue", str(catalogue.folder), *options, shard_rows=shard_rows),
        Path(work_folder(features)),
        frozenset(catalogue.table["id"].to_pylist()),
        lambda: ids_in(features, SHARD_PATTERN, FAILURES_FILE),
        lambda: shutil.rmtree(features),
    )


def caption(home: Path, rows: int, shard_rows: int) -> Job:
    catalogue = damaged_squares(home / "captioned", rows)
    folder = catalogue.folder / CAPTIONS_FOLDER
    bundle = tiny.write_bundle(home / "captioner", lm=tiny.write_lm(home / "lm"))
    options = ("--captioner", str(bundle), "--max-new-tokens", "6", "--cpus-per-decoder", "0.25")

    def found() -> list[str]:
        captioned = [item.id for item in Catalogue.open(catalogue.folder).items() if item.caption]
        return captioned + ids_in(folder, FAILURES_FILE)

    return Job(
        "caption",
        command("caption", "--catalogue", str(catalogue.folder), *options, shard_rows=shard_rows),
        Path(work_folder(f"{catalogue.folder}.captions")),
        frozenset(catalogue.table["id"].to_pylist()),
        found,
        lambda: damaged_squares(catalogue.folder, rows),
    )


def ingest(home: Path, rows: int, shard_rows: int) -> Job:
    """Its rows are known by their numbers in the feed, which items keep as an attribute."""
    feed = write_feed(home / "feed", rows)
    out = home / "ingested"

    def found() -> list[str]:
        numbers = [item.attributes["number"] for item in Catalogue.open(out).items()]
        return numbers + [str(row) for name in (DOUBLES_FILE, FAILURES_FILE) for row in column(out / name, "row")]

    options = ("--out", str(out), "--workers", "1")
    return Job(
        "ingest",
        command("ingest", "--source", str(feed), *options, shard_rows=shard_rows),
        Path(work_folder(out)),
        frozenset(str(number) for number in range(1, rows + 1)),
        found,
        lambda: shutil.rmtree(out),
    )


def index(home: Path, rows: int, shard_rows: int) -> Job:
    catalogue = tiny.write_squares(home / "indexed", colours=colours(rows))
    features = tiny.write_random_features(home / "random", catalogue, without=-(-rows // ILL_EVERY))
    out = home / "index"
    bundle = tiny.write_bundle(home / "bundle", lm=tiny.write_lm(home / "lm"))
    options = ("--bundle", str(bundle), "--features", str(features), "--out", str(out))
    return Job(
        "index",
        command("index", "--catalogue", str(catalogue.folder), *options, shard_rows=shard_rows),
        Path(work_folder(out)),
        frozenset(catalogue.table["id"].to_pylist()),
        lambda: [*RetrievalIndex.load(out).ids, *ids_in(out, FAILURES_FILE)],
        lambda: shutil.rmtree(out),
    )


JOBS = {make.__name__: make for make in (ingest, caption, embed, index)}


def command(job: str, *options: str, shard_rows: int) -> tuple[str, ...]:
    common = ("--shard-rows", str(shard_rows), "--threads", "1", "--max-failed", "0.05", "--cpus-per-worker", "0.5")
    return (sys.executable, "-m", f"jobs.{job}", *options, *common)


def damaged_squares(folder: Path, rows: int) -> Catalogue:
    """A catalogue without captions; its pictures are made after it, so that it does not know that some are damaged."""
    catalogue = tiny.write_squares(folder, colours=colours(rows), captions=dict.fromkeys(colours(rows)))
    for item in catalogue.items()[::ILL_EVERY]:
        catalogue.image_path(item.id).write_bytes(b"damaged")
    return catalogue


def write_feed(folder: Path, rows: int) -> Path:
    """A TSV of pictures beside it: the first of a hundred is damaged, the fifty-first names the item before it."""
    folder.mkdir(parents=True)
    lines = ["image\titem_url\tnumber"]
    for number, colour in enumerate(colours(rows)):
        picture = encoded(Image.new("RGB", (FEED_SIDE_PX, FEED_SIDE_PX), colour))
        (folder / f"{number}.png").write_bytes(picture if number % ILL_EVERY else b"damaged")
        item = number - (number % ILL_EVERY == ILL_EVERY // 2)
        lines.append(f"{number}.png\thttps://shop.example/{item}\t{number + 1}")
    feed = folder / "feed.tsv"
    feed.write_text("\n".join(lines) + "\n")
    return feed


def colours(rows: int) -> list[str]:
    return [f"#{number:06x}" for number in range(rows)]


def ids_in(folder: Path, *patterns: str) -> list[str]:
    """The ids in these files, each as often as it is there."""
    return [id for pattern in patterns for path in sorted(folder.glob(pattern)) for id in column(path, "id")]


def column(path: Path, name: str) -> list:
    return pq.read_table(path, columns=[name])[name].to_pylist()
