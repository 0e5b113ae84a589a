"""`POST /admin/reload`: another bundle and index, or newer files of the same, without an end of service."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fromage_model.errors import InvalidInput
from services.http.documented import BODY, READING, body_of, refused
from services.http.gate import Swapping

MAX_BYTES = 64 * 1024
ANSWERS = refused(*READING, *BODY, 409)


def routes(swapping: Swapping, *, check: Callable[[Request], None]) -> APIRouter:
    """`check` raises for who may not do this."""
    routes = APIRouter()

    @routes.post("/admin/reload", openapi_extra=body_of(Reload, required=False), responses=ANSWERS)
    async def reload(request: Request) -> dict[str, Any]:
        """`{"bundle": ..., "index": ..., "catalogue": ...}`; what is left out stays. Answers once it is in use.

        A pair that can't be served is refused with 409, and the old one goes on.
        """
        check(request)
        async with request.app.state.bodies.read(request, max_bytes=MAX_BYTES) as body:
            asked = _read(body)
        pair = await swapping.reload(swapping.pair.renewed(**asked.model_dump()))
        return {"status": "in use", **asdict(pair)}

    return routes


class Reload(BaseModel):
    """What is to be served from now on; an empty object asks for the same names again, whose files may have changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bundle: str | None = Field(None, min_length=1)
    index: str | None = Field(None, min_length=1)
    catalogue: str | None = Field(None, min_length=1)


def _read(body: bytes) -> Reload:
    try:
        return Reload.model_validate_json(body or b"{}")
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(map(str, first["loc"])) or None
        message = f"{field or 'the body'}: {first['msg'][0].lower()}{first['msg'][1:]}; known are {', '.join(KNOWN)}"
        raise InvalidInput(message, field=field) from error


KNOWN = tuple(Reload.model_fields)
