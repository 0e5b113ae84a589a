"""`GET /healthz`: what is served, once it answers."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from services.engine import ChatEngine
from services.http.options import ServedModel


def routes(engine: ChatEngine, model: ServedModel) -> APIRouter:
    routes = APIRouter()

    @routes.get("/healthz")
    async def healthz() -> dict[str, Any]:
        """What is served, once the index answers."""
        shelf = await engine.retriever.describe()
        return {"status": "ok", "bundle": model.id, "fingerprint": model.fingerprint, **asdict(shelf)}

    return routes
