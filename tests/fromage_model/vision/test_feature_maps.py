"""Trainable encoders: the maps of the real backbones, what is frozen of them, and what can't be had."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import ResNetModel

from fromage_model.errors import CheckpointError, ConfigError, InvalidInput
from fromage_model.storage.pretrained import DEFAULT_VISION_ENCODER, STAGES_VISION_ENCODER
from fromage_model.vision.encoders import load_vision_encoder
from fromage_model.vision.feature_map_weights import load_feature_map_encoder
from fromage_model.vision.feature_maps import Architecture, build_feature_map_encoder
from tests.fromage_model import tiny_frozen


@pytest.fixture(scope="module")
def efficientnet():
    return load_feature_map_encoder(DEFAULT_VISION_ENCODER)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_frozen.write_resnet(tmp_path_factory.mktemp("resnet"))


@pytest.fixture
def resnet(folder, own_home):
    return load_feature_map_encoder(str(folder))


@torch.no_grad()
def test_efficientnet_s_maps_average_to_the_features_of_the_frozen_encoder(efficientnet):
    pictures = tiny_frozen.pictures(2)
    frozen = load_vision_encoder(DEFAULT_VISION_ENCODER)
    pixels = efficientnet.preprocess(pictures)
    torch.testing.assert_close(pixels, frozen.preprocess(pictures))
    maps = efficientnet(pixels)
    assert maps.shape == (2, 1280, 7, 7)
    np.testing.assert_allclose(maps.mean(dim=(2, 3)).numpy(), frozen.encode(pictures), atol=1e-5)


@torch.no_grad()
def test_a_resnet_s_maps_are_transformers_own_and_its_preprocessor_is_followed(resnet, folder):
    pixels = resnet.preprocess(tiny_frozen.pictures(3))
    assert pixels.shape == (3, 3, 32, 32)
    white = (1 - torch.tensor([0.5, 0.4, 0.3])) / torch.tensor([0.2, 0.3, 0.4])
    torch.testing.assert_close(pixels[0, :, 0, 0], white)
    expected = ResNetModel.from_pretrained(folder).eval()(pixels).last_hidden_state
    assert expected.shape == (3, tiny_frozen.RESNET_WIDTH, 4, 4)
    torch.testing.assert_close(resnet(pixels), expected)


@torch.no_grad()
def test_the_stages_encoder_has_the_map_of_the_plain_one_and_what_the_frozen_one_pools_beside_it(efficientnet):
    stages = load_feature_map_encoder(STAGES_VISION_ENCODER)
    frozen = load_vision_encoder(STAGES_VISION_ENCODER)
    pictures = tiny_frozen.pictures(2)
    pixels = stages.preprocess(pictures)
    maps = stages(pixels)
    assert maps.shape == (2, stages.feature_width, 7, 7) == (2, 1280 + 80 + 80, 7, 7)
    torch.testing.assert_close(maps[:, :1280], efficientnet(pixels))
    pooled = torch.cat([maps[:, :1360].mean(dim=(2, 3)), maps[:, 1360:].amax(dim=(2, 3))], dim=1)
    torch.testing.assert_close(pooled, torch.from_numpy(frozen.encode(pictures))[:, :1440], atol=1e-5, rtol=1e-5)
    assert stages.fingerprint != efficientnet.fingerprint


@pytest.mark.parametrize("stages", [0, 1, 3])
def test_what_the_frozen_stages_made_can_be_kept_and_gone_on_with(resnet, stages):
    resnet.freeze(stages)
    resnet.train()
    pixels = resnet.preprocess(tiny_frozen.pictures(3))
    kept = resnet.begin(pixels)
    assert not kept.requires_grad
    state = {key: value.clone() for key, value in resnet.state_dict().items()}
    whole = resnet(pixels)
    resnet.load_state_dict(state)
    torch.testing.assert_close(resnet.finish(kept), whole, atol=1e-3, rtol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("stages", [3, 6, 9])
def test_the_stages_encoder_goes_on_from_before_and_behind_the_map_that_it_keeps_beside(stages):
    # What is kept lies otherwise in memory, so another kernel may round it: seen in float32, not in float64.
    encoder = load_feature_map_encoder(STAGES_VISION_ENCODER).double()
    encoder.freeze(stages)
    pixels = encoder.preprocess(tiny_frozen.pictures(2)).double()
    torch.testing.assert_close(encoder.finish(encoder.begin(pixels)), encoder(pixels))


def test_resnet_50_by_its_bare_name_is_drawn_at_random():
    encoder = load_feature_map_encoder("resnet-50")
    assert (encoder.feature_width, encoder.stages, encoder.fingerprint) == (2048, 5, "")
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 23_508_032
    assert all(parameter.requires_grad for parameter in encoder.parameters())


@torch.no_grad()
def test_an_encoder_is_made_again_from_its_architecture(resnet, efficientnet):
    for encoder in (resnet, efficientnet):
        again = build_feature_map_encoder(Architecture.from_dict(vars(encoder.architecture))).eval()
        again.load_state_dict(encoder.state_dict())
        pixels = encoder.preprocess(tiny_frozen.pictures(1))
        assert torch.equal(again(pixels), encoder(pixels))


@pytest.mark.parametrize("stages", [0, 1, 2, 3])
def test_frozen_stages_stay_bit_equal_and_the_others_learn(resnet, stages):
    resnet.freeze(stages)
    resnet.train()
    before = {key: value.clone() for key, value in resnet.state_dict().items()}
    trained = [parameter for parameter in resnet.parameters() if parameter.requires_grad]
    maps = resnet(resnet.preprocess(tiny_frozen.pictures(4)))
    if trained:
        maps.square().sum().backward()
        torch.optim.SGD(trained, lr=1e-3).step()
    owners = ["backbone.embedder.", "backbone.encoder.stages.0.", "backbone.encoder.stages.1."]
    for index, owner in enumerate(owners):
        changed = {
            key for key, value in resnet.state_dict().items() if key.startswith(owner) and not value.equal(before[key])
        }
        assert bool(changed) == (index >= stages), owner
        if changed:
            assert any("running_mean" in key for key in changed)
            assert any("convolution.weight" in key for key in changed)


def test_every_weight_of_efficientnet_belongs_to_a_stage(efficientnet):
    assert efficientnet.stages == 9
    efficientnet.freeze(9)
    assert not any(parameter.requires_grad for parameter in efficientnet.parameters())
    assert not any(module.training for module in efficientnet.train().backbone._blocks)
    efficientnet.freeze(0)
    assert all(parameter.requires_grad for parameter in efficientnet.parameters())
    efficientnet.eval()


@torch.no_grad()
def test_in_eval_mode_a_map_is_the_same_alone_and_in_a_batch(resnet):
    pixels = resnet.preprocess(tiny_frozen.pictures(3))
    alone = torch.cat([resnet(row[None]) for row in pixels])
    torch.testing.assert_close(resnet(pixels), alone, atol=1e-5, rtol=1e-5)


def test_blank_pictures_are_black_ones(resnet):
    pixels = resnet.preprocess(tiny_frozen.pictures(2))
    black = -torch.tensor([0.5, 0.4, 0.3]) / torch.tensor([0.2, 0.3, 0.4])
    torch.testing.assert_close(resnet.blank(pixels), black.view(3, 1, 1).expand(2, 3, 32, 32))


@pytest.mark.parametrize("name", ["nf-resnet-50", "nf_resnet50", "timm/nf_resnet50.ra2_in1k"])
def test_nf_resnet_is_refused_with_the_two_that_work(name):
    with pytest.raises(ConfigError, match=r"none of the libraries.*'resnet-50' and 'efficientnet-lite0' work"):
        load_feature_map_encoder(name)


def test_an_encoder_of_another_kind_is_refused(clip, own_home):
    with pytest.raises(ConfigError, match="'clip_vision_model' model"):
        load_feature_map_encoder(str(clip))


def test_a_resnet_with_a_missing_weight_is_refused_by_its_name(folder, tmp_path, own_home):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tensors = load_file(tmp_path / "model.safetensors")
    removed = next(key for key in tensors if key.endswith("convolution.weight"))
    del tensors[removed]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=removed.removeprefix("resnet.")):
        load_feature_map_encoder(str(tmp_path))


def test_more_stages_than_there_are_and_pixels_of_another_shape_are_refused(resnet):
    with pytest.raises(ConfigError, match="frozen_stages is 4; resnet has 3"):
        resnet.freeze(4)
    with pytest.raises(InvalidInput, match=r"expected normalised pixels \(B, 3, H, W\).*\(2, 32, 32, 3\)"):
        resnet(torch.zeros(2, 32, 32, 3))
    with pytest.raises(InvalidInput, match="uint8"):
        resnet(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))
