"""Replies are decoded together as if alone, arrive as they are written, and end when nobody listens any more."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import aclosing, contextmanager

import numpy as np
import pytest

from fromage_model.chat.engine import Engine
from fromage_model.errors import InvalidInput, PromptTooLong
from fromage_model.fromage import Fromage
from fromage_model.prompts.messages import Event, Finished, Message, Retrieval, Sampling, TextDelta
from services.deployments.outbox import joined
from services.deployments.writer import ReplyWriter
from services.errors import Overloaded

TOKENS = 12
LONG = 200
PATIENCE_S = 30
WISHES = ["Hello", "Have you got a red dress for the winter?", "shoes", "Show me something warm, please."]


@contextmanager
def steps_of(model: Fromage) -> Iterator[list[int]]:
    """How many rows each pass through the LM had."""
    rows: list[int] = []
    hook = model.lm.register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[0])))
    yield rows
    hook.remove()


async def read(
    writer: ReplyWriter, wish: str = WISHES[0], *, tokens: int = TOKENS, most: int | None = None, **options
) -> list[Event]:
    """The events of one reply, or the first `most` of them and then no more."""
    sampling = Sampling(max_new_tokens=tokens, ret_in_context=False, **options)
    events: list[Event] = []
    async with aclosing(writer.stream([Message("user", [wish])], retrieval="auto", sampling=sampling)) as stream:
        async for gathered in stream:
            events += gathered
            if most is not None and len(events) >= most:
                break
    return events


async def read_all(writer: ReplyWriter, **options) -> list[list[Event]]:
    return await asyncio.gather(*(read(writer, wish, **options) for wish in WISHES))


def assert_same(found: Sequence[Event], expected: Sequence[Event]) -> None:
    found, expected = joined(found), joined(expected)
    assert [type(event) for event in found] == [type(event) for event in expected]
    for one, other in zip(found, expected, strict=True):
        if isinstance(one, Retrieval):
            assert one.offset == other.offset
            np.testing.assert_allclose(one.embedding, other.embedding, atol=1e-5)
        else:
            assert one == other


@pytest.mark.parametrize("options", [{}, {"temperature": 1.0, "seed": 3}], ids=["greedy", "drawn"])
def test_replies_that_are_decoded_together_equal_those_of_requests_alone(model, options):
    options |= {"ret_scale_factor": 2.0}
    with steps_of(model) as rows:
        together = asyncio.run(read_all(ReplyWriter(model, concurrency=4), **options))
    assert max(rows) == 4
    with steps_of(model) as rows:
        alone = [asyncio.run(read(ReplyWriter(model), wish, **options)) for wish in WISHES]
    assert max(rows) == 1
    for found, expected in zip(together, alone, strict=True):
        assert_same(found, expected)
    assert isinstance(together[0][-1], Finished)
    assert len({str(events) for events in together}) == len(WISHES)


def test_no_more_replies_than_allowed_are_decoded_at_once_and_all_come(model):
    with steps_of(model) as rows:
        replies = asyncio.run(read_all(ReplyWriter(model, concurrency=2)))
    assert max(rows) == 2
    assert [events[-1].completion_tokens for events in replies] == [TOKENS] * len(WISHES)


def test_events_arrive_while_the_rest_is_still_being_written(model):
    with steps_of(model) as rows:
        event, *_ = asyncio.run(read(ReplyWriter(model), tokens=LONG, most=1))
        before = len(rows)
    assert isinstance(event, TextDelta)
    assert before < LONG / 2


def test_closing_a_stream_frees_its_place_for_who_waits(model):
    async def leave_then_ask(writer: ReplyWriter) -> list[Event]:
        await read(writer, tokens=LONG, most=2)
        return await read(writer)

    with steps_of(model) as rows:
        events = asyncio.run(leave_then_ask(ReplyWriter(model, concurrency=1)))
    assert isinstance(events[-1], Finished)
    assert len(rows) < LONG / 2


def test_cancelling_a_reader_frees_its_place_for_who_waits(model):
    async def cancel_then_ask(writer: ReplyWriter) -> list[Event]:
        task = asyncio.create_task(read(writer, tokens=LONG))
        while not rows:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await read(writer)

    with steps_of(model) as rows:
        events = asyncio.run(cancel_then_ask(ReplyWriter(model, concurrency=1)))
    assert isinstance(events[-1], Finished)
    assert len(rows) < LONG / 2


def test_one_more_than_may_wait_is_refused_and_who_leaves_makes_room(model):
    async def ask(writer: ReplyWriter) -> list:
        first = await asyncio.gather(*(read(writer, wish) for wish in WISHES), return_exceptions=True)
        return [*first, await read(writer)]

    *first, last = asyncio.run(ask(ReplyWriter(model, concurrency=1, queue_size=2)))
    assert [type(reply) for reply in first] == [list, list, list, Overloaded]
    assert isinstance(last[-1], Finished)


def test_who_can_t_be_answered_is_told_and_others_go_on(model):
    async def one_good(writer: ReplyWriter) -> list:
        wishes = [read(writer), read(writer, "red " * 600), read(writer, tokens=10_000)]
        return await asyncio.gather(*wishes, return_exceptions=True)

    good, long, endless = asyncio.run(one_good(ReplyWriter(model, concurrency=3)))
    assert isinstance(good[-1], Finished)
    assert isinstance(long, PromptTooLong)
    assert isinstance(endless, InvalidInput | PromptTooLong)


@pytest.mark.parametrize("extreme", [{"temperature": 1.0, "top_p": 1e-300}, {"temperature": 1e-40, "top_p": 0.9}])
def test_the_extremes_of_sampling_leave_nobody_without_a_reply(model, extreme):
    async def ask(writer: ReplyWriter) -> list:
        return await asyncio.gather(read(writer), read(writer, WISHES[1], **extreme), return_exceptions=True)

    plain, drawn = asyncio.run(ask(ReplyWriter(model)))
    assert_same(plain, asyncio.run(read(ReplyWriter(model))))
    assert_same(drawn, asyncio.run(read(ReplyWriter(model), WISHES[1])))


def test_a_reply_that_fails_by_itself_ends_alone(model):
    writer = ReplyWriter(model)

    async def ask() -> list:
        sampling = Sampling(max_new_tokens=TOKENS, temperature=1.0)
        object.__setattr__(sampling, "top_p", "what no check foresaw")
        broken = writer.stream([Message("user", [WISHES[1]])], retrieval="auto", sampling=sampling)
        return await asyncio.gather(read(writer), anext(broken), return_exceptions=True)

    plain, error = asyncio.run(ask())
    assert isinstance(plain[-1], Finished)
    assert isinstance(error, ValueError)
    assert "what no check foresaw" in str(error)


def test_a_step_that_fails_reaches_all_who_were_in_it_and_the_next_reply_is_whole(model):
    writer = ReplyWriter(model, concurrency=4)
    expected = asyncio.run(read(writer))

    def fail(*_) -> None:
        raise RuntimeError("out of memory")

    async def read_and_fail() -> list:
        return await asyncio.gather(*(read(writer, wish) for wish in WISHES), return_exceptions=True)

    hook = model.lm.register_forward_pre_hook(fail)
    try:
        lost = asyncio.run(read_and_fail())
    finally:
        hook.remove()
    assert [str(error) for error in lost] == ["out of memory"] * len(WISHES)
    assert_same(asyncio.run(read(writer)), expected)


def test_a_reader_whose_place_can_t_be_freed_costs_nobody_after_it_the_reply(model, monkeypatch):
    def fail(*_) -> None:
        raise RuntimeError("out of memory")

    async def leave(writer: ReplyWriter) -> None:
        await read(writer, tokens=LONG, most=1)

    writer = ReplyWriter(model)
    with monkeypatch.context() as broken:
        broken.setattr(Engine, "cancel", fail)
        asyncio.run(leave(writer))
        asyncio.run(asyncio.wait_for(read(writer), PATIENCE_S))
    writer.check_health()
    assert isinstance(asyncio.run(asyncio.wait_for(read(writer), PATIENCE_S))[-1], Finished)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_replica_whose_thread_has_ended_is_unhealthy(model, monkeypatch):
    def end(_) -> None:
        raise SystemExit

    writer = ReplyWriter(model)
    writer.check_health()
    monkeypatch.setattr(Engine, "step", end)

    async def ask() -> None:
        reply = asyncio.create_task(read(writer))
        while not reply.done():
            writer.check_health()
            await asyncio.sleep(0.01)

    with pytest.raises(RuntimeError, match="thread that decodes has ended"):
        asyncio.run(asyncio.wait_for(ask(), PATIENCE_S))
