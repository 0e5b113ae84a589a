"""`GET /healthz`, whether this process answers; `GET /readyz`, whether a chat would be answered."""

import asyncio
from collections.abc import Coroutine
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from fromage_model.errors import FromageError
from services.answering.engine import ChatEngine
from services.errors import Overloaded
from services.http.documented import LATER
from services.http.forms.health import HealthAnswer, NotReadyAnswer, ReadyAnswer
from services.http.gate import Swapping
from services.http.options import ServedModel

PATIENCE_S = 2.0
"""That each deployment has to answer in."""
RETRY_AFTER_S = 1
NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {"model": NotReadyAnswer, "description": "A part does not answer.", "headers": LATER}
}


def routes(engine: ChatEngine, model: ServedModel, swapping: Swapping | None) -> APIRouter:
    routes = APIRouter()

    @routes.get("/healthz", response_model=HealthAnswer, response_model_exclude_unset=True)
    async def healthz() -> dict[str, Any]:
        """What is served. It asks nobody, so it answers as long as this process does."""
        told: dict[str, Any] = {"status": "ok", "bundle": model.id, "fingerprint": model.fingerprint}
        if swapping is None:
            return told
        shelf = swapping.shelf
        told |= {"index": swapping.pair.index, "pair": swapping.pair.id, "refused": swapping.refused}
        if shelf is not None:
            told["examples"] = asdict(shelf.examples)
        return told | {"items": shelf and shelf.items, "attribution": shelf and shelf.attribution}

    @routes.get("/readyz", response_model=ReadyAnswer, responses=NOT_READY)
    async def readyz() -> Response:
        """200 once every deployment answers, else 503 and what each that does not has to say."""
        pings = {
            "encoder": engine.encoder.ping(),
            "llm": engine.llm.ping(),
            "retrieval": engine.retriever.ping(),
        }
        said = await asyncio.gather(*map(_problem, pings.values()))
        missing = {name: problem for name, problem in zip(pings, said, strict=True) if problem is not None}
        if swapping is not None and swapping.draining:
            missing["chat"] = "the server is ending"
        if missing:
            body = {"status": "not ready", "missing": missing}
            return JSONResponse(body, status_code=503, headers={"retry-after": str(RETRY_AFTER_S)})
        return JSONResponse({"status": "ready", "bundle": model.id})

    return routes


async def _problem(ping: Coroutine[Any, Any, None]) -> str | None:
    try:
        await asyncio.wait_for(ping, PATIENCE_S)
    except TimeoutError:
        return f"no answer within {PATIENCE_S:g} s"
    except Overloaded:  # it answers that it has enough to do
        return None
    except FromageError as error:
        return str(error)
    except Exception as error:  # whatever it is, the part does not answer; its log says more
        return f"it fails ({type(error).__name__})"
    return None
