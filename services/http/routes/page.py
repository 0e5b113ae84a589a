"""`GET /` and `/web`: the page and its files."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from services.errors import NotFound


def routes(web: Path) -> APIRouter:
    routes = APIRouter()

    @routes.get("/", include_in_schema=False)
    async def page() -> Response:
        if not (web / "index.html").is_file():
            raise NotFound("the page is not installed; the API is under /v1")
        return FileResponse(web / "index.html", headers={"cache-control": "no-cache"})

    return routes


class PageFiles(StaticFiles):
    """The page's files, asked for anew each time and answered by ETag, so that a new version shows at once."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "no-cache"
        return response
