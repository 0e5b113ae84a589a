"""A node of the cluster dies with all that runs on it: the work goes on elsewhere, and no row is lost or doubled."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from jobs.common.durable import DurableRun
from tests.jobs.common.durable.job import SHARD_ROWS, numbers

ROWS = 80
PATIENCE_S = 240


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A head that computes nothing; nodes come and go."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 100 * 2**20})
    yield cluster
    cluster.shutdown()


def test_rows_of_a_node_that_dies_are_done_on_another(cluster, tmp_path):
    folder = tmp_path / "run"
    doomed = cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20)
    command = [sys.executable, "-m", "tests.jobs.common.durable.job", str(folder), str(ROWS), "0.1"]
    job = subprocess.Popen(
        command, env=os.environ | {"RAY_ADDRESS": cluster.address}, stderr=subprocess.PIPE, text=True
    )
    wait_for_shards(job, folder, 2)
    cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20)
    cluster.remove_node(doomed, allow_graceful=False)
    done = len(list(folder.glob("shard-*.json")))
    assert done < ROWS // SHARD_ROWS
    _, said = job.communicate(timeout=PATIENCE_S)
    assert job.returncode == 0, said
    run = DurableRun.open(folder, job="test", settings={}, source="a", rows=[numbers(ROWS)], shard_rows=SHARD_ROWS)
    rows = [row for table in run.tables() for row in table.to_pylist()]
    assert {row["row"]: row["doubled"] for row in rows} == {
        row: 2 * row * row for row in range(1, ROWS + 1) if row != 3
    }
    assert (len(rows), run.rows_failed) == (ROWS - 1, 1)


def wait_for_shards(job: subprocess.Popen, folder: Path, count: int) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while len(list(folder.glob("shard-*.json"))) < count:
        assert job.poll() is None, job.stderr.read()
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
