"""A durable run ends with every row done or failed, once, whatever was killed on the way."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fromage_model.catalogue.schema import FAILURES_SCHEMA
from fromage_model.errors import ConfigError, SettingsDiffer, WriteError
from jobs.common.durable import DurableRun, Files, Stage, work_folder
from jobs.common.durable.guard import split
from jobs.common.durable.work import Work, write_work
from jobs.common.stages.rows import failed
from tests.jobs.common.durable import job as durable_job
from tests.jobs.common.durable.job import numbers
from tests.jobs.common.durable.stages import Die, Double, InTheWay, Misconfigured, Stumble
from tests.jobs.conftest import without_ray

CPUS = 0.5
WHY = ("stage", "error", "message")


def begin(folder: Path | str, *, count: int = 10, **options) -> DurableRun:
    settings = {"job": "test", "settings": {"colour": "red"}, "source": "a", "shard_rows": 4} | options
    return DurableRun.open(folder, rows=[numbers(count)], **settings)


@pytest.fixture
def here() -> Iterator[None]:
    """This process does all shards, however many: what it then does with them is what workers do."""
    with without_ray(shards=sys.maxsize):
        yield


def stage(make: type, **options) -> Stage:
    return Stage(make, options, name=make.__name__.lower(), num_cpus=CPUS)


def doubled(run: DurableRun) -> dict[int, int]:
    rows = [row for table in run.tables() for row in table.to_pylist()]
    assert len({row["row"] for row in rows}) == len(rows)
    return {row["row"]: row["doubled"] for row in rows}


def expected(count: int, *, without: tuple[int, ...] = ()) -> dict[int, int]:
    return {row: 2 * row * row for row in range(1, count + 1) if row not in without}


def test_a_failed_row_that_does_not_say_how_often_or_when_was_tried_once_and_now():
    rows = [{"row": 1, "number": 4}, {"row": 2} | failed("stumble", ValueError("bad"))]
    schema = [("row", pa.int64()), ("number", pa.int64()), *((name, pa.string()) for name in WHY)]
    for extra in ([], [("attempts", pa.int32()), ("failed_at", pa.timestamp("us", tz="UTC"))]):
        well, ill = split(pa.Table.from_pylist(rows, schema=pa.schema([*schema, *extra])))
        assert well.to_pylist() == [{"row": 1, "number": 4}]
        (row,) = ill.to_pylist()
        assert (row["row"], row["error"], row["attempts"]) == (2, "ValueError", 1)
        assert row["failed_at"] is not None


def test_rows_come_back_in_order_and_the_bad_ones_with_their_reason(ray_session, tmp_path):
    run = begin(tmp_path / "run")
    heard = []
    run.process([stage(Stumble, bad=[3, 6]), stage(Double)], on_shard=heard.append)
    assert doubled(run) == expected(10, without=(3, 6))
    assert [row for table in run.tables() for row in table["row"].to_pylist()] == [1, 2, 4, 5, 7, 8, 9, 10]
    run.write_failures(tmp_path)
    table = pq.read_table(tmp_path / "failures.parquet")
    assert table.schema == FAILURES_SCHEMA
    failures = table.to_pylist()
    assert [(row["row"], row["id"], row["stage"], row["error"], row["message"]) for row in failures] == [
        (3, "id 3", "stumble", "InvalidInput", "row 3 is bad"),
        (6, "id 6", "stumble", "InvalidInput", "row 6 is bad"),
    ]
    assert sorted((done.shard, done.rows, done.failed) for done in heard) == [(0, 4, 1), (1, 4, 1), (2, 2, 0)]
    assert (run.rows_done, run.rows_failed) == (10, 2)


def test_what_is_done_is_not_done_again_unless_it_failed_and_that_is_asked_for(here, tmp_path):
    folder = tmp_path / "run"
    begin(folder).process([stage(Stumble, bad=[3]), stage(Double)])
    times = {path.name: path.stat().st_mtime_ns for path in folder.glob("shard-*")}
    run = begin(folder)
    run.process([stage(Misconfigured)])
    assert doubled(run) == expected(10, without=(3,))
    again = begin(folder, retry_failed=True)
    again.process([stage(Double)])
    assert doubled(again) == expected(10)
    changed = {path.name for path in folder.glob("shard-*") if path.stat().st_mtime_ns != times[path.name]}
    assert changed == {"shard-000000.parquet", "shard-000000.json"}


def test_other_settings_are_refused_by_name_and_force_starts_anew(here, tmp_path):
    folder = tmp_path / "run"
    begin(folder).process([stage(Double)])
    with pytest.raises(SettingsDiffer, match=r"colour: 'red' then, 'blue' now\)\. .*--force"):
        begin(folder, settings={"colour": "blue"})
    with pytest.raises(SettingsDiffer, match="shard_rows: 4 then, 5 now"):
        begin(folder, shard_rows=5)
    assert begin(folder).rows_done == 10
    assert begin(folder, settings={"colour": "blue"}, force=True).rows_done == 0


def test_another_input_starts_anew_by_itself(here, tmp_path):
    begin(tmp_path / "run").process([stage(Double)])
    run = begin(tmp_path / "run", count=3, source="b")
    assert (run.rows, run.rows_done) == (3, 0)


def test_a_killed_worker_costs_nothing_and_a_row_that_kills_every_worker_is_a_failure(ray_session, tmp_path):
    run = begin(tmp_path / "run")
    run.process([stage(Die, times={2: 1, 6: 99}, diary=str(tmp_path))])
    assert (tmp_path / "2").read_text() == "+"
    assert [row for table in run.tables() for row in table["row"].to_pylist()] == [1, 2, 3, 4, 5, 7, 8, 9, 10]
    (failure,) = [row for table in run.failures() for row in table.to_pylist()]
    assert (failure["row"], failure["stage"], failure["error"], failure["attempts"]) == (6, "die", "WorkerDied", 2)
    assert [path.name for path in (tmp_path / "run").glob("claim-*")] == []


def test_a_killed_driver_loses_the_shards_in_flight_and_no_more(ray_session, tmp_path):
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "tests.jobs.common.durable.job", str(folder), "40", "0.05"]
    driver = subprocess.Popen(command, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline_s = time.monotonic() + 240
    while len(list(folder.glob("shard-*.json"))) < 2:
        assert driver.poll() is None
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    finished = {path.name: path.stat().st_mtime_ns for path in folder.glob("shard-*.json")}
    assert 2 <= len(finished) < 10
    run = durable_job.main(str(folder), 40, 0.0)
    assert doubled(run) == expected(40, without=(3,))
    assert run.rows_failed == 1
    assert {name: (folder / name).stat().st_mtime_ns for name in finished} == finished


def test_a_pool_grows_while_rows_wait_and_its_workers_share_a_gpu_that_decoding_leaves_alone(tmp_path):
    command = [sys.executable, "-m", "tests.jobs.common.durable.pools", str(tmp_path / "run")]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = json.loads(done.stdout.splitlines()[-1])
    assert [row["row"] for row in rows] == list(range(1, 41))
    decoded, computed = ({row[name] for row in rows} for name in ("decoded", "computed"))
    assert (len(decoded), len(computed)) == (1, 2)
    assert {worker.partition(":")[2] for worker in decoded} == {"0"}
    assert {worker.partition(":")[2] for worker in computed} == {"0.5"}
    assert {worker.partition(":")[0] for worker in decoded}.isdisjoint(worker.partition(":")[0] for worker in computed)


def test_a_shard_that_can_not_be_written_stops_the_run(ray_session, tmp_path):
    run = begin(tmp_path / "run")
    with pytest.raises(WriteError, match=r"shard-000000\.parquet can't be written: Is a directory"):
        run.process([stage(InTheWay, folder=str(tmp_path / "run"))])


def test_a_wrong_setting_stops_the_run_before_its_first_shard(here, tmp_path):
    run = begin(tmp_path / "run")
    with pytest.raises(ConfigError, match="no such device"):
        run.process([stage(Misconfigured)])
    assert run.rows_done == 0


def test_a_full_disk_is_named_and_leaves_nothing_half_written(tmp_path):
    program = (
        "import resource, signal, sys; from jobs.common.durable import Files; files = Files(sys.argv[1]);"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (999, 999));"
        "files.write('shard', bytes(1000))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True)
    assert f"WriteError: {tmp_path}/shard can't be written: File too large" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_shard_is_noticed_and_made_again(here, tmp_path):
    folder = tmp_path / "run"
    run = begin(folder)
    run.process([stage(Double)])
    shard = folder / "shard-000001.parquet"
    shard.write_bytes(bytes(len(shard.read_bytes())))
    with pytest.raises(WriteError, match=r"shard-000001\.parquet is damaged"):
        list(run.tables())
    again = begin(folder)
    assert again.rows_done == 6
    again.process([stage(Double)])
    assert doubled(again) == expected(10)


def test_a_folder_may_be_a_uri_and_manifests_tell_what_made_a_shard(here, tmp_path):
    run = begin((tmp_path / "run").as_uri())
    run.process([stage(Double)])
    manifest = json.loads((tmp_path / "run" / "shard-000002.json").read_text())
    assert (manifest["rows"], manifest["failed"]) == (2, 0)
    assert manifest["settings"] == {"colour": "red", "shard_rows": 4}
    assert manifest["fingerprint"] == run.state["fingerprint"]
    run.remove()
    assert not (tmp_path / "run").exists()


def test_work_lies_beside_its_target():
    assert work_folder("/data/features/shop") == "/data/features/.shop.work"
    assert work_folder("s3://bucket/shop/") == "s3://bucket/shop.work"


def test_a_folder_that_can_not_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WriteError, match=r"file.* can't be written"):
        begin(tmp_path / "file" / "run")


@pytest.mark.parametrize("shard_rows", [1, 7, 5000, 20_000])
def test_work_is_cut_into_the_same_shards_however_it_comes(tmp_path, shard_rows):
    count = 9001
    pieces = [numbers(count).slice(start, 3333) for start in range(0, count, 3333)]
    files = Files(tmp_path)
    assert write_work(files, pieces, shard_rows=shard_rows) == count
    work = Work(files, shard_rows=shard_rows)
    shards = range(-(-count // shard_rows))
    for shard in {*list(shards)[:3], shards[-1], len(shards) // 2}:
        rows = numbers(count).slice(shard * shard_rows, shard_rows)
        assert work.shard(shard).equals(rows.combine_chunks())


def test_no_rows_are_no_work(tmp_path):
    assert write_work(Files(tmp_path), [pa.table({"row": pa.array([], pa.int64())})], shard_rows=4) == 0


@pytest.mark.parametrize("folder", ["shop[1]", "shop*", "plain"])
def test_files_of_a_folder_with_an_unusual_name_are_read(tmp_path, folder):
    files = Files(tmp_path / folder)
    files.make()
    files.write("a.json", b"1")
    files.write("b.json", b"2")
    assert files.read_all(["a.json", "gone.json", "b.json"]) == {"a.json": b"1", "b.json": b"2"}
    assert files.read_all([]) == {}
