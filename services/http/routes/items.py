"""`GET /v1/items/{id}/image`: what the catalogue says of an item, for clients."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.engine import ChatEngine

IMAGE_CACHE_S = 3600


def routes(engine: ChatEngine) -> APIRouter:
    routes = APIRouter()

    @routes.get("/v1/items/{id}/image")
    async def item_image(id: str, request: Request) -> Response:
        """The picture. It may change under the same id, so a browser asks again after a while, by its ETag."""
        image = await engine.retriever.image(id)
        etag = f'"{image.sha256}"'
        headers = {"etag": etag, "cache-control": f"public, max-age={IMAGE_CACHE_S}"}
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(image.data, media_type=image.media_type, headers=headers)

    return routes
