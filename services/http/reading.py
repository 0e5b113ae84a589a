"""Requests -> their forms; what is wrong becomes one message that names the field.

A large body is read in a thread of its own, one after the other: a reply that is being written waits for none of them.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache, partial
from typing import Any, TypeVar

import jiter
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import Request

from fromage_model.errors import InvalidInput
from services.http.bodies import Bodies
from services.http.forms.form import Form
from services.http.outline import check_outline

JSON = "application/json"
SHOWN_CHARS = 300
LARGE_BYTES = 64 * 1024
SIZE = "body_bytes"
BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")

F = TypeVar("F", bound=Form)
T = TypeVar("T")


async def read_form(request: Request, form: type[F]) -> F:
    """The request's JSON as `form`. Raises InvalidInput, naming the first field that is wrong, and what `Bodies.read`
    raises.
    """
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != JSON:
        raise InvalidInput(f"the body must be JSON, sent with the header Content-Type: {JSON}")
    bodies: Bodies = request.app.state.bodies
    async with bodies.read(request) as body:
        request.scope[SIZE] = len(body)
        return await apart(request, parsed, body, form)


async def apart(request: Request, work: Callable[..., T], *args: Any, **options: Any) -> T:
    """`work(*args, **options)`, where nobody waits for it if the request's body was large."""
    if request.scope[SIZE] < LARGE_BYTES:
        return work(*args, **options)
    in_context = partial(copy_context().run, work, *args, **options)
    return await asyncio.get_running_loop().run_in_executor(_reader(), in_context)


def parsed(body: bytes, form: type[F]) -> F:
    """Raises InvalidInput, naming the first field that is wrong as a path like `messages.0.content.1.image_url.url`."""
    values = _values(body)
    try:
        return form.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        if not first["loc"] and not isinstance(values, dict):
            raise InvalidInput("the body must be a JSON object") from error
        field = field_path(values, _location(first), missing=first["type"] in ("missing", "union_tag_not_found"))
        told = f"{field}: {_readable(first['msg'])}" if field else _readable(first["msg"])
        raise InvalidInput(told, field=field or None) from error


def _values(body: bytes) -> Any:
    """What JSON says in bounds, and without what parsers read differently: two fields of one name, numbers that are
    none, halves of characters.
    """
    if body.startswith(BYTE_ORDER_MARKS):
        raise InvalidInput("the body begins with a byte order mark; send JSON as UTF-8 without one")
    check_outline(body)
    try:
        return jiter.from_json(body, allow_inf_nan=False, catch_duplicate_keys=True)
    except ValueError as error:
        raise InvalidInput(f"the body is not JSON that can be read: {_readable(str(error))}") from error


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


@cache
def _reader() -> ThreadPoolExecutor:
    """One thread: with each that computes, the loop gets its turn later."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="reading")


def _location(problem: ErrorDetails) -> tuple[int | str, ...]:
    """Where the problem is; of a part whose type is unknown or missing, pydantic names the part alone."""
    return (*problem["loc"], "type") if problem["type"].startswith("union_tag") else problem["loc"]


def _readable(message: str) -> str:
    """Some messages repeat what was sent, of any length."""
    told = message[0].lower() + message[1:]
    return told if len(told) <= SHOWN_CHARS else f"{told[:SHOWN_CHARS]}..."
