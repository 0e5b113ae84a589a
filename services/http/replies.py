"""A reply's events as OpenAI's objects: one completion, or chunks of a stream. Knows nothing of the LM."""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from typing import Any

from fromage_model.prompts.messages import Finished, TextDelta
from services.products import Products, ReplyEvent


@dataclass(frozen=True)
class ReplyHeader:
    """What every object of one reply begins with. `created`: seconds since 1970."""

    id: str
    model: str
    created: int

    @classmethod
    def new(cls, *, request_id: str, model: str) -> "ReplyHeader":
        return cls(id=f"chatcmpl-{request_id}", model=model, created=int(time.time()))

    def as_json(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


async def completion(events: AsyncIterator[ReplyEvent], header: ReplyHeader) -> dict[str, Any]:
    """The whole reply as one `chat.completion`."""
    text: list[str] = []
    products: list[dict[str, Any]] = []
    finished = None
    async for event in events:
        match event:
            case TextDelta():
                text.append(event.text)
            case Products():
                products += _products(event)
            case Finished():
                finished = event
    assert finished is not None, "a reply ends with Finished"
    message = {"role": "assistant", "content": "".join(text), "refusal": None, "products": products}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finished.reason}
    return {**header.as_json("chat.completion"), "choices": [choice], "usage": _usage(finished)}


async def chunks(
    events: AsyncIterator[ReplyEvent], header: ReplyHeader, *, include_usage: bool
) -> AsyncIterator[dict[str, Any]]:
    """The reply as `chat.completion.chunk` objects: the role, text and products as they come, the reason it ended."""

    def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        usage = {"usage": None} if include_usage else {}
        return {**header.as_json("chat.completion.chunk"), "choices": [choice], **usage}

    yield chunk({"role": "assistant", "content": ""})
    async for event in events:
        match event:
            case TextDelta():
                yield chunk({"content": event.text})
            case Products():
                yield chunk({"products": _products(event)})
            case Finished():
                yield chunk({}, event.reason)
                if include_usage:
                    yield {**header.as_json("chat.completion.chunk"), "choices": [], "usage": _usage(event)}


def server_sent(data: dict[str, Any] | str) -> str:
    """One event of a `text/event-stream`."""
    return f"data: {data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)}\n\n"


def _products(shown: Products) -> list[dict[str, Any]]:
    return [{**asdict(product), "offset": shown.offset} for product in shown.products]


def _usage(finished: Finished) -> dict[str, int]:
    return {
        "prompt_tokens": finished.prompt_tokens,
        "completion_tokens": finished.completion_tokens,
        "total_tokens": finished.prompt_tokens + finished.completion_tokens,
    }
