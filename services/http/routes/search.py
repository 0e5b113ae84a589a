"""`POST /v1/search`: items by text, by picture, by an item, or by several together."""

from dataclasses import asdict

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from fromage_model.errors import InvalidInput
from services.answering.conversation import ChatLimits, Picture
from services.answering.finding import Finder, ItemId, Query, Words
from services.answering.pictures import read_picture
from services.http.access.budgets import Budget
from services.http.documented import REFUSED, body_of
from services.http.forms.search import SearchAnswer, SearchRequest, Weights
from services.http.options import HttpOptions, ServedModel
from services.http.reading import apart, read_form
from services.http.routes.embeddings import checked_words

TOP_K = 10


def routes(finder: Finder, model: ServedModel, options: HttpOptions) -> APIRouter:
    routes = APIRouter()

    @routes.post(
        "/v1/search",
        openapi_extra=body_of(SearchRequest),
        responses={
            200: {"model": SearchAnswer, "description": "Items, best first."},
            **REFUSED,
            404: {**REFUSED[404], "description": "Another model than the one that is served, or an unknown item."},
        },
    )
    async def search(request: Request) -> Response:
        """Items of the catalogue by a text, a picture, an item of it, or several together."""
        asked = await read_form(request, SearchRequest)
        model.check(asked.model)
        query = await apart(request, _query, asked, options.limits)
        budget: Budget = request.scope["budget"]
        await budget.take(tokens=1, pictures=sum(isinstance(thing, Picture) for _, thing in query.wanted))
        async with budget.unless_it_fails():
            found = await finder.search(query)
        await budget.settle(found.tokens)
        data = [{"id": one.item.id, "score": one.score, "item": asdict(one.item)} for one in found.items]
        usage = {"prompt_tokens": found.tokens, "total_tokens": found.tokens}
        return JSONResponse({"object": "list", "data": data, "model": model.id, "usage": usage})

    return routes


def _query(asked: SearchRequest, limits: ChatLimits) -> Query:
    """What weighs nothing is not looked at. Raises InvalidInput where nothing weighs anything."""
    weights = asked.weights or Weights()
    wanted: list[tuple[float, Words | Picture | ItemId]] = []
    if asked.text is not None:
        wanted.append((weights.text, checked_words(asked.text, "text", limits)))
    if asked.image_url is not None:
        wanted.append((weights.image_url, read_picture(asked.image_url.url, field="image_url", limits=limits)))
    if asked.item_id is not None:
        wanted.append((weights.item_id, ItemId(asked.item_id, "item_id")))
    wanted = [(weight, thing) for weight, thing in wanted if weight > 0]
    if not wanted:
        raise InvalidInput("everything that is asked for weighs 0; weigh one of them more", field="weights")
    return Query(wanted, asked.top_k or TOP_K, asked.narrowing(field="filters"))
