"""With how many threads a step computes: found by trying, while steps are taken. Knows nothing of what a step does.

Threads that share a step wait for each other at the end of each of its parts, hundreds of times for a token. On cores
of their own that is quick. Where something else runs on one of them, be it the process that sends the tokens on, all
wait for that too, and fewer threads are faster: which, only trying tells, and it changes with what else goes on.
"""

import statistics
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

KEPT = 8
"""Of what steps took, whose median numbers of threads are compared by."""
TRIED = 5
"""Steps of a trial. The first does not count: it wakes threads, or finds others still awake."""
SOONEST, LATEST = 128, 4096
"""Steps from one trial of the others to the next: each trial that changes nothing doubles them."""
HOPELESS = 3.0
"""So many times as slow as usual ends a trial."""


def worth_trying(most: int) -> list[int]:
    """Numbers of threads up to `most` of which one may be the fastest: all, one fewer, half, and one alone."""
    return sorted({1, max(1, most // 2), max(1, most - 1), most}, reverse=True)


class _Size:
    """What is known of steps of about as many rows."""

    def __init__(self, numbers: Sequence[int]):
        self.took_s: dict[int, deque[float]] = {number: deque(maxlen=KEPT) for number in numbers}
        self.best = numbers[0]
        self.to_try: deque[int] = deque()
        self.interval = SOONEST // 2
        self.until_trial = SOONEST
        if len(numbers) > 1:
            self.begin_trial(numbers)

    def begin_trial(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self.took_s[number].clear()
            self.to_try.extend([number] * TRIED)

    def end_trial(self) -> None:
        medians = {number: statistics.median(times) for number, times in self.took_s.items() if times}
        best = min(medians, key=lambda number: medians[number], default=self.best)
        self.interval = SOONEST if best != self.best else min(2 * self.interval, LATEST)
        self.best, self.until_trial = best, self.interval


class ThreadChoice:
    """Steps of 1, 2, up to 4, up to 8, ... rows are told apart: more work is worth more threads."""

    def __init__(self, numbers: Sequence[int]):
        """The numbers of threads to choose from; the first is what anything begins with."""
        self._numbers = list(numbers)
        self._sizes: dict[int, _Size] = {}
        self._last = 0

    @contextmanager
    def for_step(self, rows: int) -> Iterator[None]:
        """Within it torch computes with the number that is to be used or tried next; what it took is remembered.
        `rows` 0 is a step that is like no other, as those are that read prompts.
        """
        number = self.threads(rows)
        if torch.get_num_threads() != number:
            torch.set_num_threads(number)
        start_s = time.perf_counter()
        yield
        self.took(time.perf_counter() - start_s, rows=rows)

    def threads(self, rows: int) -> int:
        """Of the next step of so many rows."""
        if not rows:
            return self._numbers[0]
        size = self._size(rows)
        return size.to_try[0] if size.to_try else size.best

    def took(self, seconds: float, *, rows: int) -> None:
        """That step took so long."""
        number = self.threads(rows)
        first, self._last = number != self._last, number
        if not rows:
            return
        size = self._size(rows)
        usual = statistics.median(size.took_s[size.best] or [seconds])
        if not first:
            size.took_s[number].append(seconds)
        if size.to_try:
            size.to_try.popleft()
            if number != size.best and seconds > HOPELESS * usual:
                size.to_try = deque(other for other in size.to_try if other != number)
            if not size.to_try:
                size.end_trial()
        elif len(self._numbers) > 1:
            size.until_trial -= 1
            if not size.until_trial:
                size.begin_trial([other for other in self._numbers if other != size.best])

    def _size(self, rows: int) -> _Size:
        return self._sizes.setdefault((rows - 1).bit_length(), _Size(self._numbers))
