"""One chat reply from three parts: pictures are encoded, the LM writes, `[RET]` becomes products.

Knows nothing of HTTP or Ray: the parts are Serve handles in the app and plain objects in a test.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from typing import Protocol

import numpy as np

from fromage_model.errors import ImageError
from fromage_model.prompts.messages import Event, Message, Retrieval, RetrievalMode, Sampling
from services.conversation import Conversation, Picture
from services.errors import TimedOut
from services.products import ImageFile, Product, Products, ReplyEvent, ShelfInfo


class Encoder(Protocol):
    async def encode(self, data: bytes) -> np.ndarray:
        """The bytes of a picture's file -> features (F,) float32. Raises ImageError."""

    async def ping(self) -> None:
        """Returns once the part answers."""


class Llm(Protocol):
    def stream(
        self, messages: Sequence[Message], *, retrieval: RetrievalMode, sampling: Sampling
    ) -> AsyncGenerator[Event, None]:
        """The LM's reply. Closing the iterator stops the decoding."""

    async def ping(self) -> None: ...


class Retriever(Protocol):
    async def search(self, embedding: np.ndarray, *, top_k: int, exclude: Collection[str]) -> list[Product]:
        """The products nearest to a retrieval embedding (S,), best first."""

    async def image(self, id: str) -> ImageFile:
        """The picture of an item. Raises NotFound."""

    async def describe(self) -> ShelfInfo:
        """What there is to find."""

    async def ping(self) -> None: ...


class ChatEngine:
    """Wires the three parts; holds no state between replies."""

    def __init__(self, *, encoder: Encoder, llm: Llm, retriever: Retriever, reply_timeout_s: float = 120.0):
        self.encoder = encoder
        self.llm = llm
        self.retriever = retriever
        self.reply_timeout_s = reply_timeout_s

    async def reply(self, conversation: Conversation) -> AsyncGenerator[ReplyEvent, None]:
        """The events of one reply. Raises ImageError with its field, TimedOut, and what the parts raise."""
        deadline = asyncio.get_running_loop().time() + self.reply_timeout_s
        async with aclosing(self._write(conversation)) as events:
            while True:
                try:
                    async with asyncio.timeout_at(deadline):
                        event = await anext(events)
                except StopAsyncIteration:
                    return
                except TimeoutError as error:
                    raise TimedOut(f"the reply was not complete after {self.reply_timeout_s:g} s") from error
                yield event

    async def _write(self, conversation: Conversation) -> AsyncGenerator[ReplyEvent, None]:
        """A product is shown once: neither what earlier turns showed nor what this reply showed comes again."""
        features = await asyncio.gather(*(self._features(picture) for picture in conversation.pictures))
        shown = set(conversation.exclude)
        stream = self.llm.stream(
            conversation.messages(features), retrieval=conversation.retrieval, sampling=conversation.sampling
        )
        async with aclosing(stream) as events:
            async for event in events:
                if not isinstance(event, Retrieval):
                    yield event
                    continue
                products = await self.retriever.search(event.embedding, top_k=conversation.top_k, exclude=shown)
                shown.update(product.id for product in products)
                yield Products(products, event.offset)

    async def _features(self, picture: Picture) -> np.ndarray:
        try:
            return await self.encoder.encode(picture.data)
        except ImageError as error:
            raise ImageError(str(error), field=picture.field) from error
