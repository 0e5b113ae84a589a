"""What an index says about itself in `index.json`. Knows nothing of the vectors and items beside it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fromage_model.errors import ConfigError, RetrievalIndexError
from fromage_model.index.plan import KINDS, Kind
from fromage_model.storage.file_kinds import read_json

FORMAT = 2
# 1: one `vectors.npy` and one `items.parquet`, always exact. Opened as before, and written as 2.
KNOWN_FORMATS = (1, FORMAT)
INFO_FILE = "index.json"
DTYPES = ("float32", "float16")
MADE_OF = ("image", "caption", "both")
TEXTS = ("fingerprint", "catalogue", "created_by", "reason")


@dataclass(frozen=True)
class Measured:
    """How a search by faiss compares with the exact one, on the rows that the index had when it was built.

    `queries_of` says what was asked: `apart` (vectors that are not in the index) or `leave-one-out` (indexed vectors,
    each without itself). `effort` is the efSearch of HNSW or the nprobe of IVF that the build settled on. Of searches
    that a filter leaves less than `exact_below` of the rows (a share), all are exact: there it was faster, or the other
    way missed too much. `median_ms` is one query at a time, on the machine that built.
    """

    recall_at_10: float
    queries: int
    queries_of: str
    effort: int
    exact_below: float
    median_ms: float
    exact_median_ms: float


@dataclass(frozen=True)
class Sentences:
    """Of an index for hybrid search: by which sentence encoder (a name, a hub id or a folder) the items' texts were
    embedded, its fingerprint, the width of what it makes, and how a search by faiss does among these.
    """

    encoder: str
    fingerprint: str
    width: int
    measured: Measured | None = None


@dataclass(frozen=True)
class IndexInfo:
    """What `index.json` says. `vectors`: what an item's vector is made of, `image`, `caption` or `both`, of which then
    `picture_share` is the picture's; `words`: how many of an item's words were read beside its caption.

    `sentences`: what items' texts were embedded by, where they were, for hybrid search.

    `rows` counts the items, `segments` the stored vectors file by file; `tombstones` of these are deleted or replaced.
    Raises ConfigError, naming the field, for a value that can't be.
    """

    fingerprint: str
    catalogue: str
    catalogue_fingerprint: str | None
    rows: int
    width: int
    created_by: str
    format: int = FORMAT
    vectors: str = "image"
    kind: Kind = "exact"
    reason: str = ""
    dtype: str = "float32"
    segments: tuple[int, ...] = ()
    tombstones: int = 0
    measured: Measured | None = None
    picture_share: float = 0.5
    words: int = 0
    sentences: Sentences | None = None

    def __post_init__(self):
        checks = [(name, isinstance(getattr(self, name), str), "a text") for name in TEXTS]
        known = self.catalogue_fingerprint is None or isinstance(self.catalogue_fingerprint, str)
        checks += [
            ("catalogue_fingerprint", known, "a text or None"),
            ("vectors", _is_among(MADE_OF, self.vectors), " or ".join(MADE_OF)),
            ("kind", _is_among(KINDS, self.kind), " or ".join(KINDS)),
            ("dtype", _is_among(DTYPES, self.dtype), " or ".join(DTYPES)),
            ("picture_share", _is_share(self.picture_share), "a number from 0 to 1"),
            ("segments", bool(self.segments) and all(map(_is_count, self.segments)), "counts, at least one"),
        ]
        checks += [
            (name, _is_count(getattr(self, name)), "a count") for name in ("rows", "width", "tombstones", "words")
        ]
        for name, holds, expected in checks:
            if not holds:
                raise ConfigError(f"{name} is {getattr(self, name)!r:.80}; expected {expected}")

    @property
    def stored(self) -> int:
        """Vectors on disk, tombstones among them."""
        return self.rows + self.tombstones

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def read_info(folder: Path) -> IndexInfo:
    """What an index's folder says about itself. Raises RetrievalIndexError for a missing file or another form."""
    try:
        fields = read_json(folder / INFO_FILE)
        if fields["format"] not in KNOWN_FORMATS:
            raise RetrievalIndexError(f"{folder}: expected index format 1 or {FORMAT}, got {fields['format']}")
        measured = fields.pop("measured", None)
        segments = tuple(fields.pop("segments", None) or (fields["rows"],))
        sentences = _sentences(fields.pop("sentences", None))
        measured = Measured(**measured) if measured else None
        info = IndexInfo(**fields, segments=segments, measured=measured, sentences=sentences)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, ConfigError) as error:
        raise RetrievalIndexError(
            f"{folder}: index.json can't be read ({error!r}). `python -m jobs.index` makes it again"
        ) from error
    if sum(info.segments) != info.stored:
        raise RetrievalIndexError(
            f"{folder}: index.json tells of {info.rows} items and {info.tombstones} tombstones, but of segments of "
            f"{sum(info.segments)} rows"
        )
    return info


def _sentences(fields: dict[str, Any] | None) -> Sentences | None:
    if fields is None:
        return None
    measured = fields.pop("measured", None)
    return Sentences(**fields, measured=Measured(**measured) if measured else None)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _is_among(texts: Sequence[str], value: Any) -> bool:
    return isinstance(value, str) and value in texts
