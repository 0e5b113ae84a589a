"""A recipe sets what its origin's command line sets, and gives way to whatever is said beside it."""

import dataclasses
import math

import pytest
import torch
import tyro

from fromage_model.errors import ConfigError
from jobs.finetune.optimisation import in_steps
from jobs.finetune.recipes import recipe_in
from jobs.finetune.settings import FinetuneArgs
from jobs.finetune.worker import Worker
from tests.documents import ROOT
from tests.fromage_model import tiny as tiny_lm

# Of main.py: its options and their defaults.
MAIN = {
    "opt-version": ("language_model", "facebook/opt-6.7b"),
    "epochs": ("epochs", 10),
    "steps-per-epoch": ("steps_per_epoch", 2000),
    "batch-size": ("batch_size", 180),
    "lr": ("head_learning_rate", 0.0003),
    "lr-warmup-steps": ("warmup_steps", 100),
    "lr-schedule-step-size": ("schedule_step_epochs", 10),
    "lr-schedule-gamma": ("schedule_gamma", 0.1),
    "grad-clip": ("max_gradient_norm", 1.0),
    "precision": ("dtype", "float32"),
    "cap-loss-scale": ("cap_loss_scale", 1.0),
    "ret-loss-scale": ("ret_loss_scale", 1.0),
    "concat-captions-prob": ("concat_captions_prob", 0.5),
    "image_embed_dropout_prob": ("image_dropout", 0.0),
    "text_embed_dropout_prob": ("text_dropout", 0.0),
    "shared-emb-dim": ("shared_width", 256),
    "text-emb-layers": ("text_layers", (-1,)),
    "max-len": ("caption_max_tokens", 24),
    "n-visual-tokens": ("visual_tokens", 1),
    "beta2": ("beta2", 0.95),
    "wd": ("weight_decay", 0.0),
}


def test_the_original_recipe_has_the_defaults_of_its_main_and_its_page_tells_them():
    args = FinetuneArgs(recipe="original")
    assert {option: getattr(args, name) for option, (name, _) in MAIN.items()} == {
        option: value for option, (_, value) in MAIN.items()
    }
    assert args.ret_learning_rate == args.prefix_learning_rate == args.head_learning_rate
    page = (ROOT / "docs" / "originals.md").read_text()
    told = [line for line in page.splitlines() if line.startswith("| `")]
    for option, (name, _) in MAIN.items():
        (row,) = [line for line in told if line.startswith(f"| `{option}` | `--")]
        assert f"`--{name.replace('_', '-')}`" in row


def test_the_fashion_recipe_differs_in_model_length_batch_and_epochs_alone():
    original, fashion = (dataclasses.asdict(FinetuneArgs(recipe=name)) for name in ("original", "fashion"))
    differ = {name: value for name, value in fashion.items() if value != original[name]}
    assert differ == {
        "recipe": "fashion",
        "language_model": "facebook/opt-1.3b",
        "caption_max_tokens": 177,
        "epochs": 20,
        "steps_per_epoch": None,
        "batch_size": 6,
        "caption_batch_size": 6,
    }


def test_what_is_said_beside_a_recipe_counts_also_where_it_is_the_usual():
    usual = FinetuneArgs()
    assert FinetuneArgs(recipe="original", epochs=usual.epochs).epochs == usual.epochs
    for words in (["--recipe", "original"], ["--epochs", "2", "--recipe=original"]):
        args = tyro.cli(FinetuneArgs, args=words, default=FinetuneArgs(recipe=recipe_in(words)))
        assert (args.batch_size, args.epochs) == (180, 2 if "--epochs" in words else 10)
    assert dataclasses.replace(args, seed=3).batch_size == 180
    assert recipe_in(["--epochs", "2"]) is recipe_in(["--recipe"]) is recipe_in(["--recipe", "mine"]) is None


def test_a_recipe_that_is_none_is_refused_by_name():
    with pytest.raises(ConfigError, match="recipe is 'mine'; expected one of original, fashion"):
        FinetuneArgs(recipe="mine")


def test_the_recipe_is_not_decisive_but_what_it_sets_is():
    said = FinetuneArgs(**{**dataclasses.asdict(FinetuneArgs(recipe="fashion")), "recipe": None})
    assert said.decisive() == FinetuneArgs(recipe="fashion").decisive()


def test_rates_rise_from_zero_and_fall_in_steps():
    rates = [in_steps(step, warmup=2, every=3, gamma=0.1) for step in range(9)]
    assert rates == pytest.approx([0, 0.5, 1, 1, 1, 0.1, 0.1, 0.1, 0.01])


def test_a_run_by_the_original_recipe_trains_on_captions_alone(tiny_world, tmp_path):
    lm = tiny_lm.write_opt(tmp_path / "lm")
    given = {
        "language_model": str(lm),
        "steps_per_epoch": 3,
        "batch_size": 4,
        "caption_batch_size": 4,
        "shared_width": 8,
    }
    chosen = {"catalogue": str(tiny_world.catalogue), "features": str(tiny_world.features), "epochs": 1, "threads": 1}
    torch.manual_seed(0)
    worker = Worker(FinetuneArgs(recipe="original", **given, **chosen), rank=0, world_size=1)
    drawn = worker.sampler.draw(0)
    assert [one.caption for one in drawn.shown] == [worker.data.items[one.item].caption for one in drawn.shown]
    assert drawn.captioned == [one.item for one in drawn.shown]
    assert drawn.talks == []
    before = {name: value.clone() for name, value in worker.model.trained.state_dict().items()}
    worker.warm_start()
    after = worker.model.trained.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    figures = worker.run_epoch(0, None)
    assert (figures["optimizer_steps"], figures["talk"]) == (3, 0)
    assert math.isfinite(figures["loss"])
    assert not torch.equal(before["prefix.project.weight"], worker.model.trained.state_dict()["prefix.project.weight"])
