"""A run of one shard does without Ray, unless somebody chose one or a process died over the shard before."""

import os
import signal
import subprocess
import sys

import pytest

from fromage_model.errors import ConfigError
from jobs.common.durable import DurableRun, Stage
from jobs.common.durable.claims import claims_in
from tests.jobs.common.durable.job import SHARD_ROWS, numbers
from tests.jobs.common.durable.stages import Double, Misconfigured, Stumble

PROGRAM = """
import sys
from jobs.common.durable import Stage
from jobs.common.reporting.report import ray_session
from tests.jobs.common.durable.stages import Die
from tests.jobs.common.durable.test_here import begin, rows_of
run = begin(sys.argv[1])
run.process([Stage(Die, {"times": {2: 1}, "diary": sys.argv[2]}, num_cpus=0.5)], session=ray_session)
print("ray" in sys.modules, rows_of(run))
"""


def begin(folder, *, count=SHARD_ROWS) -> DurableRun:
    return DurableRun.open(folder, job="test", settings={}, source="a", rows=[numbers(count)], shard_rows=SHARD_ROWS)


def no_session():
    raise AssertionError("Ray was begun")


def rows_of(run: DurableRun) -> list[int]:
    return [row for table in run.tables() for row in table["row"].to_pylist()]


def test_one_shard_is_done_by_the_process_itself(alone, tmp_path):
    run = begin(tmp_path / "run")
    heard = []
    run.process([Stage(Stumble, {"bad": [3]}), Stage(Double)], session=no_session, on_shard=heard.append)
    assert rows_of(run) == [1, 2, 4]
    assert [(done.rows, done.failed, [*done.workers]) for done in heard] == [
        (4, 1, [f"{os.uname().nodename}:{os.getpid()}"])
    ]
    assert claims_in(run.files) == []
    assert rows_of(begin(tmp_path / "run")) == [1, 2, 4]


def test_what_stops_it_is_raised_and_the_same_process_may_try_again(alone, tmp_path):
    run = begin(tmp_path / "run")
    with pytest.raises(ConfigError, match="no such device"):
        run.process([Stage(Misconfigured)], session=no_session)
    run.process([Stage(Double)], session=no_session)
    assert rows_of(run) == [1, 2, 3, 4]


@pytest.mark.parametrize("wanted", ["two shards", "a GPU", "a cluster"])
def test_ray_is_begun_for_more(alone, tmp_path, monkeypatch, wanted):
    run = begin(tmp_path / "run", count=SHARD_ROWS + (wanted == "two shards"))
    if wanted == "a cluster":
        monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(AssertionError, match="Ray was begun"):
        run.process([Stage(Double, num_gpus=float(wanted == "a GPU"))], session=no_session)


def test_where_the_process_died_the_same_command_goes_on_with_workers(ray_session, tmp_path):
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "run"), str(tmp_path)]
    by_itself = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    died = subprocess.run(command, env=by_itself, capture_output=True, text=True, timeout=120)
    assert died.returncode == -signal.SIGKILL
    assert len(claims_in(begin(tmp_path / "run").files)) == 1
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=240)
    assert done.stdout.splitlines()[-1:] == ["True [1, 2, 3, 4]"], done.stderr[-2000:]
