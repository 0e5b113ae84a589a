"""`GET /v1/models`: the bundle that answers."""

from typing import Any

from fastapi import APIRouter

from services.http.options import ServedModel


def routes(model: ServedModel) -> APIRouter:
    routes = APIRouter()

    @routes.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [model.as_json()]}

    @routes.get("/v1/models/{id:path}")
    async def one_model(id: str) -> dict[str, Any]:
        model.check(id)
        return model.as_json()

    return routes
