"""Two bundles over one frozen LM share it, where neither has LoRA and both read the same layers of it."""

from pathlib import Path

import pytest
import torch

from fromage_model.bundle import load_bundle, save_bundle
from fromage_model.fromage import Fromage
from fromage_model.language.lora_settings import LoraSettings
from tests.fromage_model import tiny

TEXTS = ["a red dress", "shoes"]


def save(lm: Path, folder: Path, **options) -> Path:
    model = tiny.build(lm, **options)
    save_bundle(model, folder, feature_width=tiny.FEATURE_WIDTH, encoder_fingerprint="none", lineage={})
    return folder


def load(folder: Path, *, beside: Fromage | None = None) -> Fromage:
    return load_bundle(str(folder), dtype=torch.float32, device="cpu", vision=False, beside=beside)


def test_a_bundle_beside_another_over_the_same_lm_shares_it_and_says_what_it_says_alone(lms, tmp_path):
    old = load(save(lms.chat, tmp_path / "old"))
    new = save(lms.chat, tmp_path / "new", seed=3)
    beside = load(new, beside=old)
    assert beside.lm is old.lm
    assert torch.equal(beside.text_embeddings(TEXTS), load(new).text_embeddings(TEXTS))
    assert not torch.allclose(beside.text_embeddings(TEXTS), old.text_embeddings(TEXTS))


@pytest.mark.parametrize(
    "options", [{"text_layers": (-1, 1)}, {"lora": LoraSettings(rank=2)}], ids=["other layers", "LoRA"]
)
def test_a_bundle_that_needs_an_lm_of_its_own_has_one(lms, tmp_path, options):
    old, other = save(lms.chat, tmp_path / "old"), save(lms.chat, tmp_path / "other", **options)
    first = load(old)
    assert load(other, beside=first).lm is not first.lm
    assert load(old, beside=load(other)).lm is not first.lm
