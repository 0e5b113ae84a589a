"""Products as a reply shows them, and what the catalogue says beside them. Plain values that cross a handle.

`offset` counts characters (Unicode code points) of a message's text: the position at which the products belong.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self
from urllib.parse import quote

import numpy as np

from fromage_model.index import Condition
from fromage_model.prompts.messages import Finished, TextDelta
from fromage_model.understanding import Said

PAGE_PATH = "/items/{id}"


def page_url(id: str) -> str:
    """The path of an item's own page."""
    return PAGE_PATH.format(id=quote(id, safe=""))


@dataclass(frozen=True)
class Product:
    """An item shown in a reply. `title`: a short name, where the catalogue has one beside the caption; `score`: cosine
    of the reply's retrieval embedding and the item's; `price`: as the catalogue has it, with its currency where that is
    told; `item_url`: an http(s) address; `page_url`: of its own page,
    a path on this server.
    """

    id: str
    caption: str
    item_url: str | None
    image_url: str
    score: float
    title: str | None = None
    brand: str | None = None
    price: str | None = None
    page_url: str = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "page_url", page_url(self.id))


@dataclass(frozen=True)
class Narrowing:
    """Which items a search may find: those that pass `filters` (by column), are not in `exclude` (ids) and have a
    cosine of at least `min_score`. Those that were `shown` (ids) come after others, unless they fit clearly better.

    `field` is where a client gave the filters: a refused one is named by it. `said` is the conversation, of which
    further filters are read, or nothing where none are to be; `asked` its last question: what it names comes first.
    `words` are what a hybrid search compares with what is said of items, and `text_weight`, from 0 to 1, how much that
    counts; None is as much as the server has it.
    """

    filters: Mapping[str, Condition] = dataclasses.field(default_factory=dict)
    exclude: frozenset[str] = frozenset()
    shown: frozenset[str] = frozenset()
    min_score: float | None = None
    field: str = "filters"
    said: tuple[Said, ...] = ()
    asked: str = ""
    words: str = ""
    text_weight: float | None = None

    def without(self, ids: Collection[str]) -> Self:
        """The same, and these items left out too."""
        return dataclasses.replace(self, exclude=self.exclude.union(ids))


@dataclass(frozen=True)
class Embedded:
    """A text's or a picture's retrieval embedding, (S,) float32 of length 1, and the tokens that the LM read for it."""

    embedding: np.ndarray = dataclasses.field(repr=False)
    tokens: int = 0


@dataclass(frozen=True)
class Caption:
    """A picture's caption, and how many tokens the LM read and wrote for it."""

    text: str
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class ItemCard:
    """All that the catalogue says of an item. `title` and `price` as a product's; `updated_at` and `caption_at` in ISO
    8601.
    """

    id: str
    caption: str | None
    title: str | None
    brand: str | None
    item_url: str | None
    image_url: str
    price: str | None
    attributes: Mapping[str, str]
    source: str
    group: str
    split: str
    caption_by: str | None
    caption_at: str | None
    updated_at: str
    page_url: str = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "page_url", page_url(self.id))


@dataclass(frozen=True)
class FoundItem:
    """An item that a search found. `score`: cosine of what was asked for and the item."""

    score: float
    item: ItemCard


@dataclass(frozen=True)
class Variant:
    """A picture at most `width` pixels wide, in a format."""

    width: int
    format: Literal["jpeg", "webp"]


@dataclass(frozen=True)
class ImageFile:
    """The picture of an item as it is served: its file, the file's type, and the sha256 of its bytes."""

    data: bytes
    media_type: str
    sha256: str


@dataclass(frozen=True)
class Examples:
    """What a question may name: a price that many items are below, with its currency, and a brand; None without."""

    price: str | None = None
    brand: str | None = None


@dataclass(frozen=True)
class ShelfInfo:
    """How many items can be found, whom the catalogue's licence wants named beside its pictures, and what to ask."""

    items: int
    attribution: str | None
    examples: Examples = Examples()


@dataclass(frozen=True)
class Selected:
    """What a search brought for a reply. `filters`: by which it was narrowed, those that were said among them;
    `unmet`: what was said too and left out, because no item is left with it.
    """

    products: Sequence[Product]
    filters: Mapping[str, Condition] = dataclasses.field(default_factory=dict)
    unmet: Mapping[str, Condition] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Products(Selected):
    """Products shown at a position of the reply's text, in characters."""

    offset: int = 0


ReplyEvent = TextDelta | Products | Finished
