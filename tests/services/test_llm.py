"""Replies are decoded in threads, and end when nobody listens any more."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import pytest

from fromage_model.errors import InvalidInput
from fromage_model.messages import Event, Finished, Message, RetrievalMode, Sampling, TextDelta
from services.llm import ReplyWriter

TOKEN_S = 0.01
PATIENCE_S = 10.0
HELLO = [Message("user", ["Hello"])]


@dataclass
class Typist:
    """A peer of the LM that types one letter after the other until `letters` are written or it is told to stop."""

    letters: int
    written: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)
    at_once: int = 0
    most_at_once: int = 0

    def chat_stream(
        self,
        messages: Sequence[Message],
        *,
        retrieval: RetrievalMode,
        sampling: Sampling,
        stop: Callable[[], bool] | None = None,
    ) -> Iterator[Event]:
        assert stop is not None
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        for _ in range(self.letters):
            if stop():
                self.stopped.set()
                break
            time.sleep(TOKEN_S)
            self.written += 1
            yield TextDelta("a")
        self.at_once -= 1
        yield Finished("stop", 1, self.letters)


async def read(writer: ReplyWriter, *, most: int | None = None) -> list[Event]:
    """The events of one reply, or the first `most` of them and then no more."""
    events: list[Event] = []
    async with aclosing(writer.stream(HELLO, retrieval="auto", sampling=Sampling())) as stream:
        async for event in stream:
            events.append(event)
            if len(events) == most:
                break
    return events


def test_events_arrive_in_order_and_the_last_is_finished():
    events = asyncio.run(read(ReplyWriter(Typist(letters=3))))
    assert events == [TextDelta("a")] * 3 + [Finished("stop", 1, 3)]


def test_events_arrive_while_the_rest_is_still_being_written():
    typist = Typist(letters=100)
    asyncio.run(read(ReplyWriter(typist), most=1))
    assert typist.written < 100


def test_closing_the_stream_stops_the_decoding():
    typist = Typist(letters=10_000)

    async def leave() -> bool:
        await read(ReplyWriter(typist), most=2)
        return await asyncio.to_thread(typist.stopped.wait, PATIENCE_S)

    assert asyncio.run(leave())
    assert typist.written < 100


def test_cancelling_the_reader_stops_the_decoding():
    typist = Typist(letters=10_000)

    async def cancel_soon() -> bool:
        task = asyncio.create_task(read(ReplyWriter(typist)))
        await asyncio.sleep(5 * TOKEN_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await asyncio.to_thread(typist.stopped.wait, PATIENCE_S)

    assert asyncio.run(cancel_soon())


def test_no_more_replies_than_allowed_are_written_at_once():
    typist = Typist(letters=5)

    async def three() -> None:
        writer = ReplyWriter(typist, concurrency=2)
        await asyncio.gather(*(read(writer) for _ in range(3)))

    asyncio.run(three())
    assert typist.most_at_once == 2


def test_error_of_the_model_reaches_the_reader_as_it_is():
    class Refuses(Typist):
        def chat_stream(self, *args, **options):
            raise InvalidInput("too long", field="messages")

    with pytest.raises(InvalidInput, match="too long"):
        asyncio.run(read(ReplyWriter(Refuses(letters=1))))
