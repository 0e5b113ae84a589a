"""Pictures become features within limits, and a picture that comes again is not encoded again."""

import io

import numpy as np
import pytest
from PIL import Image

from fromage_model.errors import ImageError
from fromage_model.images import ImageLimits
from fromage_model.vision import load_vision_encoder
from services.encoder import ImageEncoder


@pytest.fixture(scope="module")
def encoder() -> ImageEncoder:
    return ImageEncoder(
        load_vision_encoder("efficientnet-lite0"), limits=ImageLimits(max_pixels=10_000), cache_images=2
    )


def png(colour: str, *, side_px: int = 64) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side_px, side_px), colour).save(file, "PNG")
    return file.getvalue()


def test_features_of_a_batch_are_those_of_each_picture_alone(encoder: ImageEncoder):
    images = [encoder.decode(png(colour)) for colour in ("red", "blue")]
    together = encoder.encode_batch(images)
    alone = [encoder.encode_batch([image])[0] for image in images]
    assert together[0].shape == (1280,)
    assert together[0].dtype == np.float32
    np.testing.assert_allclose(together, alone, atol=1e-4)
    assert not np.allclose(together[0], together[1], atol=1e-2)


def test_picture_over_the_limit_is_refused_before_it_is_decoded(encoder: ImageEncoder):
    with pytest.raises(ImageError, match="too many pixels"):
        encoder.decode(png("red", side_px=101))


def test_only_the_last_pictures_are_remembered(encoder: ImageEncoder):
    for number, key in enumerate("abc"):
        encoder.remember(key, np.full(3, number))
    assert encoder.recall("a") is None
    assert encoder.recall("b") is not None
    encoder.remember("d", np.zeros(3))
    assert encoder.recall("c") is None, "b was asked for more recently"
