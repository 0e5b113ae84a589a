"""LoRA computes W + alpha / rank * B A beside frozen weights, learns every gradient, and comes back from a bundle."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel

from fromage_model.build import load_frozen_lm
from fromage_model.bundle import load_bundle, save_bundle
from fromage_model.config import FromageConfig
from fromage_model.errors import BundleError, ConfigError
from fromage_model.fromage import Fromage
from fromage_model.header import HEADER, WEIGHTS, bundle_fingerprint
from fromage_model.language.lora import add_lora
from fromage_model.language.lora_settings import LoraSettings
from fromage_model.prompts.segments import Picture
from tests.fromage_model import reference, tiny
from tests.fromage_model.test_fromage import (
    CAPTIONS,
    assert_same_gradients,
    gradients,
    plain_caption_loss,
    plain_contrastive_loss,
)

SETTINGS = LoraSettings(rank=3, alpha=6)


def build(lm: Path, settings: LoraSettings = SETTINGS, **options) -> Fromage:
    """With a B that is not zero, so that LoRA makes a difference."""
    model = tiny.build(lm, lora=settings, **options)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, value in model.trained.lora.named_parameters():
            if name.endswith("lora_B"):
                value.copy_(0.3 * torch.randn(value.shape, generator=generator))
    return model


@pytest.fixture(params=["chat", "opt", "untied"])
def model(request, lms, own_home) -> Fromage:
    return build(getattr(lms, request.param), text_layers=(-1, 1))


def by_hand(lm: Path, adapted: Fromage) -> Fromage:
    """The same model without LoRA, whose weights are W + alpha / rank * B A."""
    plain = tiny.build(lm, text_layers=adapted.config.text_layers)
    matrices = dict(adapted.trained.lora.named_parameters())
    with torch.no_grad():
        for name in {key.rpartition(".")[0] for key in matrices}:
            weight = plain.lm.backbone.base_model.get_submodule(name).weight
            weight += 6 / 3 * matrices[f"{name}.lora_B"] @ matrices[f"{name}.lora_A"]
    return plain


def test_a_new_lora_is_the_identity(lms, own_home):
    plain, adapted = tiny.build(lms.chat), tiny.build(lms.chat, lora=SETTINGS)
    assert len(list(adapted.trained.lora.parameters())) == 2 * 2 * 2
    assert torch.equal(plain.text_embeddings(CAPTIONS), adapted.text_embeddings(CAPTIONS))


@pytest.mark.parametrize("name", ["chat", "opt", "untied"])
def test_lora_is_its_formula(lms, own_home, name):
    adapted = build(getattr(lms, name))
    expected = by_hand(getattr(lms, name), adapted).text_embeddings(CAPTIONS)
    torch.testing.assert_close(adapted.text_embeddings(CAPTIONS), expected, atol=1e-5, rtol=0)
    assert not torch.allclose(tiny.build(getattr(lms, name)).text_embeddings(CAPTIONS), expected, atol=1e-2)


def test_the_contrastive_loss_has_every_gradient_of_the_plain_computation(model):
    features = tiny.features(3)
    found = model.contrastive_loss(features, CAPTIONS)
    next_token, info_nce = plain_contrastive_loss(model, features, CAPTIONS, 48)
    torch.testing.assert_close(found.next_token, next_token, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.info_nce, info_nce, atol=1e-4, rtol=1e-4)
    learned = gradients(model, found.loss)
    assert_same_gradients(learned, gradients(model, next_token + info_nce))
    assert all(float(value.abs().max()) > 0 for name, value in learned.items() if name.startswith("lora."))


def test_a_picture_before_ret_gets_its_gradient_too(lms, own_home):
    model = build(lms.chat)
    ids, picture = model.tokens.encode("like this"), Picture(tiny.features(1)[0])
    found = gradients(model, model.ask([[picture, ids]]).embeddings[0, 0])
    whole = reference.embedding_at(model, [picture, [*ids, model.tokens.ret_id]])[0]
    assert_same_gradients(found, gradients(model, whole))
    assert float(found["prefix.project.weight"].abs().max()) > 0


def test_the_caption_loss_has_every_gradient_of_the_plain_computation(model):
    features = tiny.features(3)
    found = model.caption_loss(features, CAPTIONS).loss
    expected = plain_caption_loss(model, features, CAPTIONS, 48)
    assert_same_gradients(gradients(model, found), gradients(model, expected))


@pytest.mark.parametrize("through_lm", [True, False])
def test_replies_teach_lora_whether_or_not_they_teach_what_they_follow(model, through_lm):
    prompts = [[model.tokens.encode(text)] for text in CAPTIONS]
    replies = [model.tokens.encode(text) for text in ("Here.", "Look at this", "No")]
    pairs = zip(prompts, replies, strict=True)
    expected = torch.stack([loss for pair in pairs for loss in reference.token_losses(model, *pair)]).mean()
    found = model.reply_loss(prompts, replies, through_lm=through_lm)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert_same_gradients(gradients(model, found), gradients(model, expected))


def test_no_gradient_stands_on_the_lm_s_own_weights(model):
    model.contrastive_loss(tiny.features(3), CAPTIONS).loss.backward()
    trained = {id(parameter) for parameter in model.trained.parameters()}
    own = [parameter for parameter in model.lm.parameters() if id(parameter) not in trained]
    assert own
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in own)


def test_without_gradients_the_shortcut_gives_the_same(model):
    prompts = [[model.tokens.encode(text)] for text in CAPTIONS]
    whole = model.ask(prompts)
    with torch.no_grad():
        short = model.ask(prompts)
    torch.testing.assert_close(short.embeddings, whole.embeddings, atol=1e-5, rtol=0)
    torch.testing.assert_close(short.last[short.batch.mask == 1], whole.last[whole.batch.mask == 1], atol=1e-4, rtol=0)
    assert torch.equal(short.batch.mask, whole.batch.mask)


def test_dropout_is_on_in_training_alone(lms, own_home):
    model = build(lms.chat, LoraSettings(rank=3, alpha=6, dropout=0.5))
    first = model.text_embeddings(CAPTIONS)
    assert torch.equal(first, model.text_embeddings(CAPTIONS))
    assert not torch.equal(first, model.train().text_embeddings(CAPTIONS))
    assert torch.equal(first, model.eval().text_embeddings(CAPTIONS))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_lora_is_float32_over_an_lm_of_half_precision(lms, own_home, dtype):
    model = tiny.build(lms.chat, lora=SETTINGS, dtype=dtype)
    model.contrastive_loss(tiny.features(3), CAPTIONS).loss.backward()
    assert {value.dtype for value in model.trained.lora.parameters()} == {torch.float32}
    assert {value.grad.dtype for value in model.trained.lora.parameters()} == {torch.float32}
    assert model.lm.dtype == getattr(torch, dtype)


def save(model: Fromage, folder: Path) -> Path:
    save_bundle(model, folder, feature_width=tiny.FEATURE_WIDTH, encoder_fingerprint="none", lineage={})
    return folder


def load(folder: Path, **options) -> Fromage:
    return load_bundle(str(folder), dtype="float32", device="cpu", vision=False, **options)


def test_a_bundle_comes_back_merged_and_not_with_the_same_embeddings_and_logits(model, tmp_path):
    folder = save(model, tmp_path / "bundle")
    merged, beside = load(folder), load(folder, merge_lora=False)
    assert merged.trained.lora is None
    assert not any("lora" in name for name, _ in merged.named_modules())
    assert beside.trained.lora.settings == model.trained.lora.settings
    assert merged.fingerprint == beside.fingerprint == bundle_fingerprint(str(folder))
    for loaded in (merged, beside):
        assert not any(parameter.requires_grad for parameter in loaded.parameters())
        np.testing.assert_allclose(loaded.text_embeddings(CAPTIONS), model.text_embeddings(CAPTIONS), atol=5e-3)
    torch.testing.assert_close(merged.text_embeddings(CAPTIONS), beside.text_embeddings(CAPTIONS), atol=1e-5, rtol=0)
    ids = torch.tensor([model.tokens.encode(CAPTIONS[2])])
    with torch.no_grad():
        logits = [loaded.logits(loaded.lm(loaded.lm.embed(ids)).last) for loaded in (merged, beside)]
    torch.testing.assert_close(logits[0], logits[1], atol=1e-4, rtol=1e-4)


def test_the_fingerprint_covers_the_matrices_and_their_scale(lms, own_home, tmp_path):
    plain = save(tiny.build(lms.chat), tmp_path / "plain")
    one = save(build(lms.chat), tmp_path / "one")
    other = save(build(lms.chat, LoraSettings(rank=3, alpha=7)), tmp_path / "other")
    changed = build(lms.chat)
    with torch.no_grad():
        next(changed.trained.lora.parameters())[0, 0] += 1
    changed = save(changed, tmp_path / "changed")
    assert len({bundle_fingerprint(str(folder)) for folder in (plain, one, other, changed)}) == 4


def test_a_bundle_without_lora_says_nothing_of_it(lms, own_home, tmp_path):
    folder = save(tiny.build(lms.chat), tmp_path / "plain")
    assert "lora" not in json.loads((folder / HEADER).read_text())
    assert not any(key.startswith("lora") for key in load_file(folder / WEIGHTS))


def test_a_bundle_that_lost_what_it_says_of_lora_is_refused_with_the_keys(lms, own_home, tmp_path):
    folder = save(build(lms.chat), tmp_path / "bundle")
    values = json.loads((folder / HEADER).read_text())
    del values["lora"]
    (folder / HEADER).write_text(json.dumps(values))
    with pytest.raises(BundleError, match=r"unexpected lora\.layers\.0\.self_attn\.q_proj\.lora_A"):
        load(folder)


def test_a_merged_model_cannot_be_saved_as_if_it_had_no_lora(lms, own_home, tmp_path):
    merged = load(save(build(lms.chat), tmp_path / "bundle"))
    with pytest.raises(ConfigError, match="merge_lora=False"):
        save(merged, tmp_path / "again")
    assert not (tmp_path / "again").exists()
    beside = load(tmp_path / "bundle", merge_lora=False)
    assert bundle_fingerprint(str(save(beside, tmp_path / "again"))) == beside.fingerprint


def test_a_target_that_the_lm_has_not_is_refused_with_those_that_it_has(lms, own_home):
    have = "down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj"
    with pytest.raises(ConfigError, match=f"targets query, lm_head are no linear layers of this LM; it has {have}"):
        tiny.build(lms.chat, lora=LoraSettings(rank=2, targets=("query", "v_proj", "lm_head")))


def test_gpt_2_s_joint_map_of_queries_and_values_is_its_usual_target(tmp_path, own_home):
    length = tiny.write_plain_tokenizer(tmp_path / "gpt2")
    torch.manual_seed(0)
    GPT2LMHeadModel(
        GPT2Config(vocab_size=length, n_embd=32, n_layer=2, n_head=2, n_positions=64, initializer_range=0.4)
    ).save_pretrained(tmp_path / "gpt2")
    model = build(tmp_path / "gpt2")
    assert model.trained.lora.settings.targets == ("c_attn",)
    beside = model.text_embeddings(CAPTIONS)
    merged = load(save(model, tmp_path / "bundle"))
    assert not torch.allclose(tiny.build(tmp_path / "gpt2").text_embeddings(CAPTIONS), beside, atol=1e-2)
    np.testing.assert_allclose(merged.text_embeddings(CAPTIONS), beside, atol=5e-3)


def test_the_seed_decides_where_lora_starts_and_nothing_else_that_is_drawn(lms, own_home):
    config = FromageConfig(language_model=str(lms.chat))
    drawn = []
    for seed in (1, 1, 2):
        lm, _ = load_frozen_lm(config, device="cpu", dtype=torch.float32)
        torch.manual_seed(9)
        drawn.append((next(add_lora(lm, SETTINGS, seed=seed).parameters()), torch.rand(1)))
    assert torch.equal(drawn[0][0], drawn[1][0])
    assert not torch.equal(drawn[0][0], drawn[2][0])
    assert drawn[0][1] == drawn[2][1]


@pytest.mark.parametrize("field", [{"rank": 0}, {"alpha": 0}, {"dropout": 1.0}])
def test_settings_that_cannot_work_are_refused_by_name(field):
    (name,) = field
    with pytest.raises(ConfigError, match=f"{name} is"):
        LoraSettings(**{"rank": 4} | field)
