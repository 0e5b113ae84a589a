"""`GET /v1/items/{id}` and its picture: what the catalogue says of an item, for clients.

An id may hold anything, a slash or a percent sign too: what is taken for the id is read from the path as it was sent,
where `%2F` is part of an id and `/image` at the end is not.
"""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic.json_schema import SkipJsonSchema
from starlette.responses import JSONResponse, Response

from fromage_model.errors import InvalidInput
from services.answering.engine import ChatEngine
from services.http.documented import READING, refused
from services.http.forms.completion import ErrorAnswer
from services.http.forms.search import ItemAnswer
from services.products import Variant

IMAGE_CACHE_S = 3600
WIDTHS = (64, 128, 256, 512, 1024, 2048)
"""Pixels. Few, so that what one client asked for serves the next."""
LEAST_WIDTH = 16
NO_WIDTH = {"model": ErrorAnswer, "description": "A width that is no whole number, or out of bounds."}
UNKNOWN: dict[int | str, dict[str, Any]] = {
    **refused(*READING),
    404: {"model": ErrorAnswer, "description": "There is no such item, or it has no picture that can be shown."},
}
BINARY = {"schema": {"type": "string", "format": "binary"}}
PICTURES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The picture: as the catalogue has it, or a JPEG or WebP of the width asked for.",
        "content": {"image/jpeg": BINARY, "image/webp": BINARY, "image/png": BINARY, "image/*": BINARY},
        "headers": {"ETag": {"description": "Of this variant.", "schema": {"type": "string"}}},
    },
    304: {"description": "The client has it: If-None-Match names its ETag."},
    400: NO_WIDTH,
    **UNKNOWN,
}
WIDTH = Query(
    description="Pixels: a picture of the next of 64, 128, 256, 512, 1024 and 2048 is sent, never enlarged, as WebP "
    "where Accept names that, or else as JPEG, transparent parts white. Without it, the file as it is.",
    json_schema_extra={"type": "integer", "minimum": LEAST_WIDTH, "maximum": WIDTHS[-1]},
)


def routes(engine: ChatEngine) -> APIRouter:
    routes = APIRouter()

    async def item(id: str) -> Response:
        return JSONResponse(asdict(await engine.retriever.item(id)))

    @routes.get("/v1/items/{id:path}/image", responses=PICTURES, response_class=Response)
    async def item_image(
        id: str, request: Request, width: Annotated[str | SkipJsonSchema[None], WIDTH] = None
    ) -> Response:
        """The picture. It may change under the same id, so a browser asks again after a while, by its ETag."""
        if _is_part_of_id(request):
            return await item(f"{id}/image")
        variant = _variant(width, request.headers.get("accept", ""))
        image = await engine.retriever.image(id, variant)
        tail = f"-{variant.width}-{variant.format}" if variant else ""
        headers = {"etag": f'"{image.sha256}{tail}"', "cache-control": f"public, max-age={IMAGE_CACHE_S}"}
        if variant:
            headers["vary"] = "Accept"
        if _has(request.headers.get("if-none-match", ""), headers["etag"]):
            return Response(status_code=304, headers=headers)
        return Response(image.data, media_type=image.media_type, headers=headers)

    @routes.get(
        "/v1/items/{id:path}",
        responses={200: {"model": ItemAnswer, "description": "The item."}, **UNKNOWN},
        response_class=JSONResponse,
    )
    async def one_item(id: str) -> Response:
        """All that the catalogue says of an item."""
        return await item(id)

    return routes


def _is_part_of_id(request: Request) -> bool:
    """Whether the slash before a final `image` was sent as `%2F`."""
    return request.scope.get("raw_path", b"").lower().endswith(b"%2fimage")


def _variant(width: str | None, accept: str) -> Variant | None:
    if width is None:
        return None
    bounds = f"expected a width in pixels from {LEAST_WIDTH} to {WIDTHS[-1]}"
    if not (width.isascii() and width.isdecimal() and len(width) <= 8):
        raise InvalidInput(f"{bounds}, got {width!r:.40}", field="width")
    if not LEAST_WIDTH <= int(width) <= WIDTHS[-1]:
        raise InvalidInput(f"{bounds}, got {int(width)}", field="width")
    return Variant(next(known for known in WIDTHS if known >= int(width)), "webp" if _takes_webp(accept) else "jpeg")


def _takes_webp(accept: str) -> bool:
    """Only where WebP is named: `*/*` comes from clients too that can't show it."""
    for kind in accept.lower().split(","):
        name, *parameters = (part.strip() for part in kind.split(";"))
        if name == "image/webp":
            return not any(part.replace(" ", "") in ("q=0", "q=0.0", "q=0.00", "q=0.000") for part in parameters)
    return False


def _has(sent: str, etag: str) -> bool:
    """Whether `If-None-Match` names this ETag; a proxy may have made it a weak one."""
    return any(one.strip().removeprefix("W/") in (etag, "*") for one in sent.split(","))
