"""How far a job is: one live view in a terminal, a line now and then in a log. Knows nothing of what a job does."""

import logging
import sys
import time
from collections import Counter
from types import TracebackType
from typing import TYPE_CHECKING, Any

from jobs.common.durable.memory import peak_rss_bytes, this_process

if TYPE_CHECKING:
    from jobs.common.durable import ShardDone

EVERY_S = 10.0
# Points of the curve of rows over time; when there are more, every second one is dropped.
MOST_POINTS = 400

log = logging.getLogger(__name__)


class Progress:
    """Rows, or whatever it is a number `of`, done and failed of `total`, told every `every_s` seconds and at the end.

    As a context manager it shows a live view instead where stderr is a terminal. `then` are as many more that come
    after these, in another progress: what is left in all is told with them.
    """

    def __init__(
        self,
        what: str,
        *,
        total: int,
        of: str = "rows",
        done: int = 0,
        failed: int = 0,
        then: int = 0,
        every_s: float = EVERY_S,
    ):
        self.then = then
        self.what = what
        self.of = of
        self.total = total
        self.done = done
        self.failed = failed
        self.every_s = every_s
        self.reasons: Counter[str] = Counter()
        self.points: list[tuple[float, int]] = [(0.0, done)]
        self._before = done
        self._start_s = time.perf_counter()
        self._told_s = 0.0
        self._worker_peaks: dict[str, int] = {}
        self._view: Any = None
        self._bar: Any = None

    def __enter__(self) -> "Progress":
        if sys.stderr.isatty():
            self._view = _live_view()
            self._bar = self._view.add_task(self.what, total=self.total, completed=self.done, **self._fields())
            self._view.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._view is not None:
            self._view.stop()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._start_s

    @property
    def rows_per_second(self) -> float:
        return (self.done - self._before) / max(self.seconds, 1e-9)

    @property
    def peak_rss_mb(self) -> float:
        """The peaks of this process and of each worker that was heard of, added up, in MB (10^6 bytes)."""
        return round((peak_rss_bytes() + sum(self._worker_peaks.values())) / 1e6, 1)

    def go_on(self, *, done: int, failed: int) -> None:
        """So many rows were done before, in a run that was killed or without being tried: no part of the rate."""
        self.done += done
        self.failed += failed
        self._before += done
        self.points[0] = (0.0, self.done)

    def add(self, rows: int, *, failed: int = 0) -> None:
        self.done += rows
        self.failed += failed
        self.points.append((self.seconds, self.done))
        if len(self.points) > MOST_POINTS:
            del self.points[1:-1:2]
        if self._view is not None:
            self._view.update(self._bar, completed=self.done, **self._fields())
        elif self.seconds - self._told_s >= self.every_s or self.done >= self.total:
            self._told_s = self.seconds
            log.info("%s", self.line(), extra={"progress": self.as_dict()})

    def shard(self, done: "ShardDone") -> None:
        """A shard of a durable run is done."""
        self.reasons.update(done.reasons)
        for worker, peak_bytes in done.workers.items():
            if worker == this_process():
                continue
            self._worker_peaks[worker] = max(self._worker_peaks.get(worker, 0), peak_bytes)
        self.add(done.rows, failed=done.failed)

    def line(self) -> str:
        """What a log says of it."""
        fields = self._fields()
        failed = f"{self.failed} failed, " if self.of == "rows" or self.failed else ""
        in_all = f", {duration(self._left_s(self.then))} in all" if self.then else ""
        told = f"{self.what}: {self.done} of {self.total} {self.of}, {fields['rate']}, {failed}{fields['left']} left"
        return told + in_all

    def as_dict(self) -> dict[str, Any]:
        """The same for who draws it; seconds left are None while the rate is not known."""
        counts = {"what": self.what, "of": self.of, "done": self.done, "total": self.total}
        return counts | {"left_s": self._left_s(), "all_left_s": self._left_s(self.then)}

    def _left_s(self, then: int = 0) -> float | None:
        rate = self.rows_per_second
        return (self.total + then - self.done) / rate if rate else None

    def _fields(self) -> dict[str, Any]:
        rate = f"{self.rows_per_second:.1f} {self.of}/s"
        return {"rate": rate, "failed": self.failed, "left": duration(self._left_s())}


def duration(seconds: float | None) -> str:
    """`1:02:03`, `2:03`, or `?` for None."""
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _live_view() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as View

    return View(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[failed]} failed"),
        TextColumn("{task.fields[left]} left"),
        console=Console(stderr=True),
    )
