"""The comparison of ways to train the heads runs over a small world, and measures every way by the same queries."""

import torch

from tests.benchmarks import recall_curve
from tests.jobs import tiny


def test_every_variant_is_measured_by_the_held_out_names(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))
    catalogue = tiny.write_squares(tmp_path / "squares", held_out=4)
    args = recall_curve.Args(
        catalogue=str(tmp_path / "squares"),
        features=str(tiny.write_random_features(tmp_path / "features", catalogue)),
        language_model=str(tiny.write_lm(tmp_path / "lm")),
        layers=(-1, 1),
        glosses=tiny.write_wordnet(tmp_path / "wordnet"),
        steps=3,
        seeds=1,
        phrasings=2,
        reply_tokens=2,
        threads=torch.get_num_threads(),
    )
    figures = recall_curve.main(args)
    assert (figures["held_out"], figures["seeds"], figures["steps"]) == (4, 1, 3)
    rows = {row["variant"]: row for row in figures["text_to_image"]}
    assert list(rows) == [variant.name for variant in recall_curve.variants((-1, 1), further=False)]
    assert {row["r_at_5"] for row in rows.values()} == {100.0}  # of four pictures
    assert all(0 <= row["r_at_1"] <= 100 for row in rows.values())
    printed = capsys.readouterr().out
    assert all(name in printed for name in rows)
