"""The engine's three parts as Serve handles. Knows what Ray raises, and what that means in terms of `errors`."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, ReplicaUnavailableError
from ray.serve.handle import DeploymentHandle, DeploymentResponse

from fromage_model.errors import FromageError
from fromage_model.prompts.messages import Event, Message, RetrievalMode, Sampling
from services.errors import Overloaded, Unavailable
from services.products import (
    Caption,
    Embedded,
    FoundItem,
    ImageFile,
    ItemCard,
    Narrowing,
    Selected,
    ShelfInfo,
    Variant,
)
from services.swapping.pairs import FoundIndex, Pair, Wanted, pinned


class EncoderHandle:
    def __init__(self, handle: DeploymentHandle):
        self._handle = handle

    async def encode(self, picture: bytes | str) -> np.ndarray:
        with _ours():
            return await self._handle.encode.remote(picture)

    async def ping(self) -> None:
        with _ours():
            await self._handle.ping.remote()


class LlmHandle:
    """A request's pair goes with what is asked for it."""

    def __init__(self, handle: DeploymentHandle):
        self._handle = handle
        self._stream = handle.options(method_name="stream", stream=True)

    async def stream(
        self, messages: Sequence[Message], *, retrieval: RetrievalMode, sampling: Sampling
    ) -> AsyncGenerator[Event, None]:
        """What comes gathered, event by event. Closing this iterator cancels the call, and with it the decoding."""
        with _ours():
            response = self._stream.remote(messages, retrieval=retrieval, sampling=sampling, pair=pinned())
            try:
                async for events in response:
                    for event in events:
                        yield event
            except (asyncio.CancelledError, GeneratorExit):
                response.cancel()
                raise

    async def embed(self, texts: Sequence[str]) -> list[Embedded]:
        with _ours():
            return await _answer(self._handle.embed.remote(texts, pair=pinned()))

    async def embed_pictures(self, features: np.ndarray) -> np.ndarray:
        with _ours():
            return await _answer(self._handle.embed_pictures.remote(features, pair=pinned()))

    async def captions(self, features: np.ndarray, *, prompt: str | None, sampling: Sampling) -> list[Caption]:
        with _ours():
            asked = self._handle.captions.remote(features, prompt=prompt, sampling=sampling, pair=pinned())
            return await _answer(asked)

    async def find(self, wanted: Wanted) -> tuple[str, str]:
        """The bundle's fingerprint and its encoder's. Raises MissingArtefact or BundleError."""
        with _ours():
            return await self._handle.find.remote(wanted)

    async def open(self, pair: Pair | None = None) -> None:
        """Returns once the LM has the pair's bundle. Raises what `load_bundle` raises."""
        with _ours():
            await self._handle.open.remote(pair=pair)

    async def ping(self) -> None:
        await self.open()


class RetrievalHandle:
    """A request's pair goes with what is asked for it."""

    def __init__(self, handle: DeploymentHandle):
        self._handle = handle

    async def search(self, embedding: np.ndarray, *, top_k: int, narrowing: Narrowing) -> Selected:
        with _ours():
            return await self._handle.search.remote(embedding, top_k=top_k, narrowing=narrowing, pair=pinned())

    async def check(self, narrowing: Narrowing) -> None:
        with _ours():
            await self._handle.check.remote(narrowing, pair=pinned())

    async def search_items(self, embedding: np.ndarray, *, top_k: int, narrowing: Narrowing) -> list[FoundItem]:
        with _ours():
            return await self._handle.search_items.remote(embedding, top_k=top_k, narrowing=narrowing, pair=pinned())

    async def item(self, id: str) -> ItemCard:
        with _ours():
            return await self._handle.item.remote(id, pair=pinned())

    async def embedding(self, id: str) -> np.ndarray:
        with _ours():
            return await self._handle.embedding.remote(id, pair=pinned())

    async def image(self, id: str, variant: Variant | None = None) -> ImageFile:
        with _ours():
            return await self._handle.image.remote(id, variant, pair=pinned())

    async def find(self, wanted: Wanted) -> FoundIndex:
        """Raises MissingArtefact or RetrievalIndexError."""
        with _ours():
            return await self._handle.find.remote(wanted)

    async def describe(self, pair: Pair | None = None) -> ShelfInfo:
        """Once retrieval has the pair's index. Raises what `RetrievalIndex.load` raises."""
        with _ours():
            return await self._handle.describe.remote(pair=pair or pinned())

    async def ping(self) -> None:
        await self.describe()


async def _answer(response: DeploymentResponse) -> Any:
    """Who stops waiting ends the work, and with it the decoding."""
    try:
        return await response
    except asyncio.CancelledError:
        response.cancel()
        raise


@contextmanager
def _ours() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise translated(error) from error


def translated(error: Exception) -> Exception:
    """What an error of a handle call means: ours as it was raised, a full queue, a replica that is gone, or a bug."""
    if isinstance(error, BackPressureError):
        return Overloaded("too many chats are waiting; try again in a moment")
    if isinstance(error, RayTaskError):
        return error.cause if isinstance(error.cause, FromageError) else error
    if isinstance(error, (RayError, DeploymentUnavailableError, ReplicaUnavailableError)):
        return Unavailable("a part of the service is starting again; try again in a moment")
    return error
