"""`POST /v1/chat/completions`: a reply, whole or streamed."""

from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from services.engine import ChatEngine
from services.http.event_stream import EventStream
from services.http.forms.chat import ChatRequest
from services.http.interpret import read_conversation
from services.http.options import HttpOptions, ServedModel
from services.http.reading import apart, read_form
from services.http.replies import ReplyHeader, completion


def routes(engine: ChatEngine, model: ServedModel, options: HttpOptions) -> APIRouter:
    routes = APIRouter()

    @routes.post("/v1/chat/completions", openapi_extra=_request_schema(ChatRequest))
    async def chat_completions(request: Request) -> Response:
        """A reply, whole or as a stream of server-sent events. Errors before the first event have their HTTP status."""
        asked = await read_form(request, ChatRequest)
        model.check(asked.model)
        conversation = await apart(request, read_conversation, asked, limits=options.limits, defaults=options.defaults)
        header = ReplyHeader.new(request_id=request.scope["request_id"], model=model.id)
        events = engine.reply(conversation)
        if not asked.stream:
            async with aclosing(events):
                return JSONResponse(await completion(events, header))
        first = await anext(events)
        include_usage = asked.stream_options is not None and asked.stream_options.include_usage
        return EventStream(first, events, header, include_usage=include_usage)

    return routes


def _request_schema(form: type[ChatRequest]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": form.model_json_schema()}}}}
