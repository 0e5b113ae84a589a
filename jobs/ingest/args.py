"""What an ingest is told on its command line. Knows nothing of feeds."""

from dataclasses import dataclass
from typing import Any

from fromage_model.catalogue.feeds.columns import parse_columns
from fromage_model.catalogue.feeds.datasets import conceptual
from fromage_model.catalogue.feeds.datasets.named import split_source
from fromage_model.catalogue.wardrobe import feed as wardrobe
from fromage_model.errors import ConfigError
from jobs.ingest.sources import WARDROBE

SIDE_PX = 224
MAX_FAILED = 0.01
# Conceptual Captions was published in 2018, and its links have been dying since.
MAX_FAILED_LINKS = 0.5


@dataclass(frozen=True)
class IngestArgs:
    """Make a catalogue, or bring one up to date."""

    source: str = WARDROBE
    """Where items come from: wardrobe, openmoji, openclipart, or a path or fsspec URI (s3://, gs://) of a folder of
    pictures, a TSV or CSV with an image column, parquet, arrow, or the original's embeddings .pkl; with a *, of several
    files. Data sets from their official files: coco-karpathy:FOLDER, vqav2:FOLDER, conceptual-captions:FILE."""
    encoding: str = "utf-8"
    """How a TSV or CSV is encoded, e.g. utf-8, cp1252 or utf-16."""
    columns: str = ""
    """What a TSV, CSV, parquet or arrow file calls image, caption, item_url, brand and group, where it has other names
    for them: image=URL,caption=TEXT for LAION's. A column that such a name stands in the place of is left out."""
    folder: str | None = None
    """Where Open Clip Art's folders png and svg are. Without it, where Debian's packages put them."""
    items: int | None = None
    """How many garments of the wardrobe to draw. Without it, 4,000; the first ones are the same for any number."""
    seed: int | None = None
    """Which wardrobe to draw: the same seed gives the same garments, byte for byte. Without it, 0."""
    out: str | None = None
    """Name, folder or fsspec URI of the catalogue. Without it, the name of the source."""
    held_out: int | None = None
    """Least number of items to hold out of training. Without it, 300 for openmoji, a tenth of any other source,
    and of the wardrobe what it holds out itself: whole kinds, and combinations of kind, colour and pattern."""
    drop_near_duplicates: bool = False
    """Drop an item whose picture is nearly that of an earlier one. near_duplicates.parquet names them either way."""
    side_px: int | None = None
    """Width and height in pixels at which drawings (SVG) are rasterised. Without it, 384 for the wardrobe, else 224."""
    max_image_mib: float = 20.0
    """Largest picture that is read, in MiB; a larger one is a failed row."""
    max_image_megapixels: float = 50.0
    """Most pixels of a picture that is read, in millions; a larger one is a failed row."""
    allow_private: bool = False
    """Fetch from private, loopback and link-local addresses too. Only for a feed that you wrote yourself."""
    per_host: int = 8
    """Most requests that one host gets at the same time, from all actors together."""
    at_once: int = 64
    """Most pictures that are fetched at the same time, by all actors together."""
    attempts: int = 3
    """Tries of a URL whose server does not answer, or not now; pauses between them double from half a second."""
    connect_timeout_s: float = 10.0
    """Seconds to wait for a connection."""
    read_timeout_s: float = 20.0
    """Seconds to wait for the next bytes."""
    total_timeout_s: float = 60.0
    """Seconds that one try may take in all."""
    retry_dead_after_days: float = 7.0
    """Days before a link is asked again of which the server said that there is no picture."""
    max_failed: float | None = None
    """Largest share of rows that may fail; with more the job ends with exit code 1, and what succeeded is kept. Without
    it, 0.01, and 0.5 of conceptual-captions, of whose links many are dead by now."""
    retry_failed: bool = False
    """Ask again now: rows that failed, and dead links."""
    allow_shrink: bool = False
    """Accept a feed, or a catalogue, that lost half of its rows or more."""
    shard_rows: int = 256
    """Rows that are kept at once when done: what a kill can cost each worker."""
    workers: int = 2
    """Ray Data actors that fetch and check pictures."""
    cpus_per_worker: float = 0.5
    """CPUs that each actor reserves; fetching mostly waits."""
    threads: int = 4
    """Threads of each actor that read files and check pictures."""
    force: bool = False
    """Look at every picture again even where the catalogue is up to date, and drop what a killed run left."""

    def __post_init__(self) -> None:
        for name in ("per_host", "at_once", "attempts", "shard_rows", "workers", "threads", "side_px"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ConfigError(f"{name}: expected at least 1, got {getattr(self, name)}")
        parse_columns(self.columns)
        split_source(self.source)
        if self.source == WARDROBE:
            wardrobe.check(**self.garments)
        for name in ("items", "seed"):
            if self.source != WARDROBE and getattr(self, name) is not None:
                raise ConfigError(f"{name} goes with --source {WARDROBE} alone; {self.source} has what it has")

    @property
    def garments(self) -> dict[str, int]:
        """What decides a wardrobe."""
        items, seed = self.items, self.seed
        return {"items": wardrobe.ITEMS if items is None else items, "seed": wardrobe.SEED if seed is None else seed}

    @property
    def allowed_to_fail(self) -> float:
        if self.max_failed is not None:
            return self.max_failed
        dataset = split_source(self.source)
        return MAX_FAILED_LINKS if dataset is not None and dataset[0].name == conceptual.NAME else MAX_FAILED

    @property
    def drawn_px(self) -> int:
        return self.side_px or (wardrobe.SIDE_PX if self.source == WARDROBE else SIDE_PX)

    @property
    def reading(self) -> dict[str, Any]:
        """What `read_source` takes beside the source."""
        drawn = self.garments if self.source == WARDROBE else {}
        return {"encoding": self.encoding, "columns": parse_columns(self.columns)} | drawn
