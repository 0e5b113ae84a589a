"""jobs.embed killed twice, once its driver and once a worker, accounts for every row once."""

import random

import pytest

from tests.benchmarks import durability


@pytest.mark.parametrize("victim", ["driver", "worker"])
def test_every_row_is_done_or_failed_once_after_a_kill(ray_session, tmp_path, monkeypatch, capsys, victim):
    monkeypatch.setattr(random.Random, "choice", _first_kill(victim))
    args = durability.Args(rows=48, kills=1, jobs=("embed",), shard_rows=4, spread_s=0.2, home=tmp_path)
    assert durability.main(args) == {"kills": 1, "rows_lost": 0, "rows_doubled": 0}
    assert f"embed: {{'{victim}': 1}}, 48 of 48 rows" in capsys.readouterr().out


def _first_kill(victim: str):
    choice = random.Random.choice

    def choose(draws: random.Random, among):
        return victim if victim in among else choice(draws, among)

    return choose
