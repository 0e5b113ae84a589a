"""What a catalogue has that an index of an earlier state of it has not, and the other way round. Knows no vectors.

The vector of an item depends on its picture and on what is read of its texts: the caption and, of the attributes, the
first few tags. All else is shown, and filtered on.
"""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from fromage_model.catalogue import SCHEMA
from jobs.common.embeddings.items import VectorKind, texts_of

# When something was written is not part of what an item is: a second ingest of the same feed changes these alone.
TIMES = ("updated_at", "caption_at")
SHOWN_COLUMNS = tuple(name for name in SCHEMA.names if name not in ("id", *TIMES))


@dataclass(frozen=True)
class Changes:
    """Ids: `embed` are new or look or read otherwise, `keep` have other columns alone, `gone` are no longer there."""

    embed: list[str]
    keep: list[str]
    gone: list[str]

    def __bool__(self) -> bool:
        return bool(self.embed or self.keep or self.gone)


def changes_of(held: pa.Table, wanted: pa.Table, *, vectors: VectorKind, words: int) -> Changes:
    """What to do to an index that holds some items, so that it holds the catalogue's.

    `vectors` and `words` say what the index reads of an item.
    """
    embedded, shown = _embedded(held, vectors, words), _shown(held)
    embedded_now, shown_now = _embedded(wanted, vectors, words), _shown(wanted)
    embed = [id for id, made_of in embedded_now.items() if embedded.get(id) != made_of]
    again = set(embed)
    keep = [id for id, row in shown_now.items() if id not in again and shown[id] != row]
    return Changes(embed, keep, [id for id in embedded if id not in embedded_now])


def _embedded(items: pa.Table, vectors: VectorKind, words: int) -> dict[str, tuple[Any, ...]]:
    """Each id's picture and texts; where these are the same, so is the vector."""
    texts = [[]] * items.num_rows if vectors == "image" else texts_of(items, prompt="", words=words)
    return dict(zip(items["id"].to_pylist(), zip(items["image_sha256"].to_pylist(), texts, strict=True), strict=True))


def _shown(items: pa.Table) -> dict[str, tuple[Any, ...]]:
    """Each id's values; an empty cell of attributes is no attributes."""
    values = [[value or None for value in items[name].to_pylist()] for name in SHOWN_COLUMNS]
    return dict(zip(items["id"].to_pylist(), zip(*values, strict=True), strict=True))
