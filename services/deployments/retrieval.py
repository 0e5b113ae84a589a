"""The retrieval deployment: a retrieval embedding -> products, an id -> its picture. Knows nothing of chats."""

import asyncio
import io
import math
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import partial
from urllib.parse import quote, urlsplit

import numpy as np
from ray import serve

from fromage_model.catalogue import Catalogue, Item
from fromage_model.errors import CatalogueError, InvalidInput
from fromage_model.index import DEFAULT_TEXT_WEIGHT, Hit, RetrievalIndex
from fromage_model.understanding.vocabulary import Vocabulary
from fromage_model.vision.images import decode_image, image_format
from services.deployments.selection import Selection, Selector
from services.deployments.sentences import sentences_of
from services.deployments.thumbnails import Thumbnails
from services.errors import NotFound
from services.products import (
    Examples,
    FoundItem,
    ImageFile,
    ItemCard,
    Narrowing,
    Product,
    Selected,
    ShelfInfo,
    Variant,
)
from services.swapping.board import Board
from services.swapping.held import Held
from services.swapping.pairs import FoundIndex, Pair, Wanted, find_index
from services.telemetry.metrics import RETRIEVAL_SECONDS
from services.telemetry.replica import begin_telemetry

IMAGE_PATH = "/v1/items/{id}/image"
# What browsers show as it is. Anything else, a TIFF or HEIC, is sent as JPEG.
SHOWN = frozenset(("JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF"))


class ProductShelf:
    """An index and the catalogue that its pictures are in."""

    def __init__(
        self,
        index: RetrievalIndex,
        catalogue: Catalogue,
        thumbnails: Thumbnails | None = None,
        *,
        text_weight: float = DEFAULT_TEXT_WEIGHT,
    ):
        """`text_weight`: what words count in an index for hybrid search. Raises as `sentences_of`."""
        self.index = index
        self.catalogue = catalogue
        self.thumbnails = thumbnails or Thumbnails()
        sentences = sentences_of(index.info, text_weight=text_weight)
        self._selector = Selector(index, sentences, text_weight=text_weight)

    def search(self, embedding: np.ndarray, *, top_k: int, narrowing: Narrowing = Narrowing()) -> Selected:
        """The products nearest to a retrieval embedding (S,), best first. Raises InvalidInput as `check`."""
        found = self._select(embedding, top_k, narrowing)
        return Selected([_product(hit) for hit in found.hits], found.filters, found.unmet)

    def search_items(self, embedding: np.ndarray, *, top_k: int, narrowing: Narrowing) -> list[FoundItem]:
        """As `search`, with all that the catalogue says of each."""
        hits = self._select(embedding, top_k, narrowing).hits
        return [FoundItem(score=round(hit.score, 4), item=_card(hit.item)) for hit in hits]

    def _select(self, embedding: np.ndarray, top_k: int, narrowing: Narrowing) -> Selection:
        with _named(narrowing), RETRIEVAL_SECONDS.timed():
            return self._selector.select(embedding, top_k=top_k, narrowing=narrowing)

    def check(self, narrowing: Narrowing) -> None:
        """Raises InvalidInput, naming the field, for a filter or a weight that this index can't be searched by."""
        with _named(narrowing):
            self._selector.check(narrowing)

    def item(self, id: str) -> ItemCard:
        """What the catalogue says of an item. Raises NotFound for an id that the index does not hold."""
        return _card(self._item(id))

    def embedding(self, id: str) -> np.ndarray:
        """(S,), by which the item is found. Raises NotFound."""
        self._item(id)
        return self.index.vectors_for([id])[0]

    def _item(self, id: str) -> Item:
        if id not in self.index:
            raise NotFound(f"there is no item {id!r:.80}", field="id")
        return self.index.item(id)

    def image(self, id: str, variant: Variant | None = None) -> ImageFile:
        """The picture of an item, as it is or a variant of it. Raises NotFound for an id that the index does not hold
        or a picture that is gone.
        """
        item = self._item(id)
        try:
            if variant is not None:
                return self.thumbnails.get(item.image_sha256, variant, lambda: self.catalogue.image_bytes(id))
            data, media_type = _for_browsers(self.catalogue.image_bytes(id))
        except (CatalogueError, InvalidInput) as error:
            raise NotFound(f"item {id!r} has no picture that can be shown", field="id") from error
        return ImageFile(data, media_type, item.image_sha256)

    def describe(self) -> ShelfInfo:
        attribution = self.catalogue.info.get("attribution")
        return ShelfInfo(
            items=len(self.index),
            attribution=str(attribution) if attribution else None,
            examples=_examples(self._selector.reader.vocabulary),
        )


