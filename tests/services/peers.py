"""Peers of the chat engine with a script instead of a model, for tests of what lies between HTTP and the model."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fromage_model.prompts.messages import Event, Finished, Message, Retrieval, RetrievalMode, Sampling, TextDelta
from fromage_model.vision.images import ImageLimits, decode_image
from services.answering.engine import ChatEngine
from services.answering.pictures import RemotePictures
from services.errors import NotFound, PairRefused
from services.http.options import ServedModel
from services.products import ImageFile, Narrowing, Product, Selected, ShelfInfo, Variant
from services.swapping.pairs import Pair, Wanted

MODEL = ServedModel(id="default", fingerprint="abc123", created=1_700_000_000)
PAIR = Pair("p1", "default", "openmoji", catalogue="openmoji", fingerprint="abc123", encoder="e1")
ITEMS = tuple(f"item-{number}" for number in range(8))
SHELF = ShelfInfo(items=len(ITEMS), attribution="Drawn by nobody")


def asks_for_products(offset: int) -> Retrieval:
    return Retrieval(embedding=np.ones(2, dtype=np.float32), offset=offset)


WITH_PRODUCTS = (
    TextDelta("Try "),
    TextDelta("these 👗"),
    asks_for_products(11),
    TextDelta(" or ask."),
    Finished("stop", prompt_tokens=9, completion_tokens=6),
)


@dataclass
class PictureReader:
    """Decodes for real, and fetches where it may; the features of a picture are its mean colour."""

    limits: ImageLimits = ImageLimits()
    remote: RemotePictures | None = None

    async def encode(self, picture: bytes | str) -> np.ndarray:
        data = picture if isinstance(picture, bytes) else await self._fetched(picture)
        return np.asarray(decode_image(data, limits=self.limits), dtype=np.float32).mean(axis=(0, 1))

    async def ping(self) -> None:
        """Answers."""

    async def _fetched(self, url: str) -> bytes:
        assert self.remote is not None
        return await self.remote.fetch(url)


@dataclass
class ScriptedLlm:
    """Answers every conversation with `script`; an exception in it is raised when its turn comes."""

    script: Sequence[Event | Exception] = WITH_PRODUCTS
    delay_s: float = 0.0
    asked: list[Sequence[Message]] = field(default_factory=list)
    sampling: Sampling | None = None
    retrieval: RetrievalMode | None = None
    closed: bool = False

    async def ping(self) -> None:
        """Answers."""

    async def stream(
        self, messages: Sequence[Message], *, retrieval: RetrievalMode, sampling: Sampling
    ) -> AsyncGenerator[Event, None]:
        self.asked.append(messages)
        self.sampling, self.retrieval = sampling, retrieval
        try:
            for event in self.script:
                await asyncio.sleep(self.delay_s)
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self.closed = True


class Shelf:
    """Eight items, always in the same order, whatever the pair."""

    async def ping(self) -> None:
        """Answers."""

    async def search(
        self, embedding: np.ndarray, *, top_k: int, narrowing: Narrowing, pair: Pair | None = None
    ) -> Selected:
        found = [id for id in ITEMS if id not in narrowing.exclude][:top_k]
        image = "/v1/items/{}/image"
        products = [Product(id, f"A {id}", f"https://shop.example/{id}", image.format(id), 0.5) for id in found]
        return Selected(products, narrowing.filters)

    async def check(self, narrowing: Narrowing, *, pair: Pair | None = None) -> None:
        """Every filter will do."""

    async def image(self, id: str, variant: Variant | None = None, *, pair: Pair | None = None) -> ImageFile:
        if id not in ITEMS:
            raise NotFound(f"there is no item {id!r}", field="id")
        return ImageFile(b"picture", "image/png", hashlib.sha256(b"picture").hexdigest())

    async def describe(self, pair: Pair | None = None) -> ShelfInfo:
        return SHELF


@dataclass
class Standing:
    """A pair that is swapped for any other but one whose bundle is called bad."""

    pair: Pair = PAIR
    shelf: ShelfInfo | None = SHELF
    refused: str | None = None
    draining: bool = False
    ongoing: int = 0

    async def reload(self, wanted: Wanted) -> Pair:
        if wanted.bundle == "bad":
            raise PairRefused("it is bad. The old pair goes on")
        self.pair = replace(self.pair, id="p2", bundle=wanted.bundle, index=wanted.index)
        return self.pair


def engine(
    llm: ScriptedLlm | None = None,
    *,
    pictures: ImageLimits = ImageLimits(),
    remote: RemotePictures | None = None,
    reply_timeout_s: float = 30.0,
) -> ChatEngine:
    encoder = PictureReader(pictures, remote)
    return ChatEngine(encoder=encoder, llm=llm or ScriptedLlm(), retriever=Shelf(), reply_timeout_s=reply_timeout_s)
