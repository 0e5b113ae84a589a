"""The comparison of bits runs over a small world, and reads the same texts and asks the same items in every way."""

import torch

from tests.benchmarks import quantization
from tests.jobs import tiny


def test_every_way_is_measured_by_the_same_prose_and_the_held_out_names(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))
    catalogue = tiny.write_squares(tmp_path / "squares", held_out=4)
    args = quantization.Args(
        bundle=str(tiny.write_bundle(tmp_path / "bundle", lm=tiny.write_lm(tmp_path / "lm"))),
        catalogue=str(tmp_path / "squares"),
        features=str(tiny.write_random_features(tmp_path / "features", catalogue)),
        texts=2,
        tokens=24,
        threads=torch.get_num_threads(),
    )
    figures = quantization.main(args)
    assert list(figures) == ["none", "few bits at all rows", "int8", "int4"]
    assert figures["none"]["same_choice"] == 1
    assert figures["few bits at all rows"] == figures["none"]  # The tiny LM's weights came in more.
    assert max(figures["int8"]["mb"], figures["int4"]["mb"]) < figures["none"]["mb"]
    assert {figure["r_at_5"] for figure in figures.values()} == {100.0}  # of four pictures
    assert abs(figures["int8"]["perplexity"] / figures["none"]["perplexity"] - 1) < 0.05
    printed = capsys.readouterr().out
    assert all(way.name in printed for way in quantization.WAYS)