@serve.deployment(name="retrieval")
class RetrievalDeployment:
    """Holds the indexes of pairs, each made by its bundle; `pair` None is the one that was asked for last."""

    def __init__(
        self,
        pair: Pair,
        board: Board | None = None,
        *,
        thumbnail_bytes: int = 0,
        idle_s: float = 120.0,
        text_weight: float = DEFAULT_TEXT_WEIGHT,
    ):
        """`thumbnail_bytes`: of resized pictures that are kept. `idle_s`: seconds after which an index that is not
        asked for any more is let go of. `text_weight`: as a shelf's.
        """
        begin_telemetry()
        self._board = board
        open_one = partial(open_shelf, thumbnails=Thumbnails(max_bytes=thumbnail_bytes), text_weight=text_weight)
        self._held: Held[ProductShelf] = Held(open_one, idle_s=idle_s)
        noted = board.read() if board else None
        first = noted.pair if noted else pair
        self._held.add(first.id, open_one(first))

    async def search(
        self, embedding: np.ndarray, *, top_k: int, narrowing: Narrowing, pair: Pair | None = None
    ) -> Selected:
        async with self._using(pair) as shelf:
            return await asyncio.to_thread(shelf.search, embedding, top_k=top_k, narrowing=narrowing)

    async def check(self, narrowing: Narrowing, *, pair: Pair | None = None) -> None:
        async with self._using(pair) as shelf:
            await asyncio.to_thread(shelf.check, narrowing)

    async def search_items(
        self, embedding: np.ndarray, *, top_k: int, narrowing: Narrowing, pair: Pair | None = None
    ) -> list[FoundItem]:
        async with self._using(pair) as shelf:
            return await asyncio.to_thread(shelf.search_items, embedding, top_k=top_k, narrowing=narrowing)

    async def item(self, id: str, *, pair: Pair | None = None) -> ItemCard:
        async with self._using(pair) as shelf:
            return await asyncio.to_thread(shelf.item, id)

    async def embedding(self, id: str, *, pair: Pair | None = None) -> np.ndarray:
        async with self._using(pair) as shelf:
            return await asyncio.to_thread(shelf.embedding, id)

    async def image(self, id: str, variant: Variant | None = None, *, pair: Pair | None = None) -> ImageFile:
        async with self._using(pair) as shelf:
            return await asyncio.to_thread(shelf.image, id, variant)

    async def describe(self, pair: Pair | None = None) -> ShelfInfo:
        """Opens the pair's index where that is not open yet. Raises what `open_shelf` raises."""
        async with self._using(pair) as shelf:
            return shelf.describe()

    async def find(self, wanted: Wanted) -> FoundIndex:
        """Raises what `find_index` raises."""
        return await asyncio.to_thread(find_index, wanted)

    async def check_health(self) -> None:
        """Serve asks now and then: a moment to do what the board says, and to let go of what nobody needs."""
        self._held.sweep()
        noted = await asyncio.to_thread(self._board.read) if self._board else None
        if noted is not None and noted.pair.id not in self._held:
            await self.describe(pair=noted.pair)

    def _using(self, pair: Pair | None) -> AbstractAsyncContextManager[ProductShelf]:
        return self._held.using(self._held.last[0]) if pair is None else self._held.using(pair.id, pair)


