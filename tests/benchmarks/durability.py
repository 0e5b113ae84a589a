"""Kills the driver or a worker of each durable job at random moments, again and again, and counts the rows at the end.

A killed driver is started again with the same command; a killed worker is left to Ray. Every hundredth picture is
damaged: it must stand in the failures table, once.

    python -m tests.benchmarks.durability
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import tyro

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.features import SHARD_PATTERN
from jobs.captioned import CAPTIONS_FOLDER
from jobs.durable import work_folder
from tests.benchmarks import shapes
from tests.jobs import tiny

WORKER = "ray::MapWorker"
DAMAGED_EVERY = 100
ATTEMPTS = 40


@dataclass(frozen=True)
class Args:
    """Kill jobs."""

    rows: int = 1000
    """Pictures of the catalogue."""
    kills: int = 10
    """Kills in all, shared among the jobs."""
    jobs: tuple[str, ...] = ("embed", "caption")
    """Jobs that are killed."""
    shard_rows: int = 16
    """Rows of a shard."""
    spread_s: float = 2.0
    """A kill comes up to this long after a shard was finished."""
    seed: int = 0
    """Of the moments, and of who is killed."""
    home: Path | None = None
    """Where all is written; without it a temporary folder."""


@dataclass(frozen=True)
class Job:
    """A command that can be started again, where it keeps its work, and the ids that it accounts for in the end."""

    name: str
    command: tuple[str, ...]
    work: Path
    ids: Callable[[], list[str]]


def main(args: Args) -> dict:
    """-> what the JSON line says."""
    draws = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as temporary:
        jobs = prepare(args.home or Path(temporary), args)
        totals: Counter[str] = Counter({"kills": 0, "rows_lost": 0, "rows_doubled": 0})
        for place, (job, expected) in enumerate(jobs):
            share = args.kills // len(jobs) + (place < args.kills % len(jobs))
            killed = torment(job, kills=share, draws=draws, spread_s=args.spread_s)
            found = Counter(job.ids())
            lost, doubled = len(expected - found.keys()), sum(count - 1 for count in found.values())
            print(f"{job.name}: {dict(killed)}, {len(found)} of {len(expected)} rows, {lost} lost, {doubled} doubled")
            totals.update(kills=sum(killed.values()), rows_lost=lost, rows_doubled=doubled)
    print(json.dumps(dict(totals)))
    return dict(totals)


def prepare(home: Path, args: Args) -> list[tuple[Job, set[str]]]:
    """The jobs over a catalogue of squares, and the ids that each must account for."""
    colours = [f"#{number:06x}" for number in range(args.rows)]
    catalogue = tiny.write_squares(home / "squares", colours=colours, captions=dict.fromkeys(colours))
    for item in catalogue.items()[::DAMAGED_EVERY]:
        catalogue.image_path(item.id).write_bytes(b"damaged")
    ids = set(catalogue.table["id"].to_pylist())
    common = ("--catalogue", str(catalogue.folder), "--shard-rows", str(args.shard_rows), "--threads", "1")
    common += ("--max-failed", "0.05", "--cpus-per-worker", "0.5", "--cpus-per-decoder", "0.25")
    known: dict[str, Job] = {}
    if "embed" in args.jobs:
        features = home / "features"
        encoder = shapes.write_encoder(home / "clip", shapes.SHAPES["tiny"])
        options = ("--encoder", str(encoder), "--out", str(features))
        known["embed"] = Job(
            "embed",
            (sys.executable, "-m", "jobs.embed", *common, *options),
            Path(work_folder(features)),
            lambda: parquet_ids(features, SHARD_PATTERN, "failures.parquet"),
        )
    if "caption" in args.jobs:
        bundle = tiny.write_bundle(home / "bundle", lm=tiny.write_lm(home / "lm"))
        options = ("--captioner", str(bundle), "--max-new-tokens", "6")
        folder = catalogue.folder / CAPTIONS_FOLDER
        known["caption"] = Job(
            "caption",
            (sys.executable, "-m", "jobs.caption", *common, *options),
            Path(work_folder(folder)),
            lambda: captioned_ids(catalogue.folder) + parquet_ids(folder, "failures.parquet"),
        )
    return [(known[name], ids) for name in args.jobs]


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
            job = Job(job.name, (*job.command, *_anew(job)), job.work, job.ids)
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


def _anew(job: Job) -> tuple[str, ...]:
    """What makes a job that was over too soon do everything again."""
    again = {"embed": "--force", "caption": "--all"}[job.name]
    return () if again in job.command else (again,)


def parquet_ids(folder: Path, *patterns: str) -> list[str]:
    """The ids in these files, each as often as it is there."""
    paths = [path for pattern in patterns for path in sorted(folder.glob(pattern))]
    return [id for path in paths for id in pq.read_table(path, columns=["id"])["id"].to_pylist()]


def captioned_ids(folder: Path) -> list[str]:
    items = Catalogue.open(folder).items()
    return [item.id for item in items if item.caption]


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
