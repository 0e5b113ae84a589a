"""The chat deployment: the app's ingress. Joins the HTTP face, the engine and the handles of the other deployments."""

import asyncio
import time
from pathlib import PurePath
from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle

from services.answering.engine import ChatEngine
from services.deployments.handles import EncoderHandle, LlmHandle, RetrievalHandle
from services.http.app import create_http_app
from services.http.options import HttpOptions, ServedModel
from services.products import ShelfInfo
from services.swapping.board import Board
from services.swapping.current import Swapping
from services.swapping.pairs import Pair, Wanted, pair_of, pinned
from services.telemetry.replica import begin_telemetry


class PinnedModel(ServedModel):
    """The bundle of the request's pair, and outside a request of the one in use."""

    def __init__(self, swapping: Swapping):
        object.__setattr__(self, "_swapping", swapping)
        object.__setattr__(self, "created", int(time.time()))

    @property
    def pair(self) -> Pair:
        return pinned() or self._swapping.pair  # type: ignore[attr-defined]

    @property
    def id(self) -> str:
        return PurePath(self.pair.bundle).name

    @property
    def fingerprint(self) -> str:
        return self.pair.fingerprint


class Parts:
    """The deployments that a pair is found and opened in."""

    def __init__(self, llm: LlmHandle, retrieval: RetrievalHandle):
        self._llm, self._retrieval = llm, retrieval

    async def find(self, wanted: Wanted) -> Pair:
        (fingerprint, encoder), index = await asyncio.gather(self._llm.find(wanted), self._retrieval.find(wanted))
        return pair_of(wanted, fingerprint=fingerprint, encoder=encoder, index=index)

    async def open(self, pair: Pair) -> ShelfInfo:
        shelf = await self._retrieval.describe(pair)
        await self._llm.open(pair)
        return shelf


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
        pair: Pair,
        board: Board,
        options: HttpOptions,
        reply_timeout_s: float,
        log_messages: bool = False,
    ):
        begin_telemetry()
        self._options = options
        self._engine = ChatEngine(
            encoder=EncoderHandle(encoder),
            llm=LlmHandle(llm),
            retriever=RetrievalHandle(retrieval),
            reply_timeout_s=reply_timeout_s,
            log_messages=log_messages,
        )
        replica = serve.get_replica_context().replica_id.unique_id
        parts = Parts(LlmHandle(llm), RetrievalHandle(retrieval))
        self.swapping = Swapping(pair, parts, board, replica=replica)
        self._following: asyncio.Task[None] | None = None

    async def reconfigure(self, config: dict[str, Any]) -> None:
        """`config`: the bundle and index to serve. Serve calls it with the first, and in the same process whenever
        `serve deploy` brings another: then it returns at once, so that the replica goes on serving meanwhile.
        """
        if self._following is None:
            await self.swapping.begin(config)
            self._following = asyncio.create_task(self.swapping.follow())
        else:
            self._changing = asyncio.create_task(self.swapping.configure(config))

    def __serve_build_asgi_app__(self) -> FastAPI:
        return create_http_app(self._engine, PinnedModel(self.swapping), self._options, swapping=self.swapping)
