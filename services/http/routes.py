"""The HTTP face: OpenAI's chat completions, the catalogue's pictures, the page. Knows nothing of Ray or of models."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from fromage_model.errors import InvalidInput
from services.conversation import ChatDefaults, ChatLimits
from services.engine import ChatEngine
from services.errors import NotFound
from services.http.boundary import Boundary, error_response, read_body
from services.http.errors import MethodNotAllowed, UnknownModel, error_object, log_error
from services.http.interpret import read_conversation
from services.http.reading import read_request
from services.http.replies import ReplyHeader, chunks, completion, server_sent
from services.http.schemas import ChatRequest
from services.products import ReplyEvent

WEB = Path(__file__).parent / "web"
IMAGE_CACHE_S = 3600


@dataclass(frozen=True)
class ServedModel:
    """The bundle that answers. `id`: its name at `/v1/models`. `created`: seconds since 1970."""

    id: str
    fingerprint: str
    created: int

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, "object": "model", "created": self.created, "owned_by": "fromage"}

    def check(self, asked: str | None) -> None:
        """Raises UnknownModel; a client that names no model, or `default`, gets this one."""
        if asked not in (None, "default", self.id):
            raise UnknownModel(f"the model {asked!r} does not exist; this server has {self.id!r}", field="model")


@dataclass(frozen=True)
class HttpOptions:
    """`max_body_bytes`: of a request. `answer_request_id`: false where the server in front of the app does it."""

    limits: ChatLimits = ChatLimits()
    defaults: ChatDefaults = ChatDefaults()
    max_body_bytes: int = 32 * 1024 * 1024
    answer_request_id: bool = True
    web: Path = WEB


def create_http_app(engine: ChatEngine, model: ServedModel, options: HttpOptions = HttpOptions()) -> FastAPI:
    """The ASGI app. Its own interactive docs are off, because they load scripts from another host."""
    app = FastAPI(title="FROMAGe chat", docs_url=None, redoc_url=None)
    app.add_middleware(Boundary, answer_request_id=options.answer_request_id)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.include_router(_chat_routes(engine, model, options))
    app.include_router(_catalogue_routes(engine, model))
    app.include_router(_page_routes(options.web))
    app.mount("/web", PageFiles(directory=options.web, check_dir=False))
    return app


def _chat_routes(engine: ChatEngine, model: ServedModel, options: HttpOptions) -> APIRouter:
    routes = APIRouter()

    @routes.post("/v1/chat/completions", openapi_extra=_request_schema(ChatRequest))
    async def chat_completions(request: Request) -> Response:
        """A reply, whole or as a stream of server-sent events. Errors before the first event have their HTTP status."""
        body = await read_body(request, max_bytes=options.max_body_bytes)
        asked = read_request(body, content_type=request.headers.get("content-type", ""))
        model.check(asked.model)
        conversation = read_conversation(asked, limits=options.limits, defaults=options.defaults)
        header = ReplyHeader.new(request_id=request.scope["request_id"], model=model.id)
        events = engine.reply(conversation)
        if not asked.stream:
            async with aclosing(events):
                return JSONResponse(await completion(events, header))
        first = await anext(events)
        include_usage = asked.stream_options is not None and asked.stream_options.include_usage
        return EventStream(first, events, header, include_usage=include_usage)

    @routes.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [model.as_json()]}

    @routes.get("/v1/models/{id:path}")
    async def one_model(id: str) -> dict[str, Any]:
        model.check(id)
        return model.as_json()

    return routes


def _catalogue_routes(engine: ChatEngine, model: ServedModel) -> APIRouter:
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

    @routes.get("/healthz")
    async def healthz() -> dict[str, Any]:
        """What is served, once the index answers."""
        shelf = await engine.retriever.describe()
        return {"status": "ok", "bundle": model.id, "fingerprint": model.fingerprint, **asdict(shelf)}

    return routes


def _page_routes(web: Path) -> APIRouter:
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


class EventStream(StreamingResponse):
    """A reply as server-sent events. However the response ends, the reply's iterator is closed with it."""

    def __init__(
        self, first: ReplyEvent, events: AsyncGenerator[ReplyEvent, None], header: ReplyHeader, *, include_usage: bool
    ):
        self.events = events
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        content = self._content(first, header, include_usage=include_usage)
        super().__init__(content, media_type="text/event-stream", headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.request_id: str = scope["request_id"]
        async with aclosing(self.events):
            await super().__call__(scope, receive, send)

    async def _content(self, first: ReplyEvent, header: ReplyHeader, *, include_usage: bool) -> AsyncIterator[str]:
        """The status has been sent, so an error becomes an event like the others."""
        try:
            async for chunk in chunks(_chained(first, self.events), header, include_usage=include_usage):
                yield server_sent(chunk)
        except Exception as error:
            log_error(error, request_id=self.request_id)
            yield server_sent(error_object(error, request_id=self.request_id))
        yield server_sent("[DONE]")


async def _chained(first: ReplyEvent, events: AsyncGenerator[ReplyEvent, None]) -> AsyncGenerator[ReplyEvent, None]:
    yield first
    async for event in events:
        yield event


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """What the framework refuses by itself, in our form."""
    status = error.status_code if isinstance(error, HTTPException) else 400
    path = request.url.path
    refusals = {
        404: NotFound(f"there is nothing at {path}"),
        405: MethodNotAllowed(f"{request.method} is not for {path}"),
    }
    refusal = refusals.get(status, InvalidInput("the request can't be read"))
    return error_response(refusal, request_id=request.scope["request_id"])


def _request_schema(form: type[ChatRequest]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": form.model_json_schema()}}}}
