"""Replies written together in one thread, each heard by whoever asked for it. Knows nothing of Ray or of bundles."""

import asyncio
import logging
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Sequence

import torch

from fromage_model.chat.engine import Engine, Request
from fromage_model.chat.reply import Turn, next_turn
from fromage_model.fromage import Fromage
from fromage_model.prompts.messages import Event, Finished, Message, RetrievalMode, Sampling
from fromage_model.prompts.segments import Prompt
from services.deployments.outbox import Outbox
from services.deployments.threads import ThreadChoice
from services.errors import Overloaded
from services.swapping.held import Turns
from services.telemetry.decoding import Stages, StepWatch

log = logging.getLogger(__name__)
Listener = Callable[[Event | Exception], None]
Prepare = Callable[[Fromage], Prompt]
HOPELESS_STEPS = 3
"""Steps that fail one after another before the replica is called unhealthy, and Serve starts a new one."""


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
        turns: Turns | None = None,
        threads: Sequence[int] = (),
    ):
        """`queue_size`: replies that may wait. `gather_s`: seconds that text waits for more, so that several tokens
        travel together. `prefix_bytes`: memory for what rows have read, kept for later turns. `turns`: in which writers
        that share the machine take their steps. `threads`: numbers of threads to choose from for each step on a CPU;
        where there is none, torch keeps its own, as it does beside a GPU, whose work no thread of the CPU shares.
        """
        self.model = model
        self.asides = asyncio.Semaphore(max(1, concurrency // 2))
        """Rows that may be taken by what is no chat."""
        self._gather_s = gather_s
        self._slots = concurrency
        self._most = concurrency + queue_size
        self._open = 0
        self._new_engine = lambda: Engine(model, slots=concurrency, prefix_bytes=prefix_bytes)
        self._engine = self._new_engine()
        self._engine.warm()
        self._watch = StepWatch()
        self._listeners: dict[Request, Listener] = {}
        self._orders: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._failed_steps = 0
        self._turns = turns or Turns()
        tried = threads if model.lm.device.type == "cpu" else ()
        self._threads = ThreadChoice(tried or [torch.get_num_threads()])
        self._closed = False
        self._thread = threading.Thread(target=self._decode, name="decode", daemon=True)
        self._thread.start()

    def check_health(self) -> None:
        """Raises RuntimeError where no reply can be expected any more: a new process is what may help."""
        if not self._thread.is_alive():
            raise RuntimeError("the thread that decodes has ended")
        if self._failed_steps >= HOPELESS_STEPS:
            raise RuntimeError(f"the last {self._failed_steps} steps of the LM failed")

    def close(self) -> None:
        """Ends the thread; nobody may be listening any more."""
        self._orders.put(lambda: setattr(self, "_closed", True))

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
        stages = Stages.now()
        self._orders.put(lambda: mine.extend(self._join(messages, retrieval, sampling, outbox.put, stages)))
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
            stages.tell()

    def _decode(self) -> None:
        while True:
            try:
                self._follow_orders()
                if self._closed:
                    return
                with self._turns, self._threads.for_step(self._rows_alone):
                    events = self._watch.step(self._engine)
                self._tell(events)
                self._failed_steps = 0
            except Exception as error:
                self._failed_steps += 1
                self._start_again(error)

    @property
    def _rows_alone(self) -> int:
        """Replies that the next step writes a token of and reads no prompt beside; else 0."""
        load = self._engine.load
        seats = bool(load.waiting) and load.writing < self._slots
        return 0 if load.reading or seats else load.writing

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
            if self._closed:
                return

    def _join(
        self,
        messages: Sequence[Message] | Prepare,
        retrieval: RetrievalMode,
        sampling: Sampling,
        hear: Listener,
        stages: Stages,
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
        self._watch.added(request, stages)
        return [request]

    def _leave(self, requests: Sequence[Request]) -> None:
        for request in requests:
            self._engine.cancel(request)
            self._watch.left(request, self._engine.load)
            self._listeners.pop(request, None)

    def _start_again(self, error: Exception) -> None:
        """A step that failed may have spoilt the cache of everyone in it."""
        log.exception("a step failed; %d replies are lost", len(self._listeners))
        self._engine = self._new_engine()
        self._watch.failed()
        lost, self._listeners = self._listeners, {}
        for hear in lost.values():
            hear(error)
