"""The app as strangers reach it: over a scripted LM, with the decoding of the encoder deployment."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from fastapi.testclient import TestClient
from httpx import Response

from fromage_model.vision.encoders import load_vision_encoder
from services.answering.conversation import ChatLimits
from services.answering.engine import ChatEngine
from services.answering.pictures import RemotePictures
from services.deployments.encoder import ImageEncoder
from services.http.app import create_http_app
from services.http.options import HttpOptions
from tests.services.peers import MODEL, ScriptedLlm, Shelf, Standing

JSON = {"content-type": "application/json"}


@dataclass
class Decoding:
    """Pictures as the deployment decodes them; the features are the mean colour of its squares."""

    images: ImageEncoder
    remote: RemotePictures | None = None

    async def encode(self, picture: bytes | str) -> np.ndarray:
        if isinstance(picture, str):
            assert self.remote is not None
            picture = await self.remote.fetch(picture)
        return (await self.images.decode(picture)).astype(np.float32).mean(axis=(0, 1))

    async def ping(self) -> None:
        """Answers."""


@cache
def decoder() -> ImageEncoder:
    return ImageEncoder(load_vision_encoder("efficientnet-lite0"))


def app_client(llm: ScriptedLlm | None = None, *, remote: RemotePictures | None = None, **options: Any) -> TestClient:
    http = HttpOptions(limits=ChatLimits(remote_images=remote is not None), **options)
    encoder = Decoding(decoder(), remote)
    engine = ChatEngine(encoder=encoder, llm=llm or ScriptedLlm(), retriever=Shelf(), reply_timeout_s=30.0)
    app = create_http_app(engine, MODEL, http, swapping=Standing())
    return TestClient(app, raise_server_exceptions=False)


def check_refused(response: Response, status: int = 400) -> dict[str, Any]:
    """The error, in OpenAI's form and short enough to be shown."""
    assert response.status_code == status, response.text[:300]
    error = response.json()["error"]
    assert sorted(error) == ["code", "message", "param", "type"]
    assert 0 < len(error["message"]) < 1000
    assert "Traceback" not in response.text
    return error
