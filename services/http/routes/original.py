"""`POST /`: the contract of the original's fashion server, by which its app runs unchanged.

A key, where there are keys, comes in the path, `/k/KEY`: whoever checks keys does it before a request comes here.
"""

import asyncio
import base64
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from fromage_model.errors import InvalidInput
from fromage_model.prompts.messages import TextDelta
from services.answering.conversation import Conversation
from services.answering.engine import ChatEngine
from services.errors import NotFound
from services.http.access.budgets import Budget
from services.http.documented import BODY, READING, body_of, refused
from services.http.forms.chat import ChatRequest
from services.http.forms.original import OriginalAnswer, OriginalError, OriginalRequest
from services.http.history import Exchange, packed, unpacked
from services.http.interpret import read_conversation
from services.http.options import HttpOptions
from services.http.reading import read_form
from services.products import Product, Products, Variant

COOKIE = "conversation"
MOST_COOKIE_CHARS = 3800
COOKIE_S = 3600
PICTURE = Variant(width=768, format="jpeg")
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"model": OriginalAnswer, "description": "The reply, whole."},
    **refused(*READING, *BODY, 429, 504, by=OriginalError),
}


@dataclass
class _Reply:
    text: str = ""
    shown: list[tuple[Product, int]] = field(default_factory=list)


def routes(engine: ChatEngine, options: HttpOptions) -> APIRouter:
    routes = APIRouter()

    async def answer(request: Request) -> Response:
        """The reply to one message, with pictures and links of the products in it. Nothing is remembered, unless
        the request asks for that by `conversation`, or the server's settings by a cookie.
        """
        asked = await read_form(request, OriginalRequest)
        before = _before(request, asked, cookies=options.original_cookie)
        conversation, budget = _conversation(asked.text, before, options), request.scope["budget"]
        await budget.take(tokens=conversation.most_tokens)
        reply = await _reply(engine, conversation, budget)
        content: dict[str, Any] = {"response_text": reply.text, **await _pictures(engine, reply)}
        shown = tuple((product.id, offset) for product, offset in reply.shown)
        exchanges = [*before, Exchange(asked.text, reply.text, shown)]
        if asked.conversation is not None:
            content["conversation"] = packed(exchanges)
        response = JSONResponse(content)
        if options.original_cookie:
            said = packed(exchanges, most_chars=MOST_COOKIE_CHARS)
            path = request.url.path
            response.set_cookie(COOKIE, said, max_age=COOKIE_S, path=path, httponly=True, samesite="lax")
        return response

    @routes.post("/", openapi_extra=body_of(OriginalRequest), responses=ANSWERS)
    async def original(request: Request) -> Response:
        """The reply to one message, as the original's fashion server gives it."""
        return await answer(request)

    @routes.post("/k/{key}", openapi_extra=body_of(OriginalRequest), responses=ANSWERS)
    async def original_with_key(key: str, request: Request) -> Response:
        """The same for an app that can send no header: its key stands in the path."""
        return await answer(request)

    return routes


def _before(request: Request, asked: OriginalRequest, *, cookies: bool) -> list[Exchange]:
    """What was said before. A cookie that can't be read is forgotten: who sent it can't do anything about it."""
    if asked.conversation is not None:
        return unpacked(asked.conversation)
    try:
        return unpacked(request.cookies.get(COOKIE, "")) if cookies else []
    except InvalidInput:
        return []


def _conversation(text: str, before: Sequence[Exchange], options: HttpOptions) -> Conversation:
    """As a chat's. Raises InvalidInput, whose field is one of this form's."""
    most = max(0, (options.limits.max_messages - 1) // 2)
    messages = [message for one in before[-most:] if most for message in one.as_messages()]
    try:
        chat = ChatRequest.model_validate({"messages": [*messages, {"role": "user", "content": text}]})
        return read_conversation(chat, limits=options.limits, defaults=options.defaults)
    except InvalidInput as error:
        own = (error.field or "").startswith(f"messages.{len(messages)}.")
        raise type(error)(str(error), field="text" if own else "conversation") from error
    except ValueError as error:
        raise InvalidInput("the conversation can't be read; begin a new one", field="conversation") from error


async def _reply(engine: ChatEngine, conversation: Conversation, budget: Budget) -> _Reply:
    reply = _Reply()
    async with aclosing(budget.metered(engine.reply(conversation), replies=1)) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                reply.text += event.text
            elif isinstance(event, Products):
                reply.shown += [(product, event.offset) for product in event.products]
    return reply


async def _pictures(engine: ChatEngine, reply: _Reply) -> dict[str, list[str]]:
    """Pictures and links of one length. The app asks for `response_image` first, and shows no text where that is
    empty: so without a picture there are no such keys.
    """
    products = [product for product, _ in reply.shown]
    pictures = await asyncio.gather(*(_picture(engine, product) for product in products))
    seen = [(picture, product) for picture, product in zip(pictures, products, strict=True) if picture]
    if not seen:
        return {}
    links = [product.item_url or "" for _, product in seen]
    return {"response_image": [picture for picture, _ in seen], "response_link": links}


async def _picture(engine: ChatEngine, product: Product) -> str | None:
    """Base64 of a JPEG; None for an item whose picture is gone."""
    try:
        return base64.b64encode((await engine.retriever.image(product.id, PICTURE)).data).decode()
    except NotFound:
        return None