def open_shelf(
    pair: Pair, *, thumbnails: Thumbnails | None = None, text_weight: float = DEFAULT_TEXT_WEIGHT
) -> ProductShelf:
    """Raises MissingArtefact, RetrievalIndexError, CatalogueError, or FingerprintMismatch."""
    index = RetrievalIndex.load(pair.index, fingerprint=pair.fingerprint)
    return ProductShelf(index, Catalogue.open(pair.catalogue), thumbnails, text_weight=text_weight)


@contextmanager
def _named(narrowing: Narrowing) -> Iterator[None]:
    """The index names a filter `filter`; who is told knows it by the name of a field, and a weight by one beside it."""
    try:
        yield
    except InvalidInput as error:
        head, dot, column = (error.field or "").partition(".")
        if head == "text_weight":
            raise InvalidInput(str(error), field=narrowing.field.removesuffix("filters") + head) from error
        if head != "filter":
            raise
        raise InvalidInput(str(error), field=f"{narrowing.field}{dot}{column}") from error


def _for_browsers(data: bytes) -> tuple[bytes, str]:
    """A picture's file, or one that browsers show, and its media type. Raises ImageError."""
    if (found := image_format(data)) in SHOWN:
        return data, f"image/{found.lower()}"
    file = io.BytesIO()
    decode_image(data).save(file, "JPEG", quality=90)
    return file.getvalue(), "image/jpeg"


def _product(hit: Hit) -> Product:
    return Product(
        id=hit.id,
        caption=hit.item.caption or "",
        item_url=_web_link(hit.item.item_url),
        image_url=_image_url(hit.id),
        score=round(hit.score, 4),
        title=_title(hit.item.attributes),
        brand=hit.item.brand,
        price=_price(hit.item.attributes),
    )


def _price(attributes: Mapping[str, str]) -> str | None:
    """As the catalogue writes it, with its currency behind a bare number where that is an attribute of its own."""
    price, currency = (attributes.get(name, "").strip() for name in ("price", "currency"))
    bare = price.replace(".", "").replace(",", "").isdecimal()
    return f"{price} {currency}".strip() if bare else price or None


def _title(attributes: Mapping[str, str]) -> str | None:
    return attributes.get("title", "").strip() or None


def _examples(vocabulary: Vocabulary) -> Examples:
    price = vocabulary.price
    if price is None or len(price.currencies) != 1:
        return Examples(brand=vocabulary.brand)
    return Examples(f"{_rounded(price.usual):g} {next(iter(price.currencies))}", vocabulary.brand)


def _rounded(amount: float) -> float:
    """To one digit, two from a hundred on: what people name."""
    step = 10 ** (math.floor(math.log10(amount)) - (amount >= 100)) if amount > 0 else 1
    return max(step, round(amount / step) * step)


def _card(item: Item) -> ItemCard:
    return ItemCard(
        id=item.id,
        caption=item.caption,
        title=_title(item.attributes),
        brand=item.brand,
        item_url=_web_link(item.item_url),
        image_url=_image_url(item.id),
        price=_price(item.attributes),
        attributes=item.attributes,
        source=item.source,
        group=item.group,
        split=item.split,
        caption_by=item.caption_by,
        caption_at=item.caption_at.isoformat() if item.caption_at else None,
        updated_at=item.updated_at.isoformat(),
    )


def _image_url(id: str) -> str:
    return IMAGE_PATH.format(id=quote(id, safe=""))


def _web_link(link: str | None) -> str | None:
    """A link that is not http(s) or none at all, as a feed may bring (`javascript:`, `http://[shop]`), is dropped."""
    try:
        return link if link and urlsplit(link).scheme in ("http", "https") else None
    except ValueError:
        return None
