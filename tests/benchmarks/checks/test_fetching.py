"""The benchmark of fetching says what it promises, at a size that takes a moment."""

import pytest

from tests.benchmarks import fetching


@pytest.mark.usefixtures("ray_session")
def test_fetching_compares_a_loop_with_the_job(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path))
    args = fetching.Args(pictures=40, sample=4, latency_ms=20, side_px=16, per_host=16, workers=1)
    figures = fetching.main(args)
    assert list(figures) == ["speedup_over_sequential"]
    assert "one at a time (measured on 4)" in capsys.readouterr().out


def test_no_two_pictures_are_alike():
    assert len({fetching.picture(number, 16) for number in range(50)}) == 50
