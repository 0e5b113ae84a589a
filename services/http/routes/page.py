"""`GET /` and `/web`: the page and its files."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from services.errors import NotFound
from services.http.forms.completion import ErrorAnswer

ANSWERS: dict[int | str, dict[str, Any]] = {404: {"model": ErrorAnswer, "description": "The page is not installed."}}


def routes(web: Path) -> APIRouter:
    routes = APIRouter()

    @routes.get("/k/{key}", responses=ANSWERS, response_class=HTMLResponse)
    async def page_with_key(key: str) -> Response:
        """The same page: what asks of the original's contract stands at the same path."""
        return await page()

    @routes.get("/", responses=ANSWERS, response_class=HTMLResponse)
    async def page() -> Response:
        """The page to chat on."""
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
