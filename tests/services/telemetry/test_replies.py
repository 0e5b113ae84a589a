"""What a client sees of a reply is measured, however the reply ends."""

import asyncio
from contextlib import aclosing

import pytest

from fromage_model.prompts.messages import Sampling, TextDelta
from services.answering.conversation import Conversation, Turn
from services.errors import TimedOut
from services.products import Narrowing
from services.telemetry import metrics
from tests.services.peers import WITH_PRODUCTS, ScriptedLlm, engine
from tests.services.telemetry.conftest import Heard

ASKED = Conversation(
    turns=(Turn("user", ("Hello",)),), narrowing=Narrowing(), retrieval="auto", top_k=3, sampling=Sampling()
)


async def _read(llm: ScriptedLlm, *, most: int = 100, reply_timeout_s: float = 30) -> None:
    async with aclosing(engine(llm, reply_timeout_s=reply_timeout_s).reply(ASKED)) as events:
        async for _ in events:
            most -= 1
            if most == 0:
                return


def read(*args, **options) -> None:
    asyncio.run(_read(*args, **options))


def test_a_whole_reply(heard: Heard):
    read(ScriptedLlm(WITH_PRODUCTS))
    (first_token_s,) = heard.of(metrics.FIRST_TOKEN_SECONDS)
    (first_product_s,) = heard.of(metrics.FIRST_PRODUCT_SECONDS)
    (reply_s,) = heard.of(metrics.REPLY_SECONDS)
    assert 0 < first_token_s < first_product_s < reply_s
    assert heard.of(metrics.TOKENS, direction="in") == [9]
    assert heard.of(metrics.TOKENS, direction="out") == [6]
    assert heard.of(metrics.PRODUCTS) == [3]
    assert heard.of(metrics.REPLIES) == heard.of(metrics.REPLIES, end="stop") == [1]


def test_a_reply_that_its_client_leaves(heard: Heard):
    read(ScriptedLlm(WITH_PRODUCTS), most=1)
    assert heard.of(metrics.REPLIES) == heard.of(metrics.REPLIES, end="left") == [1]
    assert heard.of(metrics.TOKENS) == []


def test_a_reply_that_fails(heard: Heard):
    with pytest.raises(RuntimeError, match="broken"):
        read(ScriptedLlm([TextDelta("Try "), RuntimeError("broken")]))
    assert heard.of(metrics.REPLIES) == heard.of(metrics.REPLIES, end="error") == [1]


def test_a_reply_that_is_not_complete_in_time_has_failed(heard: Heard):
    with pytest.raises(TimedOut):
        read(ScriptedLlm(WITH_PRODUCTS, delay_s=5), reply_timeout_s=0.01)
    assert heard.of(metrics.REPLIES) == heard.of(metrics.REPLIES, end="error") == [1]
