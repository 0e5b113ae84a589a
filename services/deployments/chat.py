"""The chat deployment: the app's ingress. Joins the HTTP face, the engine and the handles of the other deployments."""

from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle

from services.engine import ChatEngine
from services.handles import EncoderHandle, LlmHandle, RetrievalHandle
from services.http.app import create_http_app
from services.http.options import HttpOptions, ServedModel
from services.telemetry.replica import begin_telemetry


@serve.deployment(name="chat")
@serve.ingress()
class ChatDeployment:
    """Holds no model: it waits on the others, so one replica carries many requests."""

    def __init__(
        self,
        encoder: DeploymentHandle,
        llm: DeploymentHandle,
        retrieval: DeploymentHandle,
        *,
        model: ServedModel,
        options: HttpOptions,
        reply_timeout_s: float,
    ):
        begin_telemetry()
        self._model = model
        self._options = options
        self._engine = ChatEngine(
            encoder=EncoderHandle(encoder),
            llm=LlmHandle(llm),
            retriever=RetrievalHandle(retrieval),
            reply_timeout_s=reply_timeout_s,
        )

    def __serve_build_asgi_app__(self) -> FastAPI:
        return create_http_app(self._engine, self._model, self._options)
