"""`POST /v1/embeddings`: texts and pictures in the space that they share."""

import base64
from collections.abc import Sequence

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from fromage_model.errors import InvalidInput
from services.answering.conversation import ChatLimits, Picture
from services.answering.finding import Finder, Words
from services.answering.pictures import read_picture
from services.http.access.budgets import Budget
from services.http.documented import REFUSED, body_of
from services.http.forms.embeddings import EmbeddingsAnswer, EmbeddingsRequest, TextPart
from services.http.forms.pictures import PicturePart
from services.http.options import HttpOptions, ServedModel
from services.http.reading import apart, read_form


def routes(finder: Finder, model: ServedModel, options: HttpOptions) -> APIRouter:
    routes = APIRouter()

    @routes.post(
        "/v1/embeddings",
        openapi_extra=body_of(EmbeddingsRequest),
        responses={200: {"model": EmbeddingsAnswer, "description": "A vector of each input."}, **REFUSED},
    )
    async def embeddings(request: Request) -> Response:
        """Vectors of texts and pictures, whose cosines say how well they go together."""
        asked = await read_form(request, EmbeddingsRequest)
        model.check(asked.model)
        inputs = await apart(request, _inputs, asked, options.limits)
        budget: Budget = request.scope["budget"]
        await budget.take(tokens=len(inputs), pictures=sum(isinstance(one, Picture) for one in inputs))
        async with budget.unless_it_fails():
            embedded = await finder.embed(inputs)
        width = len(embedded[0].embedding)
        if asked.dimensions not in (None, width):
            problem = f"vectors of this model have {width} dimensions and no other number, got {asked.dimensions}"
            raise InvalidInput(problem, field="dimensions")
        in_base64 = asked.encoding_format == "base64"
        data = [
            {"object": "embedding", "index": index, "embedding": _written(one.embedding, in_base64=in_base64)}
            for index, one in enumerate(embedded)
        ]
        tokens = sum(one.tokens for one in embedded)
        await budget.settle(tokens)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return JSONResponse({"object": "list", "data": data, "model": model.id, "usage": usage})

    return routes


def _inputs(asked: EmbeddingsRequest, limits: ChatLimits) -> Sequence[Words | Picture]:
    if len(asked.input) > limits.max_inputs:
        problem = f"there are {len(asked.input)} inputs; at most {limits.max_inputs} are read"
        raise InvalidInput(problem, field="input")
    pictures = [place for place, one in enumerate(asked.input) if isinstance(one, PicturePart)]
    if len(pictures) > limits.max_images:
        field = f"input.{pictures[limits.max_images]}"
        raise InvalidInput(f"there are more than {limits.max_images} pictures in the request", field=field)
    return [_input(one, f"input.{place}", limits) for place, one in enumerate(asked.input)]


def _input(one: str | TextPart | PicturePart, field: str, limits: ChatLimits) -> Words | Picture:
    if isinstance(one, PicturePart):
        return read_picture(one.image_url.url, field=f"{field}.image_url", limits=limits)
    return checked_words(one if isinstance(one, str) else one.text, field, limits)


def checked_words(text: str, field: str, limits: ChatLimits) -> Words:
    """Raises InvalidInput for a text that is empty or over the limit."""
    if not text.strip():
        raise InvalidInput("the text is empty; expected at least one character", field=field)
    if len(text) > limits.max_text_chars:
        problem = f"the text has {len(text):,} characters; at most {limits.max_text_chars:,} are read"
        raise InvalidInput(problem, field=field)
    return Words(text, field)


def _written(embedding: np.ndarray, *, in_base64: bool) -> str | list[float]:
    little = embedding.astype("<f4")
    return base64.b64encode(little.tobytes()).decode() if in_base64 else little.tolist()
