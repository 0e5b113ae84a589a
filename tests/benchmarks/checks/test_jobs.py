"""The benchmarks of captioning and embedding run, and say what they promise to."""

import subprocess
import sys

import pytest

from tests.benchmarks import captioning, embedding
from tests.benchmarks.common.memory import tree_bytes
from tests.jobs import tiny
from tests.pictures import encoded


def test_captioning_says_what_it_promises(tmp_path, capsys):
    bundle = tiny.write_bundle(tmp_path / "bundle", lm=tiny.write_lm(tmp_path / "lm"))
    args = captioning.Args(captioner=str(bundle), rows=2, batch_size=2, rounds=1, threads=1)
    figures = captioning.main(args)
    assert list(figures) == ["speedup_over_one_at_a_time"]
    assert figures["speedup_over_one_at_a_time"] > 0
    assert captioning.MANY in capsys.readouterr().out


@pytest.mark.usefixtures("ray_session")
def test_embedding_says_what_it_promises(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path))
    args = embedding.Args(
        shape="tiny", pictures=6, distinct=2, side_px=64, sample=2, batch_size=2, memory_pictures=(3,)
    )
    figures = embedding.main(args)
    assert list(figures) == ["speedup_over_one_at_a_time", "share_of_serial_limit", "peak_rss_mb"]
    assert min(figures["speedup_over_one_at_a_time"], figures["share_of_serial_limit"]) > 0
    # A process with torch holds more than this.
    assert figures["peak_rss_mb"]["3"] > 150
    assert embedding.LOOP in capsys.readouterr().out


def test_memory_of_a_tree_is_also_that_of_those_below():
    large = "held = bytes(range(256)) * 500_000; print(1, flush=True); input()"
    above = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {large!r}])"
    with subprocess.Popen([sys.executable, "-c", above], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert tree_bytes(process.pid) > 128_000_000
        process.communicate(b"\n")
    assert tree_bytes(process.pid) == 0


def test_pictures_of_the_benchmark_cost_what_photographs_do():
    data = encoded(embedding.photograph(1, 1000), "JPEG", quality=90)
    assert 100_000 < len(data) < 400_000
