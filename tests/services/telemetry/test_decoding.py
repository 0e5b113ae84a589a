"""What the LM's thread does is measured by steps: every token, every wait, and nobody left at the end."""

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from itertools import pairwise

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from fromage_model.chat.engine import Engine
from fromage_model.fromage import Fromage
from fromage_model.prompts.messages import Message, Sampling
from services.deployments.writer import ReplyWriter
from services.telemetry import metrics
from services.telemetry.spans import stage
from tests.fromage_model import tiny
from tests.services.telemetry.conftest import Heard

TOKENS = 8
LONG = 200
PATIENCE_S = 30


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Fromage:
    """It goes on until its limit, so that a reply's length is known."""
    place = tmp_path_factory.mktemp("llm")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FROMAGE_HOME", str(place / "home"))
        model = tiny.build(tiny.write_llama(place / "lm"))
    model.tokens.stop_ids = frozenset()
    return model.requires_grad_(False)


async def read(writer: ReplyWriter, *, tokens: int = TOKENS, most: int | None = None) -> None:
    sampling = Sampling(max_new_tokens=tokens)
    async with aclosing(writer.stream([Message("user", ["Hello"])], retrieval="never", sampling=sampling)) as stream:
        seen = 0
        async for events in stream:
            seen += len(events)
            if most is not None and seen >= most:
                return


def soon(true: Callable[[], bool]) -> bool:
    deadline_s = time.monotonic() + PATIENCE_S
    while not true() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    return true()


def at_rest(heard: Heard) -> bool:
    """Nobody waits or is written any more, by the gauges' last words."""
    return heard.of(metrics.WAITING)[-1:] == [0] and heard.of(metrics.WRITING)[-1:] == [0]


def test_tokens_rows_and_waits_add_up(model: Fromage, heard: Heard):
    async def run() -> None:
        writer = ReplyWriter(model, concurrency=2, queue_size=4)
        await asyncio.gather(*(read(writer) for _ in range(4)))

    asyncio.run(run())
    assert soon(lambda: at_rest(heard))
    assert sum(heard.of(metrics.STEP_TOKENS)) == 4 * TOKENS
    assert heard.of(metrics.STEP_ROWS) == heard.of(metrics.STEP_TOKENS)
    assert max(heard.of(metrics.STEP_ROWS)) == 2
    assert max(heard.of(metrics.WAITING)) in (2, 3)
    assert len(heard.of(metrics.QUEUE_SECONDS)) == len(heard.of(metrics.PREFILL_SECONDS)) == 4
    assert max(heard.of(metrics.QUEUE_SECONDS)) > max(heard.of(metrics.PREFILL_SECONDS)) > 0
    gaps = heard.of(metrics.TOKEN_GAP_SECONDS)
    assert len(heard.of(metrics.STEP_ROWS)) // 2 < len(gaps) < len(heard.of(metrics.STEP_ROWS))
    assert min(gaps) > 0


def test_the_time_in_which_nobody_is_written_is_no_time_between_tokens(model: Fromage, heard: Heard):
    async def run() -> None:
        writer = ReplyWriter(model, concurrency=2)
        await read(writer, tokens=LONG, most=2)
        await read(writer)

    asyncio.run(run())
    assert soon(lambda: at_rest(heard))
    runs = 2
    assert len(heard.of(metrics.TOKEN_GAP_SECONDS)) == len(heard.of(metrics.STEP_ROWS)) - runs


def test_positions_that_an_earlier_reply_read_are_hits(model: Fromage, heard: Heard):
    async def run() -> None:
        writer = ReplyWriter(model, concurrency=1, prefix_bytes=1 << 20)
        await read(writer)
        await read(writer)

    asyncio.run(run())
    assert soon(lambda: at_rest(heard))
    hits, misses = (heard.of(metrics.PREFIX_POSITIONS, result=result) for result in ("hit", "miss"))
    assert sum(misses[1:]) < misses[0]
    assert sum(hits) > 0
    assert heard.of(metrics.PREFIX_BYTES)[-1] > 0


def test_a_step_that_fails_is_counted_and_leaves_nobody(model: Fromage, heard: Heard, monkeypatch: pytest.MonkeyPatch):
    step, failed = Engine.step, []

    def fail_once(self: Engine):
        if not failed:
            failed.append(True)
            raise RuntimeError("no memory")
        return step(self)

    async def run() -> None:
        monkeypatch.setattr(Engine, "step", fail_once)
        writer = ReplyWriter(model, concurrency=1)
        with pytest.raises(RuntimeError, match="no memory"):
            await read(writer)
        await read(writer)

    asyncio.run(run())
    assert soon(lambda: at_rest(heard))
    assert heard.of(metrics.FAILED_STEPS) == [1]
    assert len(heard.of(metrics.PREFILL_SECONDS)) == 1


def test_a_traced_reply_has_a_span_for_each_stage(model: Fromage, recorded: InMemorySpanExporter):
    async def run() -> None:
        with stage("request"):
            await read(ReplyWriter(model, concurrency=1))

    asyncio.run(run())
    spans = {span.name: span for span in recorded.get_finished_spans()}
    assert set(spans) == {"queue", "prefill", "decode", "request"}
    ends = [spans[name] for name in ("queue", "prefill", "decode")]
    assert all(before.end_time == after.start_time for before, after in pairwise(ends))
    assert all(span.parent.span_id == spans["request"].context.span_id for span in ends)
