"""What every job shares: how it is started, how it joins Ray, and the line of JSON that it ends with.

Knows nothing of what a job does.
"""

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from fromage_model.catalogue.table import FAILURES_FILE
from fromage_model.errors import FromageError
from fromage_model.logs import dated_lines, hand_on
from fromage_model.storage.artefacts import is_uri
from jobs.common.reporting.progress import Progress
from jobs.common.stages.actors import actors_by_value

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

__all__ = ["Progress", "Report", "Stopwatch", "prepare_ray_data", "ray_session", "run"]

Args = TypeVar("Args")
log = logging.getLogger(__name__)


class Terminated(SystemExit):
    """We were sent SIGTERM."""


class Report:
    """How a job went: rows, seconds, and what it wrote. `extra` figures come after the common ones.

    With `max_failed`, a larger share of failed rows is told in words and ends in exit code 1; the share is of
    `judged_rows` where a job looks at some rows of many. `failures` is where below the output the table of failures is,
    None where there is none. `excused` failed rows are counted, but are no reason to end so. A `verdict` is given where
    the rows alone do not tell why the job did not go well.
    """

    def __init__(
        self,
        job: str,
        *,
        rows_in: int,
        rows_out: int,
        rows_failed: int,
        seconds: float,
        output: Path | str,
        max_failed: float | None = None,
        judged_rows: int | None = None,
        excused: int = 0,
        failures: str | None = FAILURES_FILE,
        verdict: str | None = None,
        **extra: Any,
    ):
        self.job = job
        self.rows_in = rows_in
        self.rows_out = rows_out
        self.rows_failed = rows_failed
        self.seconds = seconds
        self.output = str(output) if is_uri(output) else str(Path(output).expanduser().resolve())
        self.max_failed = max_failed
        self.judged_rows = rows_in if judged_rows is None else judged_rows
        self.excused = excused
        self.failures = failures
        self._verdict = verdict
        self.extra = extra

    def as_dict(self) -> dict[str, Any]:
        """The figures in the order in which they are printed."""
        rate = self.rows_in / self.seconds if self.seconds > 0 else 0.0
        return {
            "job": self.job,
            "rows_in": self.rows_in,
            "rows_out": self.rows_out,
            "rows_failed": self.rows_failed,
            "seconds": round(self.seconds, 3),
            "rows_per_second": round(rate, 3),
            "output": self.output,
            **self.extra,
        }

    @property
    def verdict(self) -> str | None:
        """Why the job did not go well, in words, and where more stands; None where it did."""
        if self._verdict is not None:
            return self._verdict
        failed, rows = self.rows_failed - self.excused, self.judged_rows
        allowed = self.max_failed
        if failed and failed >= rows:
            told = f"all {failed} rows failed"
        elif allowed is None or failed <= allowed * rows:
            return None
        else:
            share = 100 * failed / rows
            told = (
                f"{failed} of {rows} rows failed ({share:.1f} %), more than --max-failed {allowed:g} "
                f"({100 * allowed:g} %) allows"
            )
        return told if self.failures is None else f"{told}; {self.output}/{self.failures} tells why"


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._start_s = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._start_s


def run(
    main: Callable[[Args], Report],
    args_class: type[Args],
    *,
    default: Callable[[list[str]], Args | None] = lambda arguments: None,
    program: str | None = None,
) -> None:
    """Parse the command line into `args_class`, do the job, print its report, and leave with an exit code.

    `default` makes of the command line what stands where no option is given, None for the class's own defaults.
    `program` is what stands after `python -m`, by default the package of `main`.

    0 when it went well, 1 when more rows failed than the job allows, 2 for what the user can put right (a FromageError,
    a wrong option), 130 for Ctrl-C; an error that nobody foresaw keeps its traceback and leaves with 1. What is said
    meanwhile goes to stderr, a dated line each: stdout ends in the report's line.
    """
    import tyro

    module = sys.modules[main.__module__]
    dated_lines()
    signal.signal(signal.SIGTERM, _leave)
    try:
        usual = default(sys.argv[1:])
        given: dict[str, Any] = {} if usual is None else {"default": usual}
        prog = f"python -m {program or module.__package__}"
        args = tyro.cli(args_class, prog=prog, description=module.__doc__, **given)
        report = main(args)
    except FromageError as error:
        log.error("%s", error)
        sys.exit(EXIT_BAD_INPUT)
    except KeyboardInterrupt:
        log.info("interrupted; nothing was replaced")
        sys.exit(EXIT_INTERRUPTED)
    except Terminated:
        log.info("told to end; nothing was replaced")
        sys.exit(EXIT_TERMINATED)
    print(json.dumps(report.as_dict()), flush=True)
    if report.verdict:
        log.error("%s", report.verdict)
        sys.exit(EXIT_FAILED)
    sys.exit(0)


def _leave(signum: int, frame: Any) -> None:
    """SIGTERM unwinds like Ctrl-C, so that half-written folders are removed and a Ray of our own is stopped."""
    raise Terminated(EXIT_TERMINATED)


@contextmanager
def ray_session() -> Iterator[None]:
    """A Ray to work with: the one already joined, the cluster that `RAY_ADDRESS` names, else one of our own.

    A Ray that was started or joined here is left here. What workers print stays in Ray's log files; `worker_lines`
    brings what they log.
    """
    import ray

    hand_on("ray")
    prepare_ray_data()
    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS")
    log.info("joining Ray: %s", address or "one of our own, started now")
    # "local" and not None: without an address Ray would join a stranger's cluster that happens to run on this machine.
    local = {"address": address} if address else {"address": "local", "include_dashboard": False}
    ray.init(log_to_driver=False, logging_level=logging.WARNING, **local)
    try:
        yield
    finally:
        ray.shutdown()


def prepare_ray_data() -> None:
    """Rows in the order in which they went in; and of Ray Data's own telling, what is wrong and nothing else."""
    from ray.data import DataContext

    hand_on("ray.data")
    actors_by_value()
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    # They warn of an actor that takes memory without having reserved any, which is how ours are meant to be.
    context.issue_detectors_config.detectors = []
    context.execution_options.preserve_order = True
