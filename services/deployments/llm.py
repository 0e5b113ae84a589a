"""The LM deployment: messages in, a stream of text and `[RET]` embeddings out. Knows nothing of products or HTTP.

Who deploys it imports this module too: what only a replica needs, torch and the model, is imported where it is made.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from ray import serve

from fromage_model.prompts.messages import Event, Message, RetrievalMode, Sampling
from services.deployments.passing import in_passing_thread
from services.products import Caption, Embedded
from services.swapping.board import Board
from services.swapping.held import Held, Turns
from services.swapping.pairs import Pair, Wanted
from services.telemetry.replica import begin_telemetry

if TYPE_CHECKING:
    from fromage_model.language.lean.products import Quantize
    from services.deployments.writer import ReplyWriter


@serve.deployment(name="llm")
class LlmDeployment:
    """Bundles without their vision encoder, each behind a queue of bounded length; most of the time it is one.

    `pair` None is the one that was asked for last.
    """

    def __init__(
        self,
        pair: Pair,
        board: Board | None = None,
        *,
        device: str | None,
        threads: int,
        concurrency: int,
        least_rate: float,
        queue: int,
        gather_s: float,
        quantize: "Quantize",
        prefix_bytes: int,
        idle_s: float = 30.0,
    ):
        """`threads` 0 is what turns out fastest, of every core and fewer.
        `concurrency` 0 is as many as this machine carries, at `least_rate` tokens per second for each reply.
        `idle_s`: seconds after which a bundle that nobody uses any more is let go of.
        """
        import torch

        from services.deployments import asides
        from services.deployments.bundles import BundleOpener, find_bundle
        from services.deployments.capacity import give_back_memory
        from services.deployments.threads import worth_trying
        from services.deployments.writer import ReplyWriter

        begin_telemetry()
        self._asides, self._find, self._give_back_memory = asides, find_bundle, give_back_memory
        torch.set_num_threads(threads or len(os.sched_getaffinity(0)))
        self._board = board
        turns = Turns()
        write = partial(
            ReplyWriter,
            queue_size=queue,
            gather_s=gather_s,
            prefix_bytes=prefix_bytes,
            turns=turns,
            threads=worth_trying(len(os.sched_getaffinity(0))) if threads == 0 else [threads],
        )
        self._opener = BundleOpener(
            write, device=device, quantize=quantize, concurrency=concurrency, least_rate=least_rate, turns=turns
        )
        self._held: Held[ReplyWriter] = Held(self._open, idle_s=idle_s, close=ReplyWriter.close)
        noted = board.read() if board else None
        first = noted.pair if noted else pair
        self._held.add(first.fingerprint, self._open(first))

    @property
    def writer(self) -> "ReplyWriter":
        """Of the bundle that was asked for last."""
        return self._held.last[1]

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        retrieval: RetrievalMode,
        sampling: Sampling,
        pair: Pair | None = None,
    ) -> AsyncGenerator[list[Event], None]:
        async with (
            self._using(pair) as writer,
            aclosing(writer.stream(messages, retrieval=retrieval, sampling=sampling)) as gathered,
        ):
            async for events in gathered:
                yield events

    async def embed(self, texts: Sequence[str], *, pair: Pair | None = None) -> list[Embedded]:
        async with self._using(pair) as writer:
            return await self._asides.embed(writer, texts)

    async def embed_pictures(self, features: np.ndarray, *, pair: Pair | None = None) -> np.ndarray:
        async with self._using(pair) as writer:
            return await self._asides.embed_pictures(writer.model, features)

    async def captions(
        self, features: np.ndarray, *, prompt: str | None, sampling: Sampling, pair: Pair | None = None
    ) -> list[Caption]:
        async with self._using(pair) as writer:
            return await self._asides.captions(writer, features, prompt=prompt, sampling=sampling)

    async def find(self, wanted: Wanted) -> tuple[str, str]:
        """As `bundles.find_bundle`."""
        return await asyncio.to_thread(self._find, wanted.bundle)

    async def open(self, pair: Pair | None = None) -> None:
        """Opens the pair's bundle where that is not open yet. Raises what `load_bundle` raises."""
        async with self._using(pair):
            return

    async def check_health(self) -> None:
        """Serve asks now and then, and replaces a replica for which this raises."""
        for writer in self._held.open_things:
            writer.check_health()
        if self._held.sweep():
            await asyncio.to_thread(self._give_back_memory)
        noted = await asyncio.to_thread(self._board.read) if self._board else None
        if noted is not None and noted.pair.fingerprint not in self._held:
            self._opening = asyncio.create_task(self.open(pair=noted.pair))

    def _using(self, pair: Pair | None) -> "AbstractAsyncContextManager[ReplyWriter]":
        return self._held.using(self._held.last[0]) if pair is None else self._held.using(pair.fingerprint, pair)

    def _open(self, pair: Pair) -> "ReplyWriter":
        """While others decode."""
        beside = next((writer.model for writer in self._held.open_things), None)
        return in_passing_thread(self._opener, pair, beside=beside)
