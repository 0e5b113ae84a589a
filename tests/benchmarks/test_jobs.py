"""The benchmark of captioning runs, and says what it promises to."""

from tests.benchmarks import captioning
from tests.jobs import tiny


def test_captioning_says_what_it_promises(tmp_path, capsys):
    bundle = tiny.write_bundle(tmp_path / "bundle", lm=tiny.write_lm(tmp_path / "lm"))
    args = captioning.Args(captioner=str(bundle), rows=2, batch_size=2, rounds=1, threads=1)
    figures = captioning.main(args)
    assert list(figures) == ["speedup_over_one_at_a_time"]
    assert figures["speedup_over_one_at_a_time"] > 0
    assert captioning.MANY in capsys.readouterr().out
