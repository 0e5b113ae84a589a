"""A durable run as a program of its own, to be killed: python -m tests.jobs.common.durable.job FOLDER ROWS SLOW_S."""

import sys

import pyarrow as pa

from jobs.common.durable import DurableRun, Stage
from jobs.common.reporting.report import ray_session
from tests.jobs.common.durable.stages import Double, Stumble

SHARD_ROWS = 4


def numbers(count: int) -> pa.Table:
    rows = list(range(1, count + 1))
    return pa.table({"row": rows, "id": [f"id {row}" for row in rows], "number": [row * row for row in rows]})


def main(folder: str, count: int, slow_s: float) -> DurableRun:
    run = DurableRun.open(folder, job="test", settings={}, source="a", rows=[numbers(count)], shard_rows=SHARD_ROWS)
    stages = [
        Stage(Stumble, {"bad": [3]}, num_cpus=0.5),
        Stage(Double, {"slow_s": slow_s}, num_cpus=0.5),
    ]
    with ray_session():
        run.process(stages)
    return run


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
