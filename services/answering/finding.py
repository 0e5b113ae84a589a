"""The catalogue found by text, by picture, by an item of it, or by several together; and what pictures show in words.

Knows nothing of HTTP or Ray: it asks the parts that replies are made of.

Shapes: S shared width.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import numpy as np

from fromage_model.errors import InvalidInput
from fromage_model.prompts.messages import Sampling
from services.answering.conversation import Picture
from services.answering.engine import ChatEngine
from services.errors import NotFound, TimedOut
from services.products import Caption, Embedded, FoundItem, Narrowing

LEAST_LENGTH = 1e-3
"""Of a weighed sum: what is shorter points nowhere."""


@dataclass(frozen=True)
class Words:
    """A text that is to be embedded, and the field it came in."""

    text: str
    field: str


@dataclass(frozen=True)
class ItemId:
    """An item of the catalogue, and the field that named it."""

    id: str
    field: str


@dataclass(frozen=True)
class Query:
    """What is looked for: each thing weighed, and the sum of their retrieval embeddings asked for.

    Items that are looked for are not found themselves.
    """

    wanted: Sequence[tuple[float, Words | Picture | ItemId]]
    top_k: int
    narrowing: Narrowing


@dataclass(frozen=True)
class Found:
    """Items, best first, and the tokens that the LM read to find them."""

    items: Sequence[FoundItem]
    tokens: int


class Finder:
    """Asks the engine's parts; holds no state between requests."""

    def __init__(self, engine: ChatEngine):
        self._engine = engine

    async def embed(self, inputs: Sequence[Words | Picture]) -> list[Embedded]:
        """A retrieval embedding of each. Raises InvalidInput and ImageError with their field, TimedOut."""
        async with self._in_time():
            return await self._embedded(inputs)

    async def search(self, query: Query) -> Found:
        """Raises as `embed`; NotFound for an unknown item, InvalidInput for a filter that can't be used."""
        async with self._in_time():
            if query.narrowing.filters or query.narrowing.text_weight is not None:
                await self._engine.retriever.check(query.narrowing)
            embedded = await self._embedded([thing for _, thing in query.wanted])
            vector = _sum(embedded, [weight for weight, _ in query.wanted])
            narrowing = query.narrowing.without([thing.id for _, thing in query.wanted if isinstance(thing, ItemId)])
            words = "".join(thing.text for _, thing in query.wanted if isinstance(thing, Words))
            if len(query.wanted) == 1 and words:
                narrowing = replace(narrowing, asked=words)
            if len(query.wanted) == 1 or narrowing.text_weight is not None:
                narrowing = replace(narrowing, words=words)
            items = await self._engine.retriever.search_items(vector, top_k=query.top_k, narrowing=narrowing)
            return Found(items, sum(each.tokens for each in embedded))

    async def captions(self, pictures: Sequence[Picture], *, prompt: str | None, sampling: Sampling) -> list[Caption]:
        """A caption of each picture. Raises ImageError with its field, PromptTooLong, TimedOut."""
        async with self._in_time():
            features = await asyncio.gather(*(self._engine.features(picture) for picture in pictures))
            return await self._engine.llm.captions(np.stack(features), prompt=prompt, sampling=sampling)

    async def _embedded(self, inputs: Sequence[Words | Picture | ItemId]) -> list[Embedded]:
        """Each kind at once, in the order of the inputs."""
        found: dict[int, Embedded] = {}
        for some in await asyncio.gather(
            self._texts({place: one for place, one in enumerate(inputs) if isinstance(one, Words)}),
            self._pictures({place: one for place, one in enumerate(inputs) if isinstance(one, Picture)}),
            self._items({place: one for place, one in enumerate(inputs) if isinstance(one, ItemId)}),
        ):
            found |= some
        return [found[place] for place in range(len(inputs))]

    async def _texts(self, words: Mapping[int, Words]) -> dict[int, Embedded]:
        if not words:
            return {}
        listed = list(words.values())
        try:
            embedded = await self._engine.llm.embed([one.text for one in listed])
        except InvalidInput as error:
            place = error.field or ""
            field = listed[int(place)].field if place.isdecimal() else error.field
            raise type(error)(str(error), field=field) from error
        return dict(zip(words, embedded, strict=True))

    async def _pictures(self, pictures: Mapping[int, Picture]) -> dict[int, Embedded]:
        if not pictures:
            return {}
        features = await asyncio.gather(*(self._engine.features(picture) for picture in pictures.values()))
        embeddings = await self._engine.llm.embed_pictures(np.stack(features))
        return {place: Embedded(row) for place, row in zip(pictures, embeddings, strict=True)}

    async def _items(self, items: Mapping[int, ItemId]) -> dict[int, Embedded]:
        found = {}
        for place, item in items.items():
            try:
                found[place] = Embedded(await self._engine.retriever.embedding(item.id))
            except NotFound as error:
                raise NotFound(str(error), field=item.field) from error
        return found

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        limit_s = self._engine.reply_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                yield
        except TimeoutError as error:
            raise TimedOut(f"there was no answer after {limit_s:g} s") from error


def _sum(asked: Sequence[Embedded], weights: Sequence[float]) -> np.ndarray:
    """(S,) of length 1. Raises InvalidInput where things cancel each other."""
    total = np.sum([weight * each.embedding for weight, each in zip(weights, asked, strict=True)], axis=0)
    length = float(np.linalg.norm(total))
    if length < LEAST_LENGTH * max(weights):
        raise InvalidInput("what is asked for cancels itself out; weigh one of them more", field="weights")
    return (total / length).astype(np.float32)
