"""`GET /items/{id}`: an item's own page, for people; `items` is what clients read.

Links are relative, so that they keep what stands before the path: a key, `/k/KEY`, or a prefix of the server's.
"""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from services.answering.engine import ChatEngine
from services.answering.finding import Finder, ItemId, Query
from services.errors import NotFound
from services.http.address import base_url
from services.http.documented import REFUSED
from services.http.item_page import item_page, language_of, missing_page
from services.http.options import HttpOptions
from services.products import Narrowing

SIMILAR = 8
FOLDER = b"/items/"
HTML = {"text/html": {"schema": {"type": "string"}}}
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The page, in English or Korean as Accept-Language asks.", "content": HTML},
    404: {"description": "There is no such item: a page that says so.", "content": HTML},
    **{status: REFUSED[status] for status in (401, 403, 500, 503, 504)},
}


def routes(engine: ChatEngine, finder: Finder, options: HttpOptions) -> APIRouter:
    routes = APIRouter()

    @routes.get("/items/{id:path}", responses=ANSWERS, response_class=Response)
    async def page(id: str, request: Request) -> Response:
        """An item's page: its picture, what the catalogue says of it, and more like it."""
        lang, root = language_of(request.headers.get("accept-language", "")), _root(request)
        headers = {"cache-control": "no-cache", "vary": "Accept-Language"}
        try:
            card = await engine.retriever.item(id)
            like_it = Query([(1.0, ItemId(id, "id"))], SIMILAR, Narrowing())
            found, shelf = await asyncio.gather(finder.search(like_it), engine.retriever.describe())
        except NotFound:
            return HTMLResponse(missing_page(lang=lang, root=root), status_code=404, headers=headers)
        similar = [one.item for one in found.items]
        host = base_url(request, options)
        html = item_page(card, similar, lang=lang, root=root, host=host, attribution=shelf.attribution)
        return HTMLResponse(html, headers=headers)

    return routes


def _root(request: Request) -> str:
    """The way up to the first page. An id may have been sent with its slashes as they are: each is a folder more."""
    _, _, id = request.scope.get("raw_path", b"").partition(FOLDER)
    return "../" * (1 + id.count(b"/"))
