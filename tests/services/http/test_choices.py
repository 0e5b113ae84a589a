"""Several replies to one request: decoded at once, each its own, told apart by index, and ended together."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import pytest
from fastapi.testclient import TestClient

from fromage_model.prompts.messages import Event, Finished, Message, RetrievalMode, Sampling, TextDelta
from services.answering.conversation import Conversation, Turn
from services.errors import Overloaded
from services.http.app import create_http_app
from services.products import Narrowing
from tests.services.http.chatting import CHAT, HELLO, client_of, data_url, events_of, picture
from tests.services.peers import MODEL, ScriptedLlm, asks_for_products, engine


class Counted(ScriptedLlm):
    """Writes its seed and the number of its call, in three steps, with products in between."""

    def __init__(self, fails: int | None = None):
        super().__init__()
        self.samplings: list[Sampling] = []
        self.running = self.most = 0
        self.fails = fails

    async def stream(
        self, messages: Sequence[Message], *, retrieval: RetrievalMode, sampling: Sampling
    ) -> AsyncGenerator[Event, None]:
        place = len(self.samplings)
        self.samplings.append(sampling)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            for event in (TextDelta(f"{place}:"), asks_for_products(2), TextDelta("end"), Finished("stop", 9, 3)):
                await asyncio.sleep(0.01)
                if place == self.fails and isinstance(event, Finished):
                    raise Overloaded("too many chats are waiting")
                yield event
        finally:
            self.running -= 1


def test_each_of_n_replies_is_a_choice_with_its_own_text_and_products_and_the_prompt_counts_once():
    llm = Counted()
    reply = client_of(llm).post(CHAT, json={"messages": HELLO, "n": 3, "top_k": 2}).json()
    assert [choice["index"] for choice in reply["choices"]] == [0, 1, 2]
    assert [choice["message"]["content"] for choice in reply["choices"]] == ["0:end", "1:end", "2:end"]
    for choice in reply["choices"]:
        assert [product["id"] for product in choice["message"]["products"]] == ["item-0", "item-1"]
    assert reply["usage"] == {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
    assert llm.most == 3


def test_a_stream_interleaves_replies_by_index():
    body = {"messages": HELLO, "n": 2, "stream": True, "stream_options": {"include_usage": True}, "top_k": 1}
    *chunks, usage, done = events_of(client_of(Counted()).post(CHAT, json=body).text)
    assert done == "[DONE]"
    assert usage["usage"]["completion_tokens"] == 6
    places = [chunk["choices"][0]["index"] for chunk in chunks]
    assert places != sorted(places)
    for place in (0, 1):
        own = [chunk["choices"][0] for chunk in chunks if chunk["choices"][0]["index"] == place]
        deltas = [choice["delta"] for choice in own]
        assert deltas[0] == {"role": "assistant", "content": ""}
        assert "".join(delta.get("content", "") for delta in deltas) == f"{place}:end"
        assert sum(len(delta.get("products", ())) for delta in deltas) == 1
        assert [choice["finish_reason"] for choice in own] == [None] * (len(own) - 1) + ["stop"]


def test_with_a_seed_each_is_drawn_by_its_own_and_the_same_again_and_the_first_as_if_alone():
    seeds = []
    for n in (4, 4, 1):
        llm = Counted()
        client_of(llm).post(CHAT, json={"messages": HELLO, "n": n, "seed": 2**62, "temperature": 1})
        seeds.append([sampling.seed for sampling in llm.samplings])
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0])) == 4
    assert seeds[2] == seeds[0][:1] == [2**62]
    assert all(-(2**63) <= seed < 2**63 for seed in seeds[0])


def test_a_picture_is_encoded_once_for_all():
    llm = Counted()
    parts, encoded = engine(llm), []
    encode = parts.encoder.encode

    async def counted(data):
        encoded.append(data)
        return await encode(data)

    parts.encoder.encode = counted
    content = [picture(data_url())]
    client = TestClient(create_http_app(parts, MODEL))
    assert client.post(CHAT, json={"messages": [{"role": "user", "content": content}], "n": 3}).status_code == 200
    assert (len(encoded), len(llm.samplings)) == (1, 3)


def test_one_that_fails_ends_all_and_frees_their_places():
    llm = Counted(fails=1)
    assert client_of(llm).post(CHAT, json={"messages": HELLO, "n": 3}).status_code == 503
    assert llm.running == 0


@pytest.mark.parametrize("read", [1, 4])
def test_a_client_that_leaves_ends_all(read):
    llm = Counted()
    conversation = Conversation(
        (Turn("user", ("Hello",)),), Narrowing(), retrieval="auto", top_k=1, sampling=Sampling(), count=4
    )

    async def leave() -> None:
        async with aclosing(engine(llm).replies(conversation)) as events:
            for _ in range(read):
                await anext(events)
        assert llm.running == 0

    asyncio.run(leave())
