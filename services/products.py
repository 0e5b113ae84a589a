"""Products as a reply shows them, and what the catalogue says beside them. Plain values that cross a handle.

`offset` counts characters (Unicode code points) of a message's text: the position at which the products belong.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fromage_model.prompts.messages import Finished, TextDelta


@dataclass(frozen=True)
class Product:
    """An item shown in a reply. `score`: cosine of the reply's retrieval embedding and the item's."""

    id: str
    caption: str
    item_url: str | None
    image_url: str
    score: float


@dataclass(frozen=True)
class ImageFile:
    """The picture of an item as it is served: its file, the file's type, and the sha256 of its bytes."""

    data: bytes
    media_type: str
    sha256: str


@dataclass(frozen=True)
class ShelfInfo:
    """How many items can be found, and whom the catalogue's licence wants named beside its pictures."""

    items: int
    attribution: str | None


@dataclass(frozen=True)
class Products:
    """Products shown at a position of the reply's text, in characters."""

    products: Sequence[Product]
    offset: int


ReplyEvent = TextDelta | Products | Finished
