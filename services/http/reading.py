"""Bytes of a request -> ChatRequest; pydantic's complaints become one message that names the field."""

import json
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import Request

from fromage_model.errors import InvalidInput
from services.http.boundary import read_body
from services.http.forms.form import Form

F = TypeVar("F", bound=Form)


async def read_form(request: Request, form: type[F]) -> F:
    """The request's JSON as `form`. Raises BodyTooLarge, and InvalidInput naming the first field that is wrong."""
    body = await read_body(request, max_bytes=request.app.state.max_body_bytes)
    return parsed(body, form, content_type=request.headers.get("content-type", ""))


def parsed(body: bytes, form: type[F], *, content_type: str) -> F:
    """Raises InvalidInput, naming the first field that is wrong as a path like `messages.0.content.1.image_url.url`."""
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise InvalidInput("the body must be JSON, sent with the header Content-Type: application/json")
    try:
        return form.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        if first["type"] == "json_invalid":
            raise InvalidInput(f"the body is not JSON that can be read: {first['msg']}") from error
        if not first["loc"] and first["type"] == "model_type":
            raise InvalidInput("the body must be a JSON object") from error
        field = field_path(
            json.loads(body), _location(first), missing=first["type"] in ("missing", "union_tag_not_found")
        )
        told = f"{field}: {_readable(first['msg'])}" if field else _readable(first["msg"])
        raise InvalidInput(told, field=field or None) from error


def field_path(values: Any, location: Sequence[int | str], *, missing: bool = False) -> str:
    """The path of a pydantic location in what the client sent.

    Pydantic's location also names branches of unions (`content.0.image_url.image_url.url`); those are not in `values`.
    """
    path: list[str] = []
    for place, step in enumerate(location):
        sent = step in values if isinstance(values, dict) else isinstance(values, list) and isinstance(step, int)
        if sent:
            values = values[step]
        if sent or (missing and place == len(location) - 1):
            path.append(str(step))
    return ".".join(path)


def _location(problem: ErrorDetails) -> tuple[int | str, ...]:
    """Where the problem is; of a part whose type is unknown or missing, pydantic names the part alone."""
    return (*problem["loc"], "type") if problem["type"].startswith("union_tag") else problem["loc"]


def _readable(message: str) -> str:
    return message[0].lower() + message[1:]
