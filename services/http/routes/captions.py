"""`POST /v1/captions`: what pictures show, in the words of the bundle that is served."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from fromage_model.errors import InvalidInput
from fromage_model.prompts.messages import Sampling
from services.answering.conversation import ChatLimits, Picture
from services.answering.finding import Finder
from services.answering.pictures import read_picture
from services.http.access.budgets import Budget
from services.http.documented import REFUSED, body_of
from services.http.forms.captions import CaptionsAnswer, CaptionsRequest
from services.http.options import HttpOptions, ServedModel
from services.http.reading import apart, read_form

CAPTION_TOKENS = 26
"""As in a caption job."""


def routes(finder: Finder, model: ServedModel, options: HttpOptions) -> APIRouter:
    routes = APIRouter()

    @routes.post(
        "/v1/captions",
        openapi_extra=body_of(CaptionsRequest),
        responses={200: {"model": CaptionsAnswer, "description": "A caption of each picture."}, **REFUSED},
    )
    async def captions(request: Request) -> Response:
        """A caption of each picture, written together and each as if alone."""
        asked = await read_form(request, CaptionsRequest)
        model.check(asked.model)
        pictures = await apart(request, _pictures, asked, options.limits)
        sampling = _sampling(asked, options.limits)
        budget: Budget = request.scope["budget"]
        await budget.take(tokens=len(pictures) * sampling.max_new_tokens, pictures=len(pictures))
        async with budget.unless_it_fails():
            written = await finder.captions(pictures, prompt=asked.prompt, sampling=sampling)
        data = [{"object": "caption", "index": index, "caption": one.text} for index, one in enumerate(written)]
        read, wrote = sum(one.prompt_tokens for one in written), sum(one.completion_tokens for one in written)
        await budget.settle(read + wrote)
        usage = {"prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote}
        return JSONResponse({"object": "list", "data": data, "model": model.id, "usage": usage})

    return routes


def _pictures(asked: CaptionsRequest, limits: ChatLimits) -> list[Picture]:
    if len(asked.images) > limits.max_images:
        problem = f"there are {len(asked.images)} pictures; at most {limits.max_images} are read"
        raise InvalidInput(problem, field="images")
    return [
        read_picture(one.image_url.url, field=f"images.{place}", limits=limits)
        for place, one in enumerate(asked.images)
    ]


def _sampling(asked: CaptionsRequest, limits: ChatLimits) -> Sampling:
    max_new_tokens = asked.max_tokens or min(CAPTION_TOKENS, limits.max_new_tokens)
    if max_new_tokens > limits.max_new_tokens:
        problem = f"max_tokens is {max_new_tokens}; at most {limits.max_new_tokens} are written"
        raise InvalidInput(problem, field="max_tokens")
    return Sampling(
        max_new_tokens=max_new_tokens,
        temperature=asked.temperature or 0.0,
        top_p=1.0 if asked.top_p is None else asked.top_p,
        seed=asked.seed,
    )
