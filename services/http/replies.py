"""Replies' events as OpenAI's objects: one completion, or chunks of a stream. Knows nothing of the LM.

Events come with the place of the reply that they belong to, among the `n` that were asked for.
"""

import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from fromage_model.prompts.messages import Finished, TextDelta, TokenScore
from services.products import Products, ReplyEvent

LEAST_LOGPROB = -9999.0
"""JSON has no minus infinity; this is what OpenAI writes."""
Placed = tuple[int, ReplyEvent]


@dataclass(frozen=True)
class ReplyHeader:
    """What every object of one answer begins with. `created`: seconds since 1970. `logprobs`: whether they are told."""

    id: str
    model: str
    created: int
    count: int = 1
    logprobs: bool = False

    @classmethod
    def new(cls, *, request_id: str, model: str, count: int = 1, logprobs: bool = False) -> "ReplyHeader":
        return cls(f"chatcmpl-{request_id}", model, int(time.time()), count, logprobs)

    def as_json(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


@dataclass
class _Written:
    """What has come of one reply."""

    text: list[str] = field(default_factory=list)
    tokens: list[TokenScore] = field(default_factory=list)
    products: list[dict[str, Any]] = field(default_factory=list)
    narrowed: dict[str, Any] = field(default_factory=lambda: {"filters": None, "unmet_filters": None})
    finished: Finished | None = None

    def add(self, event: ReplyEvent) -> None:
        match event:
            case TextDelta():
                self.text.append(event.text)
                self.tokens += event.tokens
            case Products():
                self.products += _products(event)
                self.narrowed = _narrowed(event)
            case Finished():
                self.finished = event

    def choice(self, index: int, *, logprobs: bool) -> dict[str, Any]:
        assert self.finished is not None, "a reply ends with Finished"
        text = "".join(self.text)
        message = {"role": "assistant", "content": text, "refusal": None, "products": self.products, **self.narrowed}
        told = _logprobs(self.tokens) if logprobs else None
        return {"index": index, "message": message, "logprobs": told, "finish_reason": self.finished.reason}


async def completion(events: AsyncIterator[Placed], header: ReplyHeader) -> dict[str, Any]:
    """The whole answer as one `chat.completion`."""
    written = [_Written() for _ in range(header.count)]
    async for place, event in events:
        written[place].add(event)
    choices = [one.choice(place, logprobs=header.logprobs) for place, one in enumerate(written)]
    usage = _usage([one.finished for one in written if one.finished])
    return {**header.as_json("chat.completion"), "choices": choices, "usage": usage}


async def chunks(
    events: AsyncIterator[Placed], header: ReplyHeader, *, include_usage: bool
) -> AsyncIterator[dict[str, Any]]:
    """The answer as `chat.completion.chunk` objects: the role, text and products as they come, the reason it ended."""
    usage: dict[str, Any] = {"usage": None} if include_usage else {}

    def chunk(
        place: int, delta: dict[str, Any], reason: str | None = None, tokens: Sequence[TokenScore] = ()
    ) -> dict[str, Any]:
        told = _logprobs(tokens) if tokens else None
        choice = {"index": place, "delta": delta, "logprobs": told, "finish_reason": reason}
        return {**header.as_json("chat.completion.chunk"), "choices": [choice], **usage}

    for place in range(header.count):
        yield chunk(place, {"role": "assistant", "content": ""})
    finished: list[Finished] = []
    async for place, event in events:
        match event:
            case TextDelta():
                yield chunk(place, {"content": event.text}, tokens=event.tokens)
            case Products():
                yield chunk(place, {"products": _products(event), **_narrowed(event)})
            case Finished():
                finished.append(event)
                yield chunk(place, {}, event.reason)
    if include_usage:
        yield {**header.as_json("chat.completion.chunk"), "choices": [], "usage": _usage(finished)}


def server_sent(data: dict[str, Any] | str) -> str:
    """One event of a `text/event-stream`."""
    return f"data: {data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)}\n\n"


def _products(shown: Products) -> list[dict[str, Any]]:
    return [{**asdict(product), "offset": shown.offset} for product in shown.products]


def _narrowed(shown: Products) -> dict[str, Any]:
    return {"filters": dict(shown.filters), "unmet_filters": dict(shown.unmet)}


def _logprobs(tokens: Sequence[TokenScore]) -> dict[str, Any]:
    content = [{**_token(token), "top_logprobs": [_token(one) for one in token.top]} for token in tokens]
    return {"content": content, "refusal": None}


def _token(token: TokenScore) -> dict[str, Any]:
    data = None if token.data is None else list(token.data)
    return {"token": token.text, "logprob": max(token.logprob, LEAST_LOGPROB), "bytes": data}


def _usage(finished: Sequence[Finished]) -> dict[str, int]:
    """The prompt is counted once however many replies there are to it."""
    prompt = max((one.prompt_tokens for one in finished), default=0)
    completion = sum(one.completion_tokens for one in finished)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
