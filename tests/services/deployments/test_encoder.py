"""Pictures become features within limits, and a picture that comes again is not encoded again."""

import asyncio
import threading
import time

import numpy as np
import pytest
from PIL import Image

from fromage_model.errors import ImageError
from fromage_model.vision.encoders import load_vision_encoder
from fromage_model.vision.images import DECODED_AT_PX, ImageLimits, decode_image
from services.deployments.encoder import ImageEncoder
from tests.pictures import encoded


@pytest.fixture(scope="module")
def encoder() -> ImageEncoder:
    return ImageEncoder(
        load_vision_encoder("efficientnet-lite0"), limits=ImageLimits(max_pixels=10_000), cache_images=2
    )


def picture(colour: str, *, side_px: int = 64) -> bytes:
    return encoded(Image.new("RGB", (side_px, side_px), colour))


def decode(encoder: ImageEncoder, *files: bytes) -> list[np.ndarray]:
    """The squares of files that come at once."""

    async def together() -> list[np.ndarray]:
        return await asyncio.gather(*(encoder.decode(data) for data in files))

    return asyncio.run(together())


def test_features_of_a_batch_are_those_of_each_picture_alone(encoder: ImageEncoder):
    squares = decode(encoder, picture("red"), picture("blue"))
    together = encoder.encode_batch(squares)
    alone = [encoder.encode_batch([square])[0] for square in squares]
    assert together[0].shape == (1280,)
    assert together[0].dtype == np.float32
    np.testing.assert_allclose(together, alone, atol=1e-4)
    assert not np.allclose(together[0], together[1], atol=1e-2)


def test_features_are_those_of_the_picture_as_jobs_decode_it():
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    large = encoded(Image.fromarray(noise).resize((1500, 1000)), "JPEG")
    model = load_vision_encoder("efficientnet-lite0")
    encoder = ImageEncoder(model)
    found = encoder.encode_batch(decode(encoder, large))
    np.testing.assert_allclose(found, model.encode([decode_image(large, target_px=DECODED_AT_PX)]), atol=1e-4)


def test_pictures_that_come_at_once_are_decoded_one_at_a_time_and_wait_as_squares(encoder: ImageEncoder, monkeypatch):
    busy = threading.Lock()

    def watched(data: bytes, **options) -> Image.Image:
        assert busy.acquire(blocking=False), "another picture is being decoded"
        time.sleep(0.01)
        image = decode_image(data, **options)
        busy.release()
        return image

    monkeypatch.setattr("services.deployments.encoder.decode_image", watched)
    squares = decode(encoder, *(picture(colour) for colour in ("red", "blue", "green", "gold", "navy", "pink")))
    assert {square.shape for square in squares} == {(224, 224, 3)}
    assert {square.dtype for square in squares} == {np.dtype(np.uint8)}


def test_picture_over_the_limit_is_refused_before_it_is_decoded(encoder: ImageEncoder):
    with pytest.raises(ImageError, match="too many pixels"):
        decode(encoder, picture("red", side_px=101))


def test_only_the_last_pictures_are_remembered(encoder: ImageEncoder):
    for number, key in enumerate("abc"):
        encoder.remember(key, np.full(3, number))
    assert encoder.recall("a") is None
    assert encoder.recall("b") is not None
    encoder.remember("d", np.zeros(3))
    assert encoder.recall("c") is None, "b was asked for more recently"
