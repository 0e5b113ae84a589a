"""What the benchmark compares is one loss computed in two ways, and both leave all rows but [RET]'s as they were."""

import pytest
import torch

from tests.benchmarks.common.original_recipe import OriginalRecipe
from tests.benchmarks.common.recipes import Case, OurStep, build, captions_of, write_parts
from tests.benchmarks.finetuning import PROMPT
from tests.fromage_model import tiny

NAMES = ["red dress", "shoes", "something warm for the long winter"]


@pytest.fixture
def lm(tmp_path, monkeypatch):
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))
    return tiny.write_llama(tmp_path / "lm")


@pytest.mark.parametrize("max_length", [48, 8])
def test_both_recipes_start_from_the_same_contrastive_loss(lm, max_length):
    features = tiny.features(3)
    captions = [f"{PROMPT} {name}." for name in NAMES]
    original = OriginalRecipe(tiny.build(lm), lambda: features, captions, max_length=max_length)
    ours = OurStep(tiny.build(lm), features, captions, max_length=max_length, named=NAMES)
    assert original.step() == pytest.approx(ours.step(), rel=1e-4)


def test_the_original_s_step_moves_ret_s_row_alone_of_the_whole_table(lm):
    model = tiny.build(lm)
    recipe = OriginalRecipe(model, lambda: tiny.features(3), NAMES, max_length=24)
    table = model.lm.backbone.get_input_embeddings().weight
    before = table.detach().clone()
    recipe.step()
    changed = (table.detach() != before).any(dim=1)
    assert changed.nonzero().flatten().tolist() == [model.tokens.ret_id]
    assert float(table[-1].detach().norm()) == pytest.approx(float(table[:-1].detach().norm(dim=1).mean()), rel=1e-5)
    assert torch.isfinite(table).all()


def test_after_fifty_steps_our_loss_is_that_of_the_plain_recipe(tmp_path):
    lm, _ = write_parts(tmp_path, "tiny")
    case = Case(batch_size=6, max_length=48)
    features = torch.randn(case.batch_size, 16, generator=torch.Generator().manual_seed(0))
    captions = captions_of(case)
    original = OriginalRecipe(build(lm, "tiny"), lambda: features, captions, max_length=case.max_length)
    ours = OurStep(build(lm, "tiny"), features, captions, max_length=case.max_length)
    losses = []
    for _ in range(50):
        original.step()
        ours.step()
        losses.append((original.loss, ours.loss))
    assert losses[-1][0] < losses[0][0] - 0.5
    assert losses[-1][0] == pytest.approx(losses[-1][1], abs=1e-3)
