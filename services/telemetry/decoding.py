"""What the LM's thread does, measured once for each step: who waits, who is written, how long it takes.

Knows nothing of Ray. Times of a reply's stages are in nanoseconds since 1970, because spans of a trace want them so.
"""

import threading
import time
from collections import defaultdict
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from typing import ClassVar
from weakref import WeakKeyDictionary

from fromage_model.chat.engine import Engine, Load, Request
from fromage_model.chat.prefix_cache import Counts
from fromage_model.prompts.messages import Event
from services.telemetry import metrics
from services.telemetry.spans import tell_stage

NS_PER_S = 1_000_000_000


@dataclass
class Stages:
    """When a reply came, got its row, had its first event and ended; ns since 1970, 0 for what has not been."""

    came_ns: int
    seated_ns: int = 0
    began_ns: int = 0

    @classmethod
    def now(cls) -> "Stages":
        return cls(came_ns=time.time_ns())

    def tell(self) -> None:
        """The reply has ended: a span for each stage that it reached, below the current one."""
        ended_ns = time.time_ns()
        tell_stage("queue", self.came_ns, self.seated_ns or ended_ns)
        if self.seated_ns:
            tell_stage("prefill", self.seated_ns, self.began_ns or ended_ns)
        if self.began_ns:
            tell_stage("decode", self.began_ns, ended_ns)


class StepWatch:
    """Belongs to a thread that decodes. Where a process has several, as while bundles are swapped, its gauges say what
    all of them come to.
    """

    _lock = threading.Lock()
    _shares: ClassVar[defaultdict[metrics.Metric, MutableMapping["StepWatch", int]]] = defaultdict(WeakKeyDictionary)

    def __init__(self) -> None:
        self._unseated: dict[Request, Stages] = {}
        self._unbegun: dict[Request, Stages] = {}
        self._gauges: dict[metrics.Metric, int] = {}
        self._counts = Counts()
        self._last_step_s: float | None = None

    def added(self, request: Request, stages: Stages) -> None:
        self._unseated[request] = self._unbegun[request] = stages

    def step(self, engine: Engine) -> list[tuple[Request, Event | Exception]]:
        """One step of the engine -> its events."""
        start_ns = time.time_ns()
        events = engine.step()
        load, counts = engine.load, engine.prefix_counts
        now_s = time.perf_counter()
        if load.wrote:
            metrics.STEP_TOKENS.record(load.wrote)
            metrics.STEP_ROWS.record(load.wrote)
            if self._last_step_s is not None:
                metrics.TOKEN_GAP_SECONDS.record(now_s - self._last_step_s)
        self._last_step_s = now_s if load.writing else None
        metrics.PREFIX_POSITIONS.record(counts.hits - self._counts.hits, result="hit")
        metrics.PREFIX_POSITIONS.record(counts.misses - self._counts.misses, result="miss")
        self._counts = counts
        self._set(metrics.PREFIX_BYTES, counts.size_bytes)
        self._see(load)
        self._seat(load, start_ns)
        self._begin(events)
        return events

    def left(self, request: Request, load: Load) -> None:
        """Nobody listens to the request any more, whether it has finished or not."""
        self._unseated.pop(request, None)
        self._unbegun.pop(request, None)
        if not load.writing:
            self._last_step_s = None
        self._see(load)

    def failed(self) -> None:
        """A step failed, and with it all that had been added; the next one is another engine's."""
        metrics.FAILED_STEPS.record()
        self._unseated.clear()
        self._unbegun.clear()
        self._counts = Counts()
        self._last_step_s = None
        self._see(Load())

    def _see(self, load: Load) -> None:
        self._set(metrics.WAITING, len(load.waiting))
        self._set(metrics.WRITING, load.reading + load.writing)

    def _seat(self, load: Load, now_ns: int) -> None:
        """Who waits no more got a row as the step began."""
        for request in self._unseated.keys() - set(load.waiting):
            stages = self._unseated.pop(request)
            stages.seated_ns = now_ns
            metrics.QUEUE_SECONDS.record((stages.seated_ns - stages.came_ns) / NS_PER_S)

    def _begin(self, events: Sequence[tuple[Request, Event | Exception]]) -> None:
        """What a reply begins with may be its end."""
        for request, event in events:
            if request in self._unbegun and not isinstance(event, Exception):
                stages = self._unbegun.pop(request)
                stages.began_ns = time.time_ns()
                metrics.PREFILL_SECONDS.record((stages.began_ns - stages.seated_ns) / NS_PER_S)

    def _set(self, gauge: metrics.Metric, value: int) -> None:
        """A gauge that stands where it stood costs nothing."""
        if self._gauges.get(gauge) != value:
            self._gauges[gauge] = value
            with self._lock:
                self._shares[gauge][self] = value
                gauge.record(sum(self._shares[gauge].values()))
