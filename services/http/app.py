"""The HTTP face as one ASGI app: the routes, behind what holds for every request. Knows nothing of Ray or of models."""

from typing import Any

from fastapi import FastAPI, Request, Security
from fastapi.security import HTTPBearer
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.routing import Match, Mount

from fromage_model.errors import InvalidInput
from services.answering.engine import ChatEngine
from services.answering.finding import Finder
from services.errors import NotFound
from services.http.access.budgets import KINDS
from services.http.access.callers import Access, check_admin
from services.http.bodies import Bodies
from services.http.boundary import REQUEST_ID, Boundary, Errors, error_response, reads_text
from services.http.errors import MethodNotAllowed
from services.http.gate import Gate, Swapping
from services.http.item_page import PAGES
from services.http.options import HttpOptions, ServedModel
from services.http.routes import (
    admin,
    captions,
    chat,
    embeddings,
    health,
    item_pages,
    items,
    models,
    original,
    page,
    search,
)
from services.http.traffic import Traffic

ONE_SPAN: TelemetryConfig = {"metrics": False, "logs": False, "operation_spans": False}
"""Of a request FastAPI tells one span, and no more: metrics and logs are our own."""

BEARER = HTTPBearer(auto_error=False, description="An API key of this server; `access` reads it, and this tells of it.")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
BUDGET_HEADERS = [f"x-ratelimit-{told}-{kind}" for told in ("limit", "remaining", "reset") for kind in KINDS]
CORS: dict[str, Any] = {
    "allow_methods": ("GET", "HEAD", "POST", "OPTIONS"),
    "allow_headers": ("*",),
    "expose_headers": (REQUEST_ID, "retry-after", "x-ignored-fields", *BUDGET_HEADERS),
}


def create_http_app(
    engine: ChatEngine,
    model: ServedModel,
    options: HttpOptions = HttpOptions(),
    *,
    swapping: Swapping | None = None,
) -> FastAPI:
    """The ASGI app. Its own interactive docs are off, because they load scripts from another host.

    Without `swapping` what is served stays as it is.
    """
    app = FastAPI(title="FROMAGe chat", docs_url=None, redoc_url=None, telemetry=ONE_SPAN)
    by_key = [Security(BEARER)] if options.access.by_key else []
    # From the innermost to the outermost: each is added around those before it.
    if swapping is not None:
        app.add_middleware(Gate, swapping=swapping)
        app.include_router(admin.routes(swapping, check=check_admin), dependencies=by_key)
    app.state.bodies = Bodies(options.body)
    app.add_middleware(Access, options=options.access)
    app.add_middleware(Errors)
    if options.access.origins:
        app.add_middleware(CORSMiddleware, allow_origins=options.access.origins, **CORS)
    app.add_middleware(Boundary, answer_request_id=options.answer_request_id)
    app.add_middleware(Traffic)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.include_router(chat.routes(engine, model, options), dependencies=by_key)
    app.include_router(models.routes(model), dependencies=by_key)
    finder = Finder(engine)
    app.include_router(search.routes(finder, model, options), dependencies=by_key)
    app.include_router(embeddings.routes(finder, model, options), dependencies=by_key)
    app.include_router(captions.routes(finder, model, options), dependencies=by_key)
    app.include_router(items.routes(engine), dependencies=by_key)
    app.include_router(item_pages.routes(engine, finder, options), dependencies=by_key)
    app.include_router(original.routes(engine, options), dependencies=by_key)
    app.include_router(health.routes(engine, model, swapping))
    app.include_router(page.routes(options.web))
    app.mount("/web/pages", page.PageFiles(directory=PAGES / "files"))
    app.mount("/web", page.PageFiles(directory=options.web, check_dir=False))
    return app


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """What the framework refuses by itself, in our form; OPTIONS, which no route has, is answered."""
    status = error.status_code if isinstance(error, HTTPException) else 400
    path = request.url.path
    headers = {"allow": ", ".join(sorted(_methods_at(request)))} if status == 405 else {}
    if status == 405 and request.method == "OPTIONS":
        return Response(status_code=204, headers=headers)
    refusals = {
        404: NotFound(f"there is nothing at {path}"),
        405: MethodNotAllowed(f"{request.method} is not for {path}"),
    }
    refusal = refusals.get(status, InvalidInput("the request can't be read"))
    as_text = reads_text(request.scope)
    return error_response(refusal, request_id=request.scope["request_id"], headers=headers, as_text=as_text)


def _methods_at(request: Request) -> set[str]:
    """What may be asked of the path, by all routes together; a folder of files is there to be read."""
    asked = {**request.scope, "root_path": "", "path_params": {}}
    found = {"OPTIONS"}
    for route in request.app.routes:
        methods = ("GET",) if isinstance(route, Mount) else METHODS
        found |= {method for method in methods if route.matches({**asked, "method": method})[0] is Match.FULL}
    return found | {"HEAD"} if "GET" in found else found
