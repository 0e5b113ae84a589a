"""Frozen encoders: features of the real weights, the same in a batch as alone, and CLIP as transformers computes it."""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPModel, CLIPVisionConfig, CLIPVisionModel, ResNetConfig, ResNetModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil

from fromage_model.errors import ConfigError
from fromage_model.storage.pretrained import DEFAULT_VISION_ENCODER, STAGES_VISION_ENCODER
from fromage_model.vision.encoders import load_squares, load_vision_encoder
from fromage_model.vision.palette import palette


@pytest.fixture(scope="module")
def efficientnet():
    return load_vision_encoder(DEFAULT_VISION_ENCODER)


def pictures() -> list[Image.Image]:
    """Of different sizes and content."""
    noise = np.random.default_rng(0).integers(0, 255, (90, 60, 3), dtype=np.uint8)
    return [Image.new("RGB", (40, 50), "navy"), Image.fromarray(noise), Image.new("RGB", (300, 20), "gold")]


def test_efficientnet_gives_1280_features_that_tell_pictures_apart(efficientnet):
    features = efficientnet.encode(pictures())
    assert features.shape == (3, 1280)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    cosines = np.corrcoef(features)
    assert cosines[0, 1] < 0.9


def test_a_picture_has_the_same_features_in_a_batch_as_alone(efficientnet):
    alone = np.concatenate([efficientnet.encode([picture]) for picture in pictures()])
    np.testing.assert_allclose(efficientnet.encode(pictures()), alone, atol=1e-4)


def test_no_pictures_are_no_features(efficientnet):
    assert efficientnet.encode([]).shape == (0, 1280)


def test_pixels_are_what_the_backbone_was_trained_on(efficientnet):
    pixels = efficientnet.preprocess([Image.new("RGB", (224, 224), (255, 0, 0))])
    assert pixels.shape == (1, 3, 224, 224)
    assert pixels.dtype == torch.float32
    assert (float(pixels[0, 0].min()), float(pixels[0, 1].max())) == (1.0, -1.0)


@pytest.mark.parametrize("size", [(400, 200), (200, 400)])
def test_a_picture_is_fitted_whole_on_white_and_keeps_its_proportions(efficientnet, size):
    pixels = efficientnet.preprocess([Image.new("RGB", size, "black")])[0, 0]
    black = pixels < 0
    rows, columns = int(black.any(dim=1).sum()), int(black.any(dim=0).sum())
    assert (columns, rows) == ((224, 112) if size[0] > size[1] else (112, 224))
    assert float(pixels[0, 0]) == 1.0 if rows == 224 else float(pixels[0, 100]) == 1.0
    assert float(pixels[112, 112]) == -1.0


def test_a_sliver_of_a_picture_is_no_error(efficientnet):
    assert efficientnet.encode([Image.new("RGB", (2000, 1)), Image.new("RGB", (1, 1))]).shape == (2, 1280)


def test_clip_s_features_are_transformers_own_pooler_output(clip, own_home):
    encoder = load_vision_encoder(str(clip))
    processor, backbone = CLIPImageProcessorPil.from_pretrained(clip), CLIPVisionModel.from_pretrained(clip).eval()
    with torch.no_grad():
        pixels = processor(images=pictures(), return_tensors="pt")["pixel_values"]
        expected = backbone(pixel_values=pixels).pooler_output.numpy()
    np.testing.assert_allclose(encoder.encode(pictures()), expected, atol=1e-5)
    assert encoder.feature_width == expected.shape[1]


