"""A client that tells how a streamed chat ended: whole, refused, with an error event, or cut off."""

import asyncio
import base64
import io
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
from PIL import Image

from tests.benchmarks.common.same_reply import Token, tokens_of

CHAT = "/v1/chat/completions"
TIMEOUT_S = 300
End = Literal["open", "whole", "refused", "told", "cut"]


@dataclass
class Answer:
    """`end`: whole; refused, with a status before the first event; told by an error event in mid-stream; or cut off.

    `progress_s`: when something came last; `first_s`: seconds to the first text or products; `reason`: why the reply
    ended; `tokens`: where log-probabilities were asked for.
    """

    asked_s: float
    end: End = "open"
    status: int = 0
    error: str = ""
    retry_after_s: float = 0.0
    model: str = ""
    reason: str = ""
    tokens: list[Token] = field(default_factory=list)
    first_s: float | None = None
    progress_s: float = 0.0
    ended_s: float = 0.0
    text: str = ""
    products: list[dict[str, Any]] = field(default_factory=list)

    def hear(self, event: dict[str, Any]) -> None:
        if "error" in event:
            self.end, self.error = "told", str(event["error"])
            return
        self.model = event["model"]
        for choice in event["choices"]:
            delta = choice["delta"]
            self.text += delta.get("content") or ""
            self.products += delta.get("products") or []
            if self.first_s is None and (self.text or self.products):
                self.first_s = time.monotonic() - self.asked_s
            self.tokens += tokens_of(choice)
            if choice["finish_reason"] and self.end == "open":
                self.end, self.reason = "whole", choice["finish_reason"]


async def ask(
    client: httpx.AsyncClient,
    body: dict[str, Any],
    *,
    answer: Answer | None = None,
    leave: Callable[[Answer], bool] = lambda answer: False,
) -> Answer:
    """One streamed chat. `answer` is filled as it comes; once `leave` says so, the client goes away."""
    answer = answer or Answer(time.monotonic())
    try:
        async with client.stream("POST", CHAT, json=body | {"stream": True}) as response:
            answer.status = response.status_code
            if response.status_code != 200:
                answer.end, answer.error = "refused", (await response.aread()).decode(errors="replace")
                answer.retry_after_s = float(response.headers.get("retry-after", 0))
                return answer
            async for line in response.aiter_lines():
                answer.progress_s = time.monotonic()
                if line.startswith("data: {"):
                    answer.hear(json.loads(line[6:]))
                if leave(answer):
                    return answer
    except httpx.HTTPError as error:
        answer.end, answer.error = "cut", repr(error)
    finally:
        answer.ended_s = time.monotonic()
        if answer.end == "open":
            answer.end = "cut"
    return answer


async def until_asked_in(client: httpx.AsyncClient, body: dict[str, Any]) -> Answer:
    """As `ask`, again and again while there is no room. Raises RuntimeError for any other end than a whole reply."""
    while True:
        answer = await ask(client, body)
        if answer.end == "whole":
            return answer
        if answer.status not in (429, 503):
            raise RuntimeError(f"HTTP {answer.status}, {answer.end}: {answer.error[:300]}")
        await asyncio.sleep(answer.retry_after_s)


def client_of(url: str) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, limits=limits, trust_env=False)


def chat(text: str, *, tokens: int, picture: str | None = None, **options: Any) -> dict[str, Any]:
    """The body of a greedy chat of one message."""
    content: list[dict[str, Any]] = [{"type": "text", "text": text}]
    if picture is not None:
        content.insert(0, {"type": "image_url", "image_url": {"url": picture}})
    return {"messages": [{"role": "user", "content": content}], "max_tokens": tokens, "temperature": 0, **options}


def picture(number: int) -> str:
    """A data URL of a small picture; another for another number."""
    file = io.BytesIO()
    colour = (number * 37 % 256, number * 91 % 256, number * 53 % 256)
    Image.new("RGB", (96, 96), colour).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
