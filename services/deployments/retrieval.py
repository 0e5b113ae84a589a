"""The retrieval deployment: a retrieval embedding -> products, an id -> its picture. Knows nothing of chats."""

import asyncio
import io
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, urlsplit

import numpy as np
from ray import serve

from fromage_model.catalogue import Catalogue
from fromage_model.errors import CatalogueError, InvalidInput
from fromage_model.index import Hit, RetrievalIndex
from fromage_model.vision.images import decode_image, image_format
from services.errors import NotFound
from services.products import ImageFile, Narrowing, Product, ShelfInfo

IMAGE_PATH = "/v1/items/{id}/image"
# What browsers show as it is. Anything else, a TIFF or HEIC, is sent as JPEG.
SHOWN = frozenset(("JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF"))


class ProductShelf:
    """An index and the catalogue that its pictures are in."""

    def __init__(self, index: RetrievalIndex, catalogue: Catalogue):
        self.index = index
        self.catalogue = catalogue

    def search(self, embedding: np.ndarray, *, top_k: int, narrowing: Narrowing = Narrowing()) -> list[Product]:
        """The products nearest to a retrieval embedding (S,), best first. Raises InvalidInput as `check`."""
        with _named(narrowing):
            (hits,) = self.index.search(
                embedding, top_k=top_k, exclude=narrowing.exclude, filter=narrowing.filters or None
            )
        least = -np.inf if narrowing.min_score is None else narrowing.min_score
        return [_product(hit) for hit in hits if hit.score >= least]

    def check(self, narrowing: Narrowing) -> None:
        """Raises InvalidInput, naming the field, for a filter that this catalogue can't be searched by."""
        with _named(narrowing):
            self.index.filters.mask(narrowing.filters)

    def image(self, id: str) -> ImageFile:
        """The picture of an item. Raises NotFound for an id that the index does not hold or a picture that is gone."""
        if id not in self.index:
            raise NotFound(f"there is no item {id!r}", field="id")
        item = self.index.item(id)
        try:
            data, media_type = _for_browsers(self.catalogue.image_bytes(id))
        except (CatalogueError, InvalidInput) as error:
            raise NotFound(f"item {id!r} has no picture that can be shown", field="id") from error
        return ImageFile(data, media_type, item.image_sha256)

    def describe(self) -> ShelfInfo:
        attribution = self.catalogue.info.get("attribution")
        return ShelfInfo(items=len(self.index), attribution=str(attribution) if attribution else None)


@serve.deployment(name="retrieval")
class RetrievalDeployment:
    """Refuses to start on an index that another model made."""

    def __init__(self, index: str, *, catalogue: str, bundle_fingerprint: str):
        loaded = RetrievalIndex.load(index, fingerprint=bundle_fingerprint)
        self.shelf = ProductShelf(loaded, Catalogue.open(catalogue))

    async def search(self, embedding: np.ndarray, *, top_k: int, narrowing: Narrowing) -> list[Product]:
        return await asyncio.to_thread(self.shelf.search, embedding, top_k=top_k, narrowing=narrowing)

    async def check(self, narrowing: Narrowing) -> None:
        await asyncio.to_thread(self.shelf.check, narrowing)

    async def image(self, id: str) -> ImageFile:
        return await asyncio.to_thread(self.shelf.image, id)

    async def describe(self) -> ShelfInfo:
        return self.shelf.describe()


@contextmanager
def _named(narrowing: Narrowing) -> Iterator[None]:
    """The index names a filter `filter`; who is told knows it by the name of a field."""
    try:
        yield
    except InvalidInput as error:
        head, dot, column = (error.field or "").partition(".")
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
        image_url=IMAGE_PATH.format(id=quote(hit.id, safe="")),
        score=round(hit.score, 4),
    )


def _web_link(link: str | None) -> str | None:
    """A link that is not http(s) or none at all, as a feed may bring (`javascript:`, `http://[shop]`), is dropped."""
    try:
        return link if link and urlsplit(link).scheme in ("http", "https") else None
    except ValueError:
        return None