def write_clip(folder, *, patch: int, width: int, side_px: int = 64, whole: bool = False):
    """CLIP's vision tower with the patches of B/32, B/16 or L/14, shrunk; `whole` with the text tower beside it."""
    sizes = {"hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision = CLIPVisionConfig(**sizes, image_size=side_px, patch_size=patch, projection_dim=6)
    torch.manual_seed(0)
    if whole:
        text = sizes | {"vocab_size": 50, "bos_token_id": 48, "eos_token_id": 49}
        config = CLIPConfig(vision_config=vision.to_dict(), text_config=text, projection_dim=6)
        CLIPModel(config).save_pretrained(folder)
    else:
        CLIPVisionModel(vision).save_pretrained(folder)
    CLIPImageProcessorPil(
        size={"shortest_edge": side_px}, crop_size={"height": side_px, "width": side_px}
    ).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(("patch", "width", "side_px"), [(32, 24, 64), (16, 24, 64), (14, 32, 56)])
def test_every_clip_s_features_are_the_class_token_after_the_last_norm(
    tmp_path, own_home, patch, width, side_px, whole
):
    folder = write_clip(tmp_path / "clip", patch=patch, width=width, side_px=side_px, whole=whole)
    encoder = load_vision_encoder(str(folder))
    tower = (CLIPModel if whole else CLIPVisionModel).from_pretrained(folder).eval()
    tower = getattr(tower, "vision_model", tower)
    pixels = encoder.preprocess(pictures())
    assert pixels.shape == (3, 3, side_px, side_px)
    with torch.no_grad():
        output = tower(pixel_values=pixels)
        expected = tower.post_layernorm(output.last_hidden_state[:, 0])
    assert output.last_hidden_state.shape == (3, (side_px // patch) ** 2 + 1, width)
    np.testing.assert_allclose(encoder.encode(pictures()), expected.numpy(), atol=1e-5)
    assert encoder.feature_width == width


@pytest.fixture
def resnet(tmp_path):
    """With the old hub folders' way of naming the side, as microsoft/resnet-50 has it."""
    torch.manual_seed(0)
    sizes = {"embedding_size": 8, "hidden_sizes": [16, 24], "depths": [1, 2], "layer_type": "bottleneck"}
    model = ResNetModel(ResNetConfig(**sizes)).train()
    for _ in range(3):
        model(pixel_values=torch.randn(4, 3, 32, 32) + 0.5)
    model.save_pretrained(tmp_path / "resnet")
    processor = {"crop_pct": 0.875, "do_normalize": True, "do_resize": True, "resample": 3, "size": 32}
    processor |= {"feature_extractor_type": "ConvNextFeatureExtractor"}
    processor |= {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
    (tmp_path / "resnet" / "preprocessor_config.json").write_text(json.dumps(processor))
    return tmp_path / "resnet"


def test_resnet_s_features_are_the_mean_of_its_last_map(resnet, own_home):
    encoder = load_vision_encoder(str(resnet))
    backbone = ResNetModel.from_pretrained(resnet).eval()
    pixels = ConvNextImageProcessorPil.from_pretrained(resnet)(images=pictures(), return_tensors="pt")["pixel_values"]
    assert pixels.shape == (3, 3, 32, 32)
    with torch.no_grad():
        expected = backbone(pixel_values=pixels).last_hidden_state.mean(dim=(2, 3)).numpy()
    found = encoder.encode(pictures())
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found.shape == (3, encoder.feature_width) == (3, 24)
    alone = np.concatenate([encoder.encode([picture]) for picture in pictures()])
    np.testing.assert_allclose(found, alone, atol=1e-5)


def test_resnet_sees_a_square_of_the_picture_s_middle_normalised(resnet, own_home):
    red = Image.new("RGB", (90, 60), (255, 0, 0))
    pixels = load_vision_encoder(str(resnet)).preprocess([red])[0]
    for channel, value in enumerate(((1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225)):
        torch.testing.assert_close(pixels[channel], torch.full((32, 32), value))


@pytest.mark.parametrize("which", ["efficientnet", "clip", "resnet"])
def test_squares_made_apart_have_the_features_of_the_pictures(which, clip, resnet, own_home):
    name = {"efficientnet": DEFAULT_VISION_ENCODER, "clip": str(clip), "resnet": str(resnet)}[which]
    encoder = load_vision_encoder(name)
    squares = load_squares(name)(pictures())
    assert squares.dtype == np.uint8
    assert squares.shape[::3] == (3, 3)
    np.testing.assert_allclose(encoder.normalise(squares), encoder.preprocess(pictures()), atol=1e-5)
    np.testing.assert_allclose(encoder.encode_squares(squares), encoder.encode(pictures()), atol=1e-5)


def test_a_picture_with_transparency_is_encoded(resnet, clip, own_home):
    picture = Image.new("RGBA", (40, 40), (10, 20, 30, 128))
    for folder in (resnet, clip):
        assert load_vision_encoder(str(folder)).encode([picture, picture.convert("L")]).shape[0] == 2


def test_an_encoder_is_frozen_in_eval_mode_and_named(clip, efficientnet, own_home):
    for encoder, name in ((efficientnet, DEFAULT_VISION_ENCODER), (load_vision_encoder(str(clip)), str(clip))):
        assert encoder.name == name
        assert all(not parameter.requires_grad for parameter in encoder.parameters())
        assert all(not module.training for module in encoder.modules())


def test_the_fingerprint_covers_the_preprocessing(clip, own_home):
    before = load_vision_encoder(str(clip)).fingerprint
    processor = clip / "preprocessor_config.json"
    original = processor.read_text()
    try:
        processor.write_text(original.replace("32", "40"))
        assert load_vision_encoder(str(clip)).fingerprint != before
    finally:
        processor.write_text(original)
    assert load_vision_encoder(str(clip)).fingerprint == before


def test_a_language_model_is_no_vision_encoder(lms, own_home):
    with pytest.raises(ConfigError, match="is a 'llama' model"):
        load_vision_encoder(str(lms.chat))


def test_nothing_imports_torchvision(efficientnet, clip, own_home):
    load_vision_encoder(str(clip)).encode(pictures())
    assert "torchvision" not in sys.modules


def test_the_stages_are_the_last_map_s_mean_what_a_hook_sees_of_block_7_and_the_palette(efficientnet):
    seen = []
    hook = efficientnet.backbone._blocks[7].register_forward_hook(lambda module, inputs, output: seen.append(output))
    last = efficientnet.encode(pictures())
    hook.remove()
    stage = seen[0].mean(dim=(2, 3)).numpy(), seen[0].amax(dim=(2, 3)).numpy()
    colours = palette(efficientnet.preprocess(pictures())).numpy()
    expected = np.concatenate([last, *stage, colours], axis=1)
    stages = load_vision_encoder(STAGES_VISION_ENCODER)
    assert stages.feature_width == 1280 + 160 + 216
    np.testing.assert_allclose(stages.encode(pictures()), expected, atol=1e-5)
    squares = load_squares(STAGES_VISION_ENCODER)(pictures())
    np.testing.assert_array_equal(stages.encode_squares(squares), stages.encode(pictures()))


def test_the_stages_have_a_fingerprint_of_their_own_and_leave_that_of_the_last_map_as_it_was(efficientnet):
    assert efficientnet.fingerprint.endswith(":letterbox-224-bicubic:mean-pool")
    stages = load_vision_encoder(STAGES_VISION_ENCODER).fingerprint
    assert stages == f"{efficientnet.fingerprint}+block7-mean-max+palette-6"
