"""The benchmark of FROZEN's training runs, by the real job over small parts, and says what it promises to."""

import pytest

from tests.benchmarks import frozen_training
from tests.benchmarks.common.fast_binding import FORMS, Trial, draw_trials, parts_of
from tests.benchmarks.common.shapes_drawn import COLOURS, SHAPES, draw
from tests.fromage_model import tiny_frozen
from tests.jobs import tiny


@pytest.mark.usefixtures("ray_session")
def test_frozen_training_says_what_it_promises(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))
    parts = {
        "language_model": str(tiny.write_lm(tmp_path / "lm")),
        "vision_encoder": str(tiny_frozen.write_resnet(tmp_path / "resnet")),
    }
    args = frozen_training.Args(
        **parts, kinds=6, pictures=4, epochs=1, batch_size=40, episodes=1, trials=2, shots=(1,), repeats=(1,), threads=1
    )
    figures = frozen_training.main(args)
    assert list(figures)[:2] == ["captions_right", "fast_binding"]
    assert figures["captions_right"]["n"] == 8 * 4
    bare = figures["fast_binding"]["bare_1_shots"]
    assert {"written", "written_blind", "likelier", "likelier_blind", "written_gain", "likelier_gain"} < set(bare)
    assert bare["written"]["n"] == 2
    assert "captions of combinations never seen" in capsys.readouterr().out
    assert not any((tmp_path / "home" / "runs").iterdir())


def test_every_shape_and_colour_is_in_both_splits_and_no_combination_is(tmp_path):
    from fromage_model.catalogue import Catalogue

    drawn = frozen_training.write_drawn(tmp_path / "shapes", kinds=10, pictures=1, seed=0)
    catalogue = Catalogue.open(drawn.folder)
    said = {split: {item.caption for item in catalogue.items(split)} for split in ("train", "held-out")}
    assert len(said["held-out"]) == 20
    assert not said["train"] & said["held-out"]
    for captions in said.values():
        words = {word for caption in captions for word in caption.rstrip(".").split()}
        assert words == {*COLOURS, *SHAPES}


def test_no_two_drawings_are_alike():
    drawings = [draw(shape, colour, seed=seed) for shape in SHAPES for colour in ("red", "blue") for seed in "ab"]
    assert len({drawing.tobytes() for drawing in drawings}) == len(drawings)


def test_a_trial_asks_for_a_further_picture_of_a_kind_that_was_named():
    kinds = {"a": [0, 1, 2, 3], "b": [4, 5, 6, 7], "c": [8]}
    for trial in draw_trials(kinds, count=20, shots=3, seed=0):
        assert set(trial.kinds) == {"a", "b"}
        assert trial.asked in kinds[trial.kinds[trial.right]]
        assert trial.asked not in [place for place, _ in trial.shown]
        assert all(place in kinds[trial.kinds[which]] for place, which in trial.shown)


def test_a_prompt_gives_names_and_ends_before_the_one_that_is_asked():
    trial = Trial(("a", "b"), ("dax", "wug"), ((0, 0), (4, 1)), asked=5, right=1)
    bare = parts_of(trial, FORMS["bare"], str, repeats=2)
    assert bare == ["0", " dax\n", "4", " wug\n"] * 2 + ["5"]
    induced = parts_of(trial, FORMS["induced"], str, repeats=1)
    assert induced[0] == "Answer with dax or wug.\n"
    assert induced[-2:] == ["5", " Question: What is this? Answer: This is a"]
