"""`GET /v1/models`: the bundle that answers."""

from typing import Any

from fastapi import APIRouter

from services.http.documented import READING, refused
from services.http.forms.models import ModelAnswer, ModelsAnswer
from services.http.options import ServedModel


def routes(model: ServedModel) -> APIRouter:
    routes = APIRouter()

    @routes.get("/v1/models", response_model=ModelsAnswer, responses=refused(*READING))
    async def models() -> dict[str, Any]:
        """The models that answer: there is one."""
        return {"object": "list", "data": [model.as_json()]}

    @routes.get("/v1/models/{id:path}", response_model=ModelAnswer, responses=refused(*READING, 404))
    async def one_model(id: str) -> dict[str, Any]:
        """A model by its name."""
        model.check(id)
        return model.as_json()

    return routes
