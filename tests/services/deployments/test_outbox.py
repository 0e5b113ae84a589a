"""A reply's events come in order and lose nothing; text is gathered, and nothing that somebody waits for is."""

import asyncio
import threading

import numpy as np
import pytest

from fromage_model.prompts.messages import Finished, Retrieval, TextDelta
from services.deployments.outbox import Outbox, joined

PATIENCE_S = 30.0
NEVER_S = 3600.0
RETRIEVAL = Retrieval(np.zeros(2, dtype=np.float32), offset=1)
FINISHED = Finished("stop", 3, 2)


def taken_from(outbox: Outbox):
    return asyncio.wait_for(outbox.take(), PATIENCE_S)


def test_the_first_text_goes_at_once_and_the_next_waits_for_more():
    async def run() -> None:
        outbox = Outbox(gather_s=NEVER_S)
        outbox.put(TextDelta("a"))
        assert await taken_from(outbox) == [TextDelta("a")]
        outbox.put(TextDelta("b"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(outbox.take(), 0.05)

    asyncio.run(run())


@pytest.mark.parametrize("urgent", [RETRIEVAL, FINISHED, ValueError("no")], ids=["products", "end", "error"])
def test_what_somebody_waits_for_takes_what_was_gathered_along(urgent):
    async def run() -> None:
        outbox = Outbox(gather_s=NEVER_S)
        outbox.put(TextDelta("a"))
        await taken_from(outbox)
        for event in (TextDelta("b"), TextDelta("c"), urgent):
            outbox.put(event)
        assert await taken_from(outbox) == [TextDelta("bc"), urgent]

    asyncio.run(run())


@pytest.mark.parametrize("gather_s", [0.0, 0.002])
def test_nothing_is_lost_doubled_or_out_of_order_while_another_thread_writes(gather_s):
    pieces = [f"{number} " for number in range(3000)]

    def write(outbox: Outbox) -> None:
        for piece in pieces:
            outbox.put(TextDelta(piece))
        outbox.put(FINISHED)

    async def run() -> tuple[list, int]:
        outbox = Outbox(gather_s=gather_s)
        thread = threading.Thread(target=write, args=(outbox,))
        thread.start()
        events, messages = [], 0
        while not events or events[-1] != FINISHED:
            events += await taken_from(outbox)
            messages += 1
        thread.join()
        return events, messages

    events, messages = asyncio.run(run())
    assert joined(events) == [TextDelta("".join(pieces)), FINISHED]
    assert messages < len(pieces)


def test_who_writes_after_the_loop_was_closed_is_not_disturbed():
    async def run() -> Outbox:
        return Outbox(gather_s=0.0)

    asyncio.run(run()).put(FINISHED)
