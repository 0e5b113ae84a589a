"""What is computed again and again over memory that stays in place: captured as a CUDA graph, elsewhere just called.

A graph is as large as what it was captured at, so sizes go in rungs, and what is smaller is padded up to the next one.
Knows no LMs.
"""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import torch

T = TypeVar("T")

WARM_UPS = 2
"""Calls before a capture, in which libraries choose their kernels and take the memory that they keep."""


class Pool:
    """Memory that graphs share, and the stream on which they are captured; only one of them may run at a time."""

    def __init__(self, device: torch.device):
        self.device = device
        if device.type == "cuda":
            self.handle = torch.cuda.graph_pool_handle()
            self.stream = torch.cuda.Stream(device)


class Graph:
    """`run`, whose inputs lie where they always lie, which waits for nothing and whose calls don't depend on data."""

    def __init__(self, run: Callable[[], T], pool: Pool):
        """On CUDA `run` is called a few times at once, so it has to be something that may be done twice."""
        self._replay: Callable[[], Any]
        if pool.device.type == "cuda":
            self._replay = _captured(run, pool)
        else:
            self._replay = run

    def __call__(self) -> Any:
        """-> what `run` gives; on CUDA the next call writes over it."""
        return self._replay()


class Graphs:
    """A graph for each key, captured when it is first asked for."""

    def __init__(self, device: torch.device):
        self._device = device
        self.drop()

    def __len__(self) -> int:
        return len(self._made)

    def __call__(self, key: Hashable, run: Callable[[], T]) -> T:
        """`run` has to be the same for the same key, until all are dropped."""
        if key not in self._made:
            self._made[key] = Graph(run, self._pool)
        return self._made[key]()

    def drop(self) -> None:
        """What they read or write has moved. Their memory can't be captured into again once the last of them is gone:
        there is new memory for the next.
        """
        self._made: dict[Hashable, Graph] = {}
        self._pool = Pool(self._device)


def rung(count: int, *, first: int, most: int) -> int:
    """The smallest of `first`, its doubles and `most` that holds `count`."""
    while first < count:
        first *= 2
    return min(first, most)


def rungs(*, first: int, most: int) -> list[int]:
    """All of them."""
    found = [min(first, most)]
    while found[-1] < most:
        found.append(min(2 * found[-1], most))
    return found


def _captured(run: Callable[[], T], pool: Pool) -> Callable[[], T]:
    pool.stream.wait_stream(torch.cuda.current_stream(pool.device))
    with torch.cuda.stream(pool.stream):
        for _ in range(WARM_UPS):
            run()
    torch.cuda.current_stream(pool.device).wait_stream(pool.stream)
    graph = torch.cuda.CUDAGraph()
    # Other threads may take memory meanwhile (pictures are encoded beside the LM): only what this one does counts.
    with torch.cuda.graph(graph, pool=pool.handle, stream=pool.stream, capture_error_mode="thread_local"):
        outputs = run()

    def replay() -> T:
        graph.replay()
        return outputs

    return replay
