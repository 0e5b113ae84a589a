"""Frozen encoders: features of the real weights, the same in a batch as alone, and CLIP as transformers computes it."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPVisionModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from fromage_model.errors import ConfigError
from fromage_model.pretrained import DEFAULT_VISION_ENCODER
from fromage_model.vision import load_vision_encoder


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
