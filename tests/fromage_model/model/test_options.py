"""The original's options of the trained parts: no shared map, dropout after the maps, layers of unlike widths."""

import pytest
import torch
from torch.nn import functional as F

from fromage_model.bundle import load_bundle, load_projection, save_bundle
from fromage_model.errors import BundleError, ConfigError
from tests.fromage_model import reference, tiny

TEXTS = ["a red dress", "something warm for the long winter, please"]


def prompt_of(model, text: str) -> list:
    return [[*model.tokens.start_ids, *model.tokens.encode(text), model.tokens.ret_id]]


def test_without_a_shared_width_the_state_at_ret_is_the_embedding(lms, own_home):
    model = tiny.build(lms.opt, shared_width=None)
    assert model.shared_width == 32
    assert list(model.trained.text_head.parameters()) == []
    found = model.text_embeddings(TEXTS)
    for row, text in zip(found, TEXTS, strict=True):
        state = reference.read(model, prompt_of(model, text)).layers[0][-1]
        torch.testing.assert_close(row, F.normalize(state, dim=0).detach(), atol=1e-4, rtol=0)
    assert model.image_embeddings(tiny.features(2)).shape == (2, 32)


def test_without_a_shared_width_the_layers_states_are_summed(lms, own_home):
    model = tiny.build(lms.chat, shared_width=None, text_layers=(1, -1))
    found = model.text_embeddings(TEXTS[:1])[0]
    layers = reference.read(model, prompt_of(model, TEXTS[0])).layers
    torch.testing.assert_close(found, F.normalize(layers[0][-1] + layers[1][-1], dim=0).detach(), atol=1e-4, rtol=0)


def test_layers_of_unlike_widths_need_a_shared_width(tmp_path, own_home):
    folder = tiny.write_opt(tmp_path / "narrow", embedding_width=16)
    with pytest.raises(ConfigError, match=r"shared_width is None.* \[16, 32\] wide .*for example 256"):
        tiny.build(folder, shared_width=None, text_layers=(-1, 1))
    assert tiny.build(folder, shared_width=None).shared_width == 16
    assert tiny.build(folder, shared_width=None, text_layers=(1,)).shared_width == 32


def test_a_bundle_without_a_shared_width_is_saved_and_loaded(lms, clip, own_home, tmp_path):
    model = tiny.build(lms.opt, shared_width=None, vision_encoder=str(clip))
    save_bundle(model, tmp_path / "b", feature_width=tiny.FEATURE_WIDTH, encoder_fingerprint="any", lineage={})
    loaded = load_bundle(str(tmp_path / "b"), vision=False, dtype=torch.float32)
    torch.testing.assert_close(loaded.text_embeddings(TEXTS), model.text_embeddings(TEXTS), atol=1e-2, rtol=0)
    images = load_projection(str(tmp_path / "b")).embed(tiny.features(2).numpy())
    expected = model.image_embeddings(tiny.features(2)).detach().numpy()
    assert abs(images - expected).max() < 1e-2


def test_a_bundle_without_a_shared_width_and_without_an_image_head_says_so(lms, clip, own_home, tmp_path):
    from safetensors.torch import load_file, save_file

    model = tiny.build(lms.opt, shared_width=None, vision_encoder=str(clip))
    save_bundle(model, tmp_path / "b", feature_width=tiny.FEATURE_WIDTH, encoder_fingerprint="any", lineage={})
    weights = tmp_path / "b" / "weights.safetensors"
    save_file({key: value for key, value in load_file(weights).items() if "image_head" not in key}, weights)
    with pytest.raises(BundleError, match=r"expected image_head.project.bias among the weights, found .*ret.input_row"):
        load_projection(str(tmp_path / "b"))


def test_image_dropout_falls_on_prefix_and_embedding_after_the_maps(lms, own_home):
    model = tiny.build(lms.chat, image_dropout=0.5).train()
    features = tiny.features(64)
    torch.manual_seed(0)
    prefix = model.trained.prefix(model.trained.standardise(features))
    assert 0.4 < float((prefix == 0).float().mean()) < 0.6
    embeddings = model.image_embeddings(features)
    assert 0.3 < float((embeddings == 0).float().mean()) < 0.7
    torch.testing.assert_close(embeddings.norm(dim=-1), torch.ones(64))
    model.eval()
    assert not (model.image_embeddings(features) == 0).any()
    assert not (model.trained.prefix(features) == 0).any()


def test_text_dropout_falls_on_each_layer_s_projection(lms, own_home):
    model = tiny.build(lms.chat, text_dropout=0.5, text_layers=(-1, 1)).train()
    states = [torch.randn(400, 32), torch.randn(400, 32)]
    torch.manual_seed(0)
    dropped = float((model.trained.text_head(states) == 0).float().mean())
    assert 0.2 < dropped < 0.3
    model.eval()
    assert not (model.trained.text_head(states) == 0).any()


def test_original_captions_need_a_start_token(lms, own_home):
    with pytest.raises(ConfigError, match=r"original_captions is True, but the tokenizer of .* puts no start token"):
        tiny.build(lms.chat, original_captions=True)
    assert tiny.build(lms.opt, original_captions=True).config.original_captions
