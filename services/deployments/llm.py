"""The LM deployment: messages in, a stream of text and `[RET]` embeddings out. Knows nothing of products or HTTP."""

import asyncio
import logging
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress

import torch
from ray import serve

from fromage_model import load_bundle
from fromage_model.chat.engine import Engine, Request
from fromage_model.chat.reply import next_turn
from fromage_model.fromage import Fromage
from fromage_model.prompts.messages import Event, Finished, Message, RetrievalMode, Sampling

log = logging.getLogger(__name__)
Listener = Callable[[Event | Exception], None]
HOPELESS_STEPS = 3
"""Steps that fail one after another before the replica is called unhealthy, and Serve starts a new one."""


class ReplyWriter:
    """Decodes in one thread, at most `concurrency` replies at once: each step of the LM writes a token of all of them.

    A reply is what it would be alone, up to the rounding of the LM's dtype; one too many waits its turn.
    """

    def __init__(self, model: Fromage, *, concurrency: int = 2):
        self._model = model
        self._concurrency = concurrency
        self._engine = Engine(model, slots=concurrency)
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

    async def stream(
        self, messages: Sequence[Message], *, retrieval: RetrievalMode, sampling: Sampling
    ) -> AsyncGenerator[Event, None]:
        """The events as they are decoded, Finished last. Closing or cancelling this iterator frees its place.

        Raises InvalidInput, PromptTooLong.
        """
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[Event | Exception] = asyncio.Queue()
        mine: list[Request] = []

        def hear(event: Event | Exception) -> None:
            with suppress(RuntimeError):  # the loop has been closed, and with it whoever listened
                loop.call_soon_threadsafe(arrived.put_nowait, event)

        self._orders.put(lambda: mine.extend(self._join(messages, retrieval, sampling, hear)))
        try:
            while True:
                event = await arrived.get()
                if isinstance(event, Exception):
                    raise event
                yield event
                if isinstance(event, Finished):
                    return
        finally:
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
        self, messages: Sequence[Message], retrieval: RetrievalMode, sampling: Sampling, hear: Listener
    ) -> list[Request]:
        try:
            turn = next_turn(self._model, messages, sampling=sampling)
            request = self._engine.add(turn.prompt, retrieval=retrieval, sampling=turn.sampling)
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
        self._engine = Engine(self._model, slots=self._concurrency)
        lost, self._listeners = self._listeners, {}
        for hear in lost.values():
            hear(error)


@serve.deployment(name="llm")
class LlmDeployment:
    """The bundle without its vision encoder, behind a queue of bounded length."""

    def __init__(self, bundle: str, *, device: str | None, threads: int, concurrency: int):
        torch.set_num_threads(threads)
        model = load_bundle(bundle, device=device, vision=False)
        model.lm.pack()
        model.read_opening()
        self.writer = ReplyWriter(model, concurrency=concurrency)

    async def stream(
        self, messages: Sequence[Message], *, retrieval: RetrievalMode, sampling: Sampling
    ) -> AsyncGenerator[Event, None]:
        async with aclosing(self.writer.stream(messages, retrieval=retrieval, sampling=sampling)) as events:
            async for event in events:
                yield event

    def check_health(self) -> None:
        """Serve asks now and then, and replaces a replica for which this raises."""
        self.writer.check_health()
