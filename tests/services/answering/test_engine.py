"""The chat engine over a real LM, tiny and in float32: several replies to one request are each what they are alone."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

import pytest

from fromage_model.fromage import Fromage
from fromage_model.prompts.messages import Event, Finished, Message, RetrievalMode, Sampling, TextDelta
from services.answering.conversation import Conversation, Turn
from services.answering.engine import ChatEngine
from services.deployments.writer import ReplyWriter
from services.products import Narrowing, Products
from tests.fromage_model import tiny
from tests.services.peers import PictureReader, Shelf

ASKED = Conversation(
    turns=(Turn("user", ("Have you got a red dress for the winter?",)),),
    narrowing=Narrowing(),
    retrieval="always",
    top_k=2,
    sampling=Sampling(max_new_tokens=16, ret_in_context=False, temperature=1.0, seed=5, top_logprobs=1),
    count=4,
)


class Llm:
    """A writer's events one by one, as a handle gives them."""

    def __init__(self, model: Fromage):
        self.writer = ReplyWriter(model, concurrency=4)

    async def stream(
        self, messages: Sequence[Message], *, retrieval: RetrievalMode, sampling: Sampling
    ) -> AsyncGenerator[Event, None]:
        async with aclosing(self.writer.stream(messages, retrieval=retrieval, sampling=sampling)) as gathered:
            async for events in gathered:
                for event in events:
                    yield event


@pytest.fixture(scope="module")
def engine(tmp_path_factory) -> ChatEngine:
    place = tmp_path_factory.mktemp("llm")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FROMAGE_HOME", str(place / "home"))
        model = tiny.build(tiny.write_llama(place / "lm"))
    return ChatEngine(encoder=PictureReader(), llm=Llm(model.requires_grad_(False)), retriever=Shelf())


def replies_to(engine: ChatEngine, conversation: Conversation) -> list[tuple]:
    """Of each reply its text, what it showed, the bytes of its tokens and why it ended."""
    found: list[list] = [[] for _ in range(conversation.count)]

    async def collect() -> None:
        async with aclosing(engine.replies(conversation)) as events:
            async for place, event in events:
                found[place].append(event)

    asyncio.run(collect())
    return [summary(events) for events in found]


def summary(events: list) -> tuple:
    deltas = [event for event in events if isinstance(event, TextDelta)]
    shown = [product.id for event in events if isinstance(event, Products) for product in event.products]
    (end,) = [event for event in events if isinstance(event, Finished)]
    told = [token.data for delta in deltas for token in delta.tokens]
    return "".join(delta.text for delta in deltas), tuple(shown), tuple(told), end.reason, end.completion_tokens


def test_each_of_several_replies_is_its_own_comes_again_by_the_seed_and_is_what_it_is_alone(engine):
    first, again = replies_to(engine, ASKED), replies_to(engine, ASKED)
    assert first == again
    assert len({text for text, *_ in first}) == 4
    assert all(shown == ("item-0", "item-1") for _, shown, *_ in first)
    alone = [replies_to(engine, one)[0] for one in ASKED.for_each([])]
    assert alone == first
    assert replies_to(engine, replace(ASKED, count=1)) == first[:1]


def test_without_a_seed_each_is_drawn_by_chance(engine):
    texts = {text for text, *_ in replies_to(engine, replace(ASKED, sampling=replace(ASKED.sampling, seed=None)))}
    assert len(texts) == 4


@pytest.mark.parametrize("asked_for", [True, False])
def test_what_was_asked_and_answered_is_logged_where_that_is_asked_for_alone(engine, caplog, asked_for):
    logging_engine = ChatEngine(
        encoder=engine.encoder, llm=engine.llm, retriever=engine.retriever, log_messages=asked_for
    )
    with caplog.at_level(logging.INFO):
        ((text, *_),) = replies_to(logging_engine, replace(ASKED, count=1))
    told = f"asked 'Have you got a red dress for the winter?', answered {text!r}, products ['item-0', 'item-1']"
    assert [record.getMessage() for record in caplog.records] == ([told] if asked_for else [])
