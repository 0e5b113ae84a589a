"""`POST /v1/chat/completions`: a reply, whole or streamed, or several."""

import re
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from services.answering.engine import ChatEngine
from services.http.access.budgets import Budget
from services.http.address import base_url
from services.http.documented import REFUSED, body_of, schema_of
from services.http.event_stream import EventStream
from services.http.forms.chat import ChatRequest
from services.http.forms.completion import ChatCompletion, ChatCompletionChunk
from services.http.interpret import read_conversation
from services.http.markdown import as_markdown
from services.http.options import HttpOptions, ServedModel
from services.http.reading import apart, read_form
from services.http.replies import ReplyHeader, completion

IGNORED = "x-ignored-fields"
MOST_IGNORED = 16
FIELD_NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": ChatCompletion,
        "description": "The reply; with `stream` as server-sent events, of which each holds a chunk.",
        "content": {"text/event-stream": {"schema": {**schema_of(ChatCompletionChunk)}}},
        "headers": {
            IGNORED: {
                "description": "Names of the request's fields that nothing was done with.",
                "schema": {"type": "string"},
            }
        },
    },
    **REFUSED,
}


def routes(engine: ChatEngine, model: ServedModel, options: HttpOptions) -> APIRouter:
    routes = APIRouter()

    @routes.post("/v1/chat/completions", openapi_extra=body_of(ChatRequest), responses=ANSWERS)
    async def chat_completions(request: Request) -> Response:
        """A reply, whole or as a stream of server-sent events. Errors before the first event have their HTTP status."""
        asked = await read_form(request, ChatRequest)
        model.check(asked.model)
        conversation = await apart(request, read_conversation, asked, limits=options.limits, defaults=options.defaults)
        header = ReplyHeader.new(
            request_id=request.scope["request_id"],
            model=model.id,
            count=conversation.count,
            logprobs=bool(asked.logprobs),
        )
        budget: Budget = request.scope["budget"]
        await budget.take(tokens=conversation.most_tokens, pictures=len(conversation.pictures))
        events = budget.metered(engine.replies(conversation), replies=conversation.count)
        if asked.products_as == "markdown":
            events = as_markdown(events, base_url=base_url(request, options))
        headers = _ignored(asked.ignored)
        if not asked.stream:
            async with aclosing(events):
                return JSONResponse(await completion(events, header), headers=headers)
        first = await anext(events)
        include_usage = asked.stream_options is not None and bool(asked.stream_options.include_usage)
        return EventStream(first, events, header, include_usage=include_usage, headers=headers)

    return routes


def _ignored(names: Sequence[str]) -> dict[str, str]:
    """A header that names them, as far as a name is harmless in one; the others are counted."""
    named = [name for name in names if FIELD_NAME.fullmatch(name)][:MOST_IGNORED]
    more = [f"and {len(names) - len(named)} more"] if len(names) > len(named) else []
    return {IGNORED: ", ".join([*named, *more])} if names else {}
