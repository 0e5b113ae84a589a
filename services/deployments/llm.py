"""The LM deployment: messages in, a stream of text and `[RET]` embeddings out. Knows nothing of products or HTTP."""

import asyncio
import dataclasses
import logging
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

import numpy as np
import torch
from ray import serve
from ray.serve import metrics

from fromage_model import load_bundle
from fromage_model.chat.engine import Engine, Request
from fromage_model.chat.prefix_cache import Counts
from fromage_model.chat.reply import Turn, next_turn
from fromage_model.fromage import Fromage
from fromage_model.language.lean.products import Quantize
from fromage_model.language.packing import pack
from fromage_model.prompts.messages import Event, Finished, Message, RetrievalMode, Sampling
from fromage_model.prompts.segments import Prompt
from services.capacity import give_back_memory, measure_capacity
from services.deployments import asides
from services.errors import Overloaded
from services.outbox import Outbox
from services.products import Caption, Embedded

log = logging.getLogger(__name__)
replica_log = logging.getLogger("ray.serve")
"""Goes to the replica's file among what the deployments log, news too."""
Listener = Callable[[Event | Exception], None]
Prepare = Callable[[Fromage], Prompt]
HOPELESS_STEPS = 3
"""Steps that fail one after another before the replica is called unhealthy, and Serve starts a new one."""
PREFIX_METRICS = {
    "hits": "Positions of prompts that had been read before.",
    "misses": "Positions of prompts that had to be read.",
    "size_bytes": "Memory of what has been read and is kept, in bytes.",
}


