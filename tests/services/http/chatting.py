"""How the tests of HTTP talk to the app: over a scripted LM, with pictures made here."""

import base64
import io
import json
from typing import Any

from fastapi.testclient import TestClient
from PIL import Image

from services.http.app import create_http_app
from services.http.options import HttpOptions
from tests.services.peers import MODEL, ScriptedLlm, Standing, engine

CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "Hello"}]


def client_of(
    llm: ScriptedLlm | None = None, *, reply_timeout_s: float = 30.0, swapping: Standing | None = None, **options: Any
) -> TestClient:
    http = HttpOptions(**options)
    parts = engine(llm, pictures=http.limits.image, reply_timeout_s=reply_timeout_s)
    app = create_http_app(parts, MODEL, http, swapping=swapping or Standing())
    return TestClient(app, raise_server_exceptions=False)


def data_url(*, mode: str = "RGB", side_px: int = 4, format: str = "PNG", colour: str = "red") -> str:
    file = io.BytesIO()
    Image.new(mode, (side_px, side_px), colour).save(file, format)
    return f"data:image/{format.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def picture(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def picture_as(url: Any) -> dict[str, Any]:
    """As some clients send it: the URL itself where an object is due."""
    return {"type": "image_url", "image_url": url}


def showed(product: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": "", "products": [product]}


def events_of(text: str) -> list[Any]:
    lines = [block.removeprefix("data: ") for block in text.strip().split("\n\n")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]
