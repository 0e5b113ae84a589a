"""The services as a user starts them, and clients that stream replies from them.

The clients read the bytes of a stream as they come and look for no more than its beginning and its last event, so that
the cores are the server's.
"""

import asyncio
import base64
import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import psutil
from PIL import Image

from services.settings import Settings
from tests.benchmarks.serving.workload import WISH, Span, decode_rate, whole_rate
from tests.conftest import free_port

TIMEOUT_S = 300
LLM_REPLICA = "ServeReplica:default:llm"
"""In the title that Ray gives to its process."""
OTHERS, OTHERS_TOKENS = 8, 400
"""Replies, and their tokens, that are being written while another is asked for."""
OPTIONS = ("--no-dashboard", "--repetition-penalty=1", "--llm-queue=64")
"""Of the services: replies are drawn as the bare engine draws them."""
CAN_KEEP_PREFIXES = "llm_prefix_mb" in Settings.model_fields
WITHOUT_PREFIXES = "--llm-prefix-mb=0"
OPENMOJI = ("--bundle=openmoji", "--index=openmoji")
"""What `make bench` prepares."""
FURTHER_WISH = "And then?"
FIRST_REPLY = Settings().defaults
"""How the reply before it is written: as the services do by themselves."""


@contextmanager
def services(*options: str) -> Iterator["Served"]:
    """`python -m services` over OpenMoji, ready. Raises RuntimeError with what it said where it ends before."""
    port = free_port()
    command = [sys.executable, "-m", "services", "--port", str(port), *OPENMOJI, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            said = []
            for line in process.stdout:
                said.append(line)
                if "ready: " in line:
                    break
            else:
                raise RuntimeError(f"the services did not start: {''.join(said)}")
            yield Served(f"http://127.0.0.1:{port}", process.pid)
        finally:
            process.terminate()


class Served:
    """Services that answer. `pid`: of the process that they were started with, where we did that."""

    def __init__(self, url: str, pid: int | None = None):
        self.url = url
        self.pid = pid

    def lm_memory_mb(self) -> float:
        """Resident memory of the LM's replica; 0 where it is not ours."""
        if self.pid is None:
            return 0.0
        titles = {child: " ".join(child.cmdline()) for child in psutil.Process(self.pid).children(recursive=True)}
        replicas = [child for child, title in titles.items() if LLM_REPLICA in title]
        return max((replica.memory_info().rss for replica in replicas), default=0) / 1e6


class Http:
    def __init__(self, served: Served):
        self.served = served

    def measure(self, count: int, *, new_tokens: int) -> dict[str, float]:
        spans = decode(self.served.url, WISH, count=count, new_tokens=new_tokens)
        return {"http": decode_rate(spans), "http_with_prompt": whole_rate(spans)}


def decode(url: str, wish: str, *, count: int, new_tokens: int) -> list[Span]:
    """`count` replies to one wish, streamed at once."""

    async def all_at_once() -> list[Span]:
        async with _client(url) as client:
            asked = (stream(client, _body(wish, seed=seed, new_tokens=new_tokens)) for seed in range(count))
            return await asyncio.gather(*asked)

    return asyncio.run(all_at_once())


def first_token_s(url: str, wish: str, *, others: int) -> float:
    """From asking to the first text, while `others` replies are being written."""

    async def ask() -> float:
        async with _client(url) as client:
            began = [asyncio.Event() for _ in range(others)]
            writing = [
                asyncio.create_task(stream(client, _body(wish, seed=seed, new_tokens=OTHERS_TOKENS), began=event))
                for seed, event in enumerate(began)
            ]
            await asyncio.gather(*(event.wait() for event in began))
            span = await stream(client, _body(wish, seed=others, new_tokens=4))
            for task in writing:
                task.cancel()
            await asyncio.gather(*writing, return_exceptions=True)
            return span.first_s - span.asked_s

    return asyncio.run(ask())


def second_turn_s(url: str, *, seed: int) -> float:
    """From asking to the first text of a second turn, after a first with a picture that nobody sent before."""

    async def ask() -> float:
        async with _client(url) as client:
            content = [_picture(seed), {"type": "text", "text": WISH}]
            messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
            said: list[str] = []
            first = _body(messages, seed=seed, new_tokens=FIRST_REPLY.max_new_tokens)
            await stream(client, {**first, "temperature": FIRST_REPLY.temperature}, text=said)
            messages.append({"role": "assistant", "content": "".join(said)})
            messages.append({"role": "user", "content": FURTHER_WISH})
            span = await stream(client, _body(messages, seed=seed, new_tokens=4))
            return span.first_s - span.asked_s

    return asyncio.run(ask())


async def stream(
    client: httpx.AsyncClient,
    body: dict[str, Any],
    *,
    began: asyncio.Event | None = None,
    text: list[str] | None = None,
) -> Span:
    """One reply. `began` is set at its first text; `text` is filled with all of it."""
    asked_s = time.perf_counter()
    first_s, received = 0.0, bytearray()
    async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
        async for piece in answer.aiter_raw():
            received += piece
            if not first_s and _has_text(received):
                first_s = time.perf_counter()
                if began is not None:
                    began.set()
    last_s = time.perf_counter()
    if answer.status_code != 200:
        raise RuntimeError(f"HTTP {answer.status_code}: {received.decode(errors='replace')[:300]}")
    events = [json.loads(line[6:]) for line in received.decode().splitlines() if line.startswith("data: {")]
    if text is not None:
        text += [choice["delta"].get("content", "") for event in events for choice in event["choices"]]
    return Span(asked_s, first_s, last_s, _usage(events)["completion_tokens"])


def _has_text(received: bytes | bytearray) -> bool:
    """The first event has the role and an empty text."""
    return received.count(b'"content":') > 1


def _usage(events: Sequence[dict[str, Any]]) -> dict[str, int]:
    for event in reversed(events):
        if event.get("error"):
            raise RuntimeError(f"the stream ended with {event['error']}")
        if event.get("usage"):
            return event["usage"]
    raise RuntimeError("the stream ended without the usage")


def _client(url: str) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, limits=limits, trust_env=False)


def _body(wish: str | list[dict[str, Any]], *, seed: int, new_tokens: int) -> dict[str, Any]:
    return {
        "messages": [{"role": "user", "content": wish}] if isinstance(wish, str) else wish,
        "retrieval": "never",
        "max_tokens": new_tokens,
        "temperature": 1.0,
        "seed": seed,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def _picture(seed: int) -> dict[str, Any]:
    data = io.BytesIO()
    Image.new("RGB", (64, 64), (seed * 37 % 256, seed * 91 % 256, 120)).save(data, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}
