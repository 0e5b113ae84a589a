"""Where a job's time goes: one phase after the other, and a live view of them. Knows nothing of what a phase does.

with live_view():                       # in the driver: shows what it and its workers say of phases and progress
    phases = Phases()
    phases.begin("reading texts")
    ...
    phases.end()
"""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jobs.common.reporting.progress import duration

log = logging.getLogger(__name__)


class Phases:
    """Seconds of each phase, in the order in which they began; of one that comes again, together."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._now = ""
        self._since_s = 0.0

    def begin(self, name: str) -> None:
        """What was under way before is at its end."""
        self.end()
        log.info("phase: %s", name, extra={"phase": name})
        self._now, self._since_s = name, time.perf_counter()
        self._seconds.setdefault(name, 0.0)

    def end(self) -> None:
        if self._now:
            self._seconds[self._now] += time.perf_counter() - self._since_s
            self._now = ""

    @property
    def seconds(self) -> dict[str, float]:
        """Of the phases that are at their end, to a hundredth."""
        return {name: round(seconds, 2) for name, seconds in self._seconds.items()}


def phases_in_words(seconds: dict[str, float]) -> str:
    """`reading texts 12.3 s, epoch 1 of 2 40.0 s`."""
    return ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items())


@contextmanager
def live_view() -> Iterator[None]:
    """Where stderr is a terminal: a row for each phase, with its progress, instead of lines about them.

    In a log nothing changes: there, lines are what is wanted.
    """
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as View

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[told]}"),
    )
    rows = PhaseRows(View(*columns, console=Console(stderr=True)))
    ours, root = logging.getLogger("jobs"), logging.getLogger()
    hidden = list(root.handlers)
    for handler in hidden:
        handler.addFilter(is_line)
    ours.addHandler(rows)
    rows.view.start()
    try:
        yield
    finally:
        rows.finish()
        rows.view.stop()
        ours.removeHandler(rows)
        for handler in hidden:
            handler.removeFilter(is_line)


def is_line(record: logging.LogRecord) -> bool:
    """Whether it says something that the live view does not show."""
    return not (hasattr(record, "phase") or hasattr(record, "progress"))


class PhaseRows(logging.Handler):
    """Turns what is logged of phases and of progress into the rows of rich's `view`."""

    def __init__(self, view: Any):
        super().__init__()
        self.view = view
        self._row: Any = None

    def emit(self, record: logging.LogRecord) -> None:
        if hasattr(record, "phase"):
            self.finish()
            self._row = self.view.add_task(record.phase, total=None, told="")
        elif hasattr(record, "progress") and self._row is not None:
            told = record.progress
            self.view.update(self._row, total=told["total"], completed=told["done"], told=in_words(told))

    def finish(self) -> None:
        """The row that is under way is at its end."""
        if self._row is not None:
            self.view.update(self._row, total=1, completed=1, told="")
            self.view.stop_task(self._row)
            self._row = None


def in_words(told: dict[str, Any]) -> str:
    """`12 of 40 steps, 0:33 left, 1:10 with the epochs after it`."""
    left = f"{told['done']} of {told['total']} {told['of']}, {duration(told['left_s'])} left"
    return left if told["all_left_s"] == told["left_s"] else f"{left}, {duration(told['all_left_s'])} in all"
