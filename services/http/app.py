"""The HTTP face as one ASGI app: the routes, behind what holds for every request. Knows nothing of Ray or of models."""

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from fromage_model.errors import InvalidInput
from services.engine import ChatEngine
from services.errors import NotFound
from services.finding import Finder
from services.http.boundary import Boundary, error_response, reads_text
from services.http.errors import MethodNotAllowed
from services.http.gate import Gate, Swapping
from services.http.options import HttpOptions, ServedModel
from services.http.routes import admin, captions, chat, embeddings, health, items, models, original, page, search
from services.http.traffic import Traffic
from services.telemetry.spans import ONE_SPAN


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
    if swapping is not None:
        app.add_middleware(Gate, swapping=swapping)
        app.include_router(admin.routes(swapping, check=admin.from_this_machine))
    app.state.max_body_bytes = options.max_body_bytes
    app.add_middleware(Boundary, answer_request_id=options.answer_request_id)
    app.add_middleware(Traffic)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.include_router(chat.routes(engine, model, options))
    app.include_router(models.routes(model))
    finder = Finder(engine)
    app.include_router(search.routes(finder, model, options))
    app.include_router(embeddings.routes(finder, model, options))
    app.include_router(captions.routes(finder, model, options))
    app.include_router(items.routes(engine))
    app.include_router(original.routes(engine, options))
    app.include_router(health.routes(engine, model, swapping))
    app.include_router(page.routes(options.web))
    app.mount("/web", page.PageFiles(directory=options.web, check_dir=False))
    return app


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """What the framework refuses by itself, in our form."""
    status = error.status_code if isinstance(error, HTTPException) else 400
    path = request.url.path
    refusals = {
        404: NotFound(f"there is nothing at {path}"),
        405: MethodNotAllowed(f"{request.method} is not for {path}"),
    }
    refusal = refusals.get(status, InvalidInput("the request can't be read"))
    return error_response(refusal, request_id=request.scope["request_id"], as_text=reads_text(request.scope))
