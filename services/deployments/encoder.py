"""The encoder deployment: bytes of pictures -> features. Knows nothing of chats, or of where pictures come from.

Who deploys it imports this module too: what only a replica needs, torch and the model, is imported where it is made.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from ray import serve

from fromage_model.errors import FingerprintMismatch
from fromage_model.vision.images import DECODED_AT_PX, ImageLimits, decode_image
from services.answering.pictures import RemoteAccess, RemotePictures
from services.telemetry import metrics
from services.telemetry.replica import begin_telemetry

if TYPE_CHECKING:
    from fromage_model.vision.encoders import VisionEncoder


class ImageEncoder:
    """Decodes within limits, one picture at a time, and encodes; remembers the features of the last pictures.

    A picture that the limits let through may take a gigabyte while it is decoded. What waits to be encoded is the
    square that the encoder sees, of some hundred kilobytes.

    A chat sends its pictures again with every turn, so most are known already.
    """

    def __init__(self, encoder: "VisionEncoder", *, limits: ImageLimits = ImageLimits(), cache_images: int = 256):
        from fromage_model.vision.encoders import load_squares

        self.encoder = encoder
        self.limits = limits
        self._cache_images = cache_images
        self._known: OrderedDict[str, np.ndarray] = OrderedDict()
        self._squares = load_squares(encoder.name)
        # A thread of its own, and no semaphore: who stops waiting does not stop the decoding that has begun.
        self._decoding = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decode")

    async def decode(self, data: bytes) -> np.ndarray:
        """The bytes of a picture's file -> its square, (H, W, 3) uint8. Raises ImageError for what is no picture or is
        over the limits.
        """
        return await asyncio.get_running_loop().run_in_executor(self._decoding, self._square, data)

    def _square(self, data: bytes) -> np.ndarray:
        return self._squares([decode_image(data, limits=self.limits, target_px=DECODED_AT_PX)])[0]

    def encode_batch(self, squares: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Squares -> one (F,) float32 each."""
        metrics.ENCODER_BATCH.record(len(squares))
        return list(self.encoder.encode_squares(np.stack(squares)))

    def recall(self, key: str) -> np.ndarray | None:
        if key in self._known:
            self._known.move_to_end(key)
        return self._known.get(key)

    def remember(self, key: str, features: np.ndarray) -> None:
        self._known[key] = features
        while len(self._known) > self._cache_images:
            self._known.popitem(last=False)


@serve.deployment(name="encoder")
class EncoderDeployment:
    """Pictures that arrive together go through the encoder in one forward.

    Refuses to start on another encoder than the one, by `fingerprint`, that the bundle was trained with.
    """

    def __init__(
        self,
        name: str,
        *,
        fingerprint: str,
        device: str | None,
        threads: int,
        batch_images: int,
        batch_wait_s: float,
        cache_images: int,
        limits: ImageLimits,
        remote: RemoteAccess | None,
    ):
        """`remote`: how pictures are fetched that come as URLs; None where none may come so."""
        import torch

        from fromage_model.language.precision import default_device
        from fromage_model.vision.encoders import load_vision_encoder

        begin_telemetry()
        torch.set_num_threads(threads)
        encoder = load_vision_encoder(name, device=device or default_device())
        if encoder.fingerprint != fingerprint:
            raise FingerprintMismatch(f"vision encoder {name}", expected=fingerprint, found=encoder.fingerprint)
        self.engine = ImageEncoder(encoder, limits=limits, cache_images=cache_images)
        self._remote = None if remote is None else RemotePictures(remote, limits=limits)
        self._encode_together.set_max_batch_size(batch_images)
        self._encode_together.set_batch_wait_timeout_s(batch_wait_s)

    async def encode(self, picture: bytes | str) -> np.ndarray:
        """The bytes of a picture's file, or its http(s) URL -> features (F,) float32.

        Raises ImageError, and for a URL Overloaded.
        """
        if isinstance(picture, bytes):
            return await self._encode(picture)
        assert self._remote is not None, "a URL is refused before it comes here"
        sha256 = self._remote.sha256_of(picture)
        features = None if sha256 is None else self.engine.recall(sha256)
        return await self._encode(await self._remote.fetch(picture)) if features is None else features

    async def _encode(self, data: bytes) -> np.ndarray:
        key = hashlib.sha256(data).hexdigest()
        features = self.engine.recall(key)
        metrics.PICTURES.record(result="miss" if features is None else "hit")
        if features is None:
            with metrics.ENCODER_SECONDS.timed():
                features = await self._encode_together(await self.engine.decode(data))
            self.engine.remember(key, features)
        return features

    async def ping(self) -> None:
        """Returns once the replica answers."""

    @serve.batch
    async def _encode_together(self, squares: list[np.ndarray]) -> list[np.ndarray]:
        return await asyncio.to_thread(self.engine.encode_batch, squares)
