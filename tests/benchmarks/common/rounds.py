"""Several ways of doing one thing take turns, so that a busy machine slows all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping


def take_turns(
    ways: Mapping[str, Callable[[], object]], *, rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """-> seconds of each way in each round, by `clock`."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start_s = clock()
            way()
            seconds[name].append(clock() - start_s)
    return seconds


def times_as_fast(slow: list[float], fast: list[float]) -> float:
    """The median over rounds of how many times `fast` goes into `slow`."""
    return statistics.median(one / other for one, other in zip(slow, fast, strict=True))
