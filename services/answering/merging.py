"""Several streams as one, in the order in which things come. Knows nothing of what comes."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")


async def merged(streams: Sequence[AsyncGenerator[T, None]]) -> AsyncGenerator[tuple[int, T], None]:
    """What each yields, with its place. The first that raises ends all, and so does closing this iterator."""
    arrived: asyncio.Queue[tuple[int, T] | Exception | None] = asyncio.Queue()

    async def hand_on(place: int, stream: AsyncGenerator[T, None]) -> None:
        try:
            async with aclosing(stream) as things:
                async for thing in things:
                    arrived.put_nowait((place, thing))
        except Exception as error:
            arrived.put_nowait(error)
        else:
            arrived.put_nowait(None)

    tasks = [asyncio.create_task(hand_on(place, stream)) for place, stream in enumerate(streams)]
    left = len(tasks)
    try:
        while left:
            found = await arrived.get()
            if isinstance(found, Exception):
                raise found
            if found is None:
                left -= 1
            else:
                yield found
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
