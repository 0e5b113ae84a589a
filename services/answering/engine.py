"""One chat reply from three parts: pictures are encoded, the LM writes, `[RET]` becomes products.

Knows nothing of HTTP or Ray: the parts are Serve handles in the app and plain objects in a test.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import Protocol

import numpy as np

from fromage_model.errors import ImageError
from fromage_model.prompts.messages import Event, Message, Retrieval, RetrievalMode, Sampling
from services.answering.conversation import Conversation, Picture
from services.answering.merging import merged
from services.errors import TimedOut
from services.products import (
    Caption,
    Embedded,
    FoundItem,
    ImageFile,
    ItemCard,
    Narrowing,
    Products,
    ReplyEvent,
    Selected,
    ShelfInfo,
    Variant,
)
from services.telemetry.replies import watched
from services.telemetry.said import logged
from services.telemetry.spans import stage


class Encoder(Protocol):
    async def encode(self, picture: bytes | str) -> np.ndarray:
        """The bytes of a picture's file, or its http(s) URL -> features (F,) float32. Raises ImageError."""

    async def ping(self) -> None:
        """Returns once the part answers."""


class Llm(Protocol):
    def stream(
        self, messages: Sequence[Message], *, retrieval: RetrievalMode, sampling: Sampling
    ) -> AsyncGenerator[Event, None]:
        """The LM's reply. Closing the iterator stops the decoding."""

    async def embed(self, texts: Sequence[str]) -> list[Embedded]:
        """Retrieval embeddings of texts. Raises InvalidInput, whose field is a text's place."""

    async def embed_pictures(self, features: np.ndarray) -> np.ndarray:
        """Features (B, F) -> retrieval embeddings (B, S)."""

    async def captions(self, features: np.ndarray, *, prompt: str | None, sampling: Sampling) -> list[Caption]:
        """A caption of each picture, (B, F); without a `prompt` by the bundle's own. Raises PromptTooLong."""

    async def ping(self) -> None: ...


class Retriever(Protocol):
    async def search(self, embedding: np.ndarray, *, top_k: int, narrowing: Narrowing) -> Selected:
        """The products nearest to a retrieval embedding (S,), best first. Raises InvalidInput as `check`."""

    async def check(self, narrowing: Narrowing) -> None:
        """Raises InvalidInput, naming the field, for a filter that this catalogue can't be searched by, and for words
        that are to weigh something where this index compares none.
        """

    async def search_items(self, embedding: np.ndarray, *, top_k: int, narrowing: Narrowing) -> list[FoundItem]:
        """As `search`, with all that the catalogue says of each."""

    async def item(self, id: str) -> ItemCard:
        """What the catalogue says of an item. Raises NotFound."""

    async def embedding(self, id: str) -> np.ndarray:
        """The retrieval embedding (S,) that an item is found by. Raises NotFound."""

    async def image(self, id: str, variant: Variant | None = None) -> ImageFile:
        """The picture of an item, or a variant of it. Raises NotFound."""

    async def describe(self) -> ShelfInfo:
        """What there is to find."""

    async def ping(self) -> None: ...


class ChatEngine:
    """Wires the three parts; holds no state between replies."""

    def __init__(
        self,
        *,
        encoder: Encoder,
        llm: Llm,
        retriever: Retriever,
        reply_timeout_s: float = 120.0,
        log_messages: bool = False,
    ):
        """`log_messages`: whether the log tells what was asked and answered."""
        self.encoder = encoder
        self.llm = llm
        self.retriever = retriever
        self.reply_timeout_s = reply_timeout_s
        self.log_messages = log_messages

    async def replies(self, conversation: Conversation) -> AsyncGenerator[tuple[int, ReplyEvent], None]:
        """The events of all replies that are asked for, each with the place of its reply, as they come. Raises as
        `reply`; what goes wrong in one ends all.
        """
        if conversation.count == 1:
            each = [conversation]
        else:
            with self._in_time():
                async with asyncio.timeout(self.reply_timeout_s):
                    each = conversation.for_each(await self._all_features(conversation))
        async with aclosing(merged([self.reply(one) for one in each])) as events:
            async for event in events:
                yield event

    @watched
    async def reply(self, conversation: Conversation) -> AsyncGenerator[ReplyEvent, None]:
        """The events of one reply. Raises ImageError with its field, TimedOut, and what the parts raise."""
        deadline = asyncio.get_running_loop().time() + self.reply_timeout_s
        written = self._write(conversation)
        if self.log_messages:
            written = logged(written, asked=conversation.last_text)
        async with aclosing(written) as events:
            while True:
                try:
                    with self._in_time():
                        async with asyncio.timeout_at(deadline):
                            event = await anext(events)
                except StopAsyncIteration:
                    return
                yield event

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise TimedOut(f"the reply was not complete after {self.reply_timeout_s:g} s") from error

    async def _write(self, conversation: Conversation) -> AsyncGenerator[ReplyEvent, None]:
        """A product comes once in a reply, and again in a later one only where it fits clearly better than others.

        A filter or a weight that can't be used is refused before the first word, not where the LM asks for products.
        """
        narrowing = conversation.narrowing
        if narrowing.filters or narrowing.text_weight is not None:
            await self.retriever.check(narrowing)
        features = await self._all_features(conversation)
        stream = self.llm.stream(
            conversation.messages(features), retrieval=conversation.retrieval, sampling=conversation.sampling
        )
        async with aclosing(stream) as events:
            async for event in events:
                if not isinstance(event, Retrieval):
                    yield event
                    continue
                with stage("retrieve", top_k=conversation.top_k):
                    found = await self.retriever.search(event.embedding, top_k=conversation.top_k, narrowing=narrowing)
                narrowing = narrowing.without([product.id for product in found.products])
                yield Products(found.products, found.filters, found.unmet, event.offset)

    async def _all_features(self, conversation: Conversation) -> Sequence[np.ndarray]:
        if conversation.features is not None:
            return conversation.features
        return await asyncio.gather(*(self.features(picture) for picture in conversation.pictures))

    async def features(self, picture: Picture) -> np.ndarray:
        """(F,) float32. Raises ImageError with the picture's field."""
        try:
            with stage("encode"):
                return await self.encoder.encode(picture.data)
        except ImageError as error:
            raise ImageError(str(error), field=picture.field) from error
