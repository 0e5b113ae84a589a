"""The LM deployment: messages in, a stream of text and `[RET]` embeddings out. Knows nothing of products or HTTP."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Protocol

import torch
from ray import serve

from fromage_model import load_bundle
from fromage_model.messages import Event, Message, RetrievalMode, Sampling


class ChatModel(Protocol):
    def chat_stream(
        self,
        messages: Sequence[Message],
        *,
        retrieval: RetrievalMode,
        sampling: Sampling,
        stop: Callable[[], bool] | None = None,
    ) -> Iterator[Event]:
        """The reply's events, one after the other; ends early once `stop()` is true."""


class ReplyWriter:
    """Runs the model's synchronous decoding in threads, `concurrency` replies at a time."""

    def __init__(self, model: ChatModel, *, concurrency: int = 2):
        self.model = model
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="decode")

    async def stream(
        self, messages: Sequence[Message], *, retrieval: RetrievalMode, sampling: Sampling
    ) -> AsyncGenerator[Event, None]:
        """The events as they are decoded. Closing or cancelling this iterator stops the decoding at the next token."""
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[Event | Exception | None] = asyncio.Queue()
        stop = threading.Event()

        def put(event: Event | Exception | None) -> None:
            loop.call_soon_threadsafe(arrived.put_nowait, event)

        def decode() -> None:
            try:
                for event in self.model.chat_stream(messages, retrieval=retrieval, sampling=sampling, stop=stop.is_set):
                    put(event)
                put(None)
            except Exception as error:
                put(error)

        job = self._threads.submit(decode)
        try:
            while (event := await arrived.get()) is not None:
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            stop.set()
            job.cancel()


@serve.deployment(name="llm")
class LlmDeployment:
    """The bundle without its vision encoder, behind a queue of bounded length."""

    def __init__(self, bundle: str, *, device: str | None, threads: int, concurrency: int):
        torch.set_num_threads(threads)
        model = load_bundle(bundle, device=device, vision=False)
        self.writer = ReplyWriter(model, concurrency=concurrency)

    async def stream(
        self, messages: Sequence[Message], *, retrieval: RetrievalMode, sampling: Sampling
    ) -> AsyncGenerator[Event, None]:
        async with aclosing(self.writer.stream(messages, retrieval=retrieval, sampling=sampling)) as events:
            async for event in events:
                yield event
