"""A durable run in a Ray with a GPU that is not there: python -m tests.jobs.common.durable.pools FOLDER.

Prints who did what.

Its own Ray, for the session's has no GPU.
"""

import json
import sys

import ray

from jobs.common.durable import DurableRun, Stage
from tests.jobs.common.durable.job import numbers
from tests.jobs.common.durable.stages import WhoDidIt


def main(folder: str) -> None:
    ray.init("local", num_cpus=2, num_gpus=1, include_dashboard=False, object_store_memory=100 << 20)
    run = DurableRun.open(folder, job="test", settings={}, source="a", rows=[numbers(40)], shard_rows=1)
    run.process(
        [
            Stage(WhoDidIt, {"name": "decoded"}, num_cpus=0.5),
            Stage(WhoDidIt, {"name": "computed", "slow_s": 0.5}, num_cpus=0.5, num_gpus=0.5, workers=(1, 2)),
        ]
    )
    print(json.dumps([row for table in run.tables() for row in table.to_pylist()]))
    ray.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
