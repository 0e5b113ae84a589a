"""Kills the driver or a worker of each durable job at random moments, again and again, and counts the rows at the end.

A killed driver is started again with the same command; a killed worker is left to Ray.

    python -m tests.benchmarks.durability
"""

import json
import os
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import tyro

from tests.benchmarks.common.killable import JOBS, Job

WORKER = "ray::MapWorker"
ATTEMPTS = 40


@dataclass(frozen=True)
class Args:
    """Kill jobs."""

    rows: int = 1000
    """Rows that each job works on."""
    kills: int = 10
    """Kills in all, shared among the jobs."""
    jobs: tuple[str, ...] = tuple(JOBS)
    """Jobs that are killed."""
    shard_rows: int = 16
    """Rows of a shard."""
    spread_s: float = 2.0
    """A kill comes up to this long after a shard was finished."""
    seed: int = 0
    """Of the moments, and of who is killed."""
    home: Path | None = None
    """Where all is written; without it a temporary folder."""


def main(args: Args) -> dict:
    """-> what the JSON line says."""
    draws = random.Random(args.seed)
    totals: Counter[str] = Counter({"kills": 0, "rows_lost": 0, "rows_doubled": 0})
    with tempfile.TemporaryDirectory() as temporary:
        for place, name in enumerate(args.jobs):
            job = JOBS[name]((args.home or Path(temporary)) / name, args.rows, args.shard_rows)
            share = args.kills // len(args.jobs) + (place < args.kills % len(args.jobs))
            killed = torment(job, kills=share, draws=draws, spread_s=args.spread_s)
            found = Counter(job.found())
            lost, doubled = len(job.expected - found.keys()), sum(count - 1 for count in found.values())
            rows = f"{len(found)} of {len(job.expected)} rows"
            print(f"{name}: {dict(killed)}, {rows}, {lost} lost, {doubled} doubled", flush=True)
            totals.update(kills=sum(killed.values()), rows_lost=lost, rows_doubled=doubled)
    print(json.dumps(dict(totals)))
    return dict(totals)


def torment(job: Job, *, kills: int, draws: random.Random, spread_s: float) -> Counter[str]:
    """Run the job to its end, with `kills` kills on the way; -> how many of driver and worker."""
    killed: Counter[str] = Counter()
    for _ in range(ATTEMPTS):
        process = subprocess.Popen(job.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while sum(killed.values()) < kills and shard_came(job, process):
            time.sleep(draws.uniform(0, spread_s))
            victim = draws.choice(("driver", "worker"))
            if process.poll() is None and kill(process, victim, draws):
                killed[victim] += 1
        _, errors = process.communicate()
        if process.returncode == 0 and sum(killed.values()) == kills:
            return killed
        if process.returncode == 0:
            job.undo()
        elif process.returncode != -signal.SIGKILL:
            raise RuntimeError(f"{job.name} ended with {process.returncode}: {errors[-2000:]}")
    raise RuntimeError(f"{job.name} was over before it could be killed {kills} times; more rows give more time")


def shard_came(job: Job, process: subprocess.Popen) -> bool:
    """Wait until the job has finished one more shard than it has now; False where it ends before."""
    before = len(list(job.work.glob("shard-*.json")))
    while process.poll() is None:
        if len(list(job.work.glob("shard-*.json"))) > before:
            return True
        time.sleep(0.01)
    return False


def kill(process: subprocess.Popen, victim: str, draws: random.Random) -> bool:
    """kill -9; False where there was nobody to kill. Only processes below this one are looked at."""
    if victim == "driver":
        below = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        _bury(below)
        return True
    workers = [one for one in psutil.Process(os.getpid()).children(recursive=True) if _name(one).startswith(WORKER)]
    if not workers:
        return False
    draws.choice(workers).kill()
    return True


def _bury(processes: Sequence[psutil.Process]) -> None:
    """The Ray that a driver started ends with it; what is still there after a while is ended here."""
    _, alive = psutil.wait_procs(processes, timeout=20)
    for one in alive:
        one.kill()


def _name(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
