"""jobs.embed, killed at its driver and then at a worker, accounts for every row once."""

import random
import subprocess

from tests.benchmarks import durability


def test_every_row_is_done_or_failed_once_after_kills_of_driver_and_worker(ray_session, tmp_path, monkeypatch, capsys):
    kill, victims = durability.kill, ["driver", "worker"]

    def in_turn(process: subprocess.Popen, _: str, draws: random.Random) -> bool:
        killed = kill(process, victims[0], draws)
        if killed:
            victims.pop(0)
        return killed

    monkeypatch.setattr(durability, "kill", in_turn)
    args = durability.Args(rows=48, kills=2, jobs=("embed",), shard_rows=4, spread_s=0.2, home=tmp_path)
    assert durability.main(args) == {"kills": 2, "rows_lost": 0, "rows_doubled": 0}
    assert victims == []
    assert "48 of 48 rows, 0 lost, 0 doubled" in capsys.readouterr().out