class ReplyWriter:
    """Decodes in one thread, at most `concurrency` replies at once: each step of the LM writes a token of all of them.

    A reply is what it would be alone, up to the rounding of the LM's dtype, or of bfloat16, in which few rows meet
    weights of few bits; one too many waits its turn.
    """

    def __init__(
        self,
        model: Fromage,
        *,
        concurrency: int = 2,
        queue_size: int = 16,
        gather_s: float = 0.0,
        prefix_bytes: int = 0,
    ):
        """`queue_size`: replies that may wait. `gather_s`: seconds that text waits for more, so that several tokens
        travel together. `prefix_bytes`: memory for what rows have read, kept for later turns.
        """
        self.model = model
        self.asides = asyncio.Semaphore(max(1, concurrency // 2))
        """Rows that may be taken by what is no chat."""
        self._gather_s = gather_s
        self._most = concurrency + queue_size
        self._open = 0
        self._new_engine = lambda: Engine(model, slots=concurrency, prefix_bytes=prefix_bytes)
        self._engine = self._new_engine()
        self._engine.warm()
        self._listeners: dict[Request, Listener] = {}
        self._orders: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._failed_steps = 0
        self._thread = threading.Thread(target=self._decode, name="decode", daemon=True)
        self._thread.start()

    def check_health(self) -> None:
        """Raises RuntimeError where no reply can be expected any more: a new process is what may help."""
        if not self._thread.is_alive():
            raise RuntimeError("the thread that decodes has ended")
        if self._failed_steps >= HOPELESS_STEPS:
            raise RuntimeError(f"the last {self._failed_steps} steps of the LM failed")

    @property
    def prefix_counts(self) -> Counts:
        """Positions of prompts that earlier rows had read or had not, and the bytes that are kept for that."""
        return self._engine.prefix_counts

    async def stream(
        self, messages: Sequence[Message] | Prepare, *, retrieval: RetrievalMode, sampling: Sampling
    ) -> AsyncGenerator[list[Event], None]:
        """The events as they are decoded, some at a time, Finished last. Closing or cancelling it frees its place.
        In place of `messages` may stand what prepares another prompt for the model.

        Raises InvalidInput, PromptTooLong, Overloaded where as many wait as may.
        """
        if self._open == self._most:
            raise Overloaded("too many chats are waiting; try again in a moment")
        outbox = Outbox(gather_s=self._gather_s)
        mine: list[Request] = []
        self._orders.put(lambda: mine.extend(self._join(messages, retrieval, sampling, outbox.put)))
        self._open += 1
        try:
            while True:
                events = await outbox.take()
                whole = [event for event in events if not isinstance(event, Exception)]
                if whole:
                    yield whole
                if len(whole) < len(events):
                    raise next(event for event in events if isinstance(event, Exception))
                if isinstance(whole[-1], Finished):
                    return
        finally:
            self._open -= 1
            self._orders.put(lambda: self._leave(mine))

    def _decode(self) -> None:
        while True:
            try:
                self._follow_orders()
                self._tell(self._engine.step())
                self._failed_steps = 0
            except Exception as error:
                self._failed_steps += 1
                self._start_again(error)

    def _tell(self, events: Sequence[tuple[Request, Event | Exception]]) -> None:
        for request, event in events:
            self._listeners[request](event)
            if isinstance(event, Finished | Exception):
                del self._listeners[request]

    def _follow_orders(self) -> None:
        """All that have come; where nothing is to be decoded, it waits for the next."""
        while True:
            try:
                order = self._orders.get(block=not self._engine.busy)
            except queue.Empty:
                return
            order()

    def _join(
        self, messages: Sequence[Message] | Prepare, retrieval: RetrievalMode, sampling: Sampling, hear: Listener
    ) -> list[Request]:
        try:
            if callable(messages):
                turn = Turn(messages(self.model), sampling)
            else:
                turn = next_turn(self.model, messages, sampling=sampling)
            request = self._engine.add(turn.prompt, retrieval=retrieval, sampling=turn.sampling, begun=turn.begun)
        except Exception as error:
            hear(error)
            return []
        self._listeners[request] = hear
        return [request]

    def _leave(self, requests: Sequence[Request]) -> None:
        for request in requests:
            self._engine.cancel(request)
            self._listeners.pop(request, None)

    def _start_again(self, error: Exception) -> None:
        """A step that failed may have spoilt the cache of everyone in it."""
        log.exception("a step failed; %d replies are lost", len(self._listeners))
        self._engine = self._new_engine()
        lost, self._listeners = self._listeners, {}
        for hear in lost.values():
            hear(error)


@serve.deployment(name="llm")
class LlmDeployment:
    """The bundle without its vision encoder, behind a queue of bounded length."""

    def __init__(
        self,
        bundle: str,
        *,
        device: str | None,
        threads: int,
        concurrency: int,
        least_rate: float,
        queue: int,
        gather_s: float,
        quantize: Quantize,
        prefix_bytes: int,
    ):
        """`concurrency` 0 is as many as this machine carries, at `least_rate` tokens per second for each reply."""
        torch.set_num_threads(threads)
        model = load_bundle(bundle, device=device, vision=False)
        pack(model.lm, quantize=quantize)
        model.read_opening()
        give_back_memory()
        if not concurrency:
            capacity = measure_capacity(model, least_rate=least_rate)
            concurrency = capacity.replies
            replica_log.info("the LM decodes %d replies at once: %s", concurrency, capacity.reason)
        self.writer = ReplyWriter(
            model, concurrency=concurrency, queue_size=queue, gather_s=gather_s, prefix_bytes=prefix_bytes
        )
        self._prefix_gauges = {
            name: metrics.Gauge(f"fromage_prefix_{name}", description=description)
            for name, description in PREFIX_METRICS.items()
        }

    async def stream(
        self, messages: Sequence[Message], *, retrieval: RetrievalMode, sampling: Sampling
    ) -> AsyncGenerator[list[Event], None]:
        async with aclosing(self.writer.stream(messages, retrieval=retrieval, sampling=sampling)) as gathered:
            async for events in gathered:
                yield events

    async def embed(self, texts: Sequence[str]) -> list[Embedded]:
        return await asides.embed(self.writer, texts)

    async def embed_pictures(self, features: np.ndarray) -> np.ndarray:
        return await asides.embed_pictures(self.writer.model, features)

    async def captions(self, features: np.ndarray, *, prompt: str | None, sampling: Sampling) -> list[Caption]:
        return await asides.captions(self.writer, features, prompt=prompt, sampling=sampling)

    def check_health(self) -> None:
        """Serve asks now and then, and replaces a replica for which this raises."""
        for name, value in dataclasses.asdict(self.writer.prefix_counts).items():
            self._prefix_gauges[name].set(value)
        self.writer.check_health()
