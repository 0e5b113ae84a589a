"""Work in a thread that ends with it. Knows nothing of what is done there.

Each thread that computes with torch has helpers of its own from OpenMP, which stay as long as it does. Where a process
has more of them than cores, OpenMP no longer lets any wait for its next work awake: between the parts of a step they
sleep and are woken, hundreds of times for a token, and the thread that decodes gets half of its speed. So whatever else
computes in its process does that in a thread that ends.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def in_passing_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Returns once the thread has ended. Raises what `work` raises."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work, *args, **kwargs).result()


async def to_passing_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As `asyncio.to_thread`, in a thread that ends with the work, whether or not anybody still waits for it."""
    thread = ThreadPoolExecutor(1)
    try:
        return await asyncio.wrap_future(thread.submit(work, *args, **kwargs))
    finally:
        thread.shutdown(wait=False)
