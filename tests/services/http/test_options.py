"""What a request asks for reaches the LM and retrieval as it was asked; what nothing is done with is named."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from fromage_model.prompts.messages import Finished, TextDelta, TokenScore
from tests.services.http.chatting import CHAT, HELLO, client_of, data_url, events_of, picture_as
from tests.services.peers import ScriptedLlm, Shelf

MAYBE = TokenScore("May", b"May", -0.25, (TokenScore("May", b"May", -0.25), TokenScore("<|im_end|>", None, -2.5)))
SCORED = (
    TextDelta("Ma", (MAYBE,)),
    TextDelta("y", (TokenScore("�", b"\xc3", float("-inf")),)),
    Finished("length", 3, 2),
)


def asked_of(**body: Any) -> ScriptedLlm:
    llm = ScriptedLlm()
    response = client_of(llm).post(CHAT, json={"messages": HELLO, **body})
    assert response.status_code == 200, response.text
    return llm


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"stop": "."}, {"stop": (".",)}),
        ({"stop": ["a", "\n\n"]}, {"stop": ("a", "\n\n")}),
        ({"stop": []}, {"stop": ()}),
        ({"repetition_penalty": 1.5}, {"repetition_penalty": 1.5}),
        ({"presence_penalty": 1, "frequency_penalty": -0.5}, {"presence_penalty": 1, "frequency_penalty": -0.5}),
        ({"logprobs": True}, {"top_logprobs": 0}),
        ({"logprobs": True, "top_logprobs": 20}, {"top_logprobs": 20}),
        ({"max_tokens": 7}, {"max_new_tokens": 7}),
        ({"max_tokens": 7, "max_completion_tokens": 9}, {"max_new_tokens": 9}),
        ({"seed": -3, "temperature": 0.5, "top_p": 0.9}, {"seed": -3, "temperature": 0.5, "top_p": 0.9}),
        ({}, {"stop": (), "top_logprobs": None, "presence_penalty": 0, "frequency_penalty": 0, "seed": None}),
    ],
)
def test_a_setting_reaches_the_lm(body, expected):
    sampling = asked_of(**body).sampling
    assert {name: getattr(sampling, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("retrieval", "mode"),
    [(None, "auto"), ("never", "never"), ({}, "auto"), ({"mode": None}, "auto"), ({"mode": "always"}, "always")],
)
def test_retrieval_is_a_mode_or_an_object_that_holds_it(retrieval, mode):
    assert asked_of(retrieval=retrieval).retrieval == mode


def products_of(client: TestClient, **body: Any) -> list[str]:
    reply = client.post(CHAT, json={"messages": HELLO, **body}).json()
    return [product["id"] for product in reply["choices"][0]["message"]["products"]]


def test_top_k_stands_in_retrieval_or_beside_it_and_excluded_items_are_left_out(client: TestClient):
    assert len(products_of(client)) == 5
    assert len(products_of(client, top_k=2)) == 2
    assert products_of(client, top_k=2, retrieval={"top_k": 3, "exclude_ids": ["item-1"]}) == [
        "item-0",
        "item-2",
        "item-3",
    ]


def test_filters_and_a_least_score_reach_retrieval(monkeypatch):
    client, seen = client_of(), []

    async def check(_, narrowing):
        seen.append(narrowing)

    monkeypatch.setattr(Shelf, "check", check)
    filters = {"brand": ["a", "b"], "attributes.price": {"lte": 50}}
    client.post(CHAT, json={"messages": HELLO, "retrieval": {"filters": filters, "min_score": 0.25}})
    assert (dict(seen[0].filters), seen[0].min_score) == (filters, 0.25)
    assert seen[0].field == "retrieval.filters"


def test_a_picture_may_come_as_its_url_alone():
    llm = ScriptedLlm()
    messages = [{"role": "user", "content": [picture_as(data_url())]}]
    assert client_of(llm).post(CHAT, json={"messages": messages}).status_code == 200
    assert len(llm.asked[0][0].parts) == 1


def test_instructions_come_from_developers_too_and_anywhere_and_a_last_reply_is_left_open():
    messages = [
        {"role": "developer", "content": "Be brief"},
        {"role": "system", "content": "Be kind"},
        *HELLO,
        {"role": "system", "content": "Be brave"},
        {"role": "assistant", "content": "Try a", "refusal": None, "tool_calls": None},
    ]
    (asked,) = asked_of(messages=messages).asked
    assert [message.role for message in asked] == ["system", "system", "user", "system", "assistant"]
    assert asked[-1].text == "Try a"


def test_log_probabilities_are_told_by_token_with_its_bytes_and_the_likeliest():
    body = {"messages": HELLO, "logprobs": True, "top_logprobs": 2}
    client = client_of(ScriptedLlm(SCORED))
    (choice,) = client.post(CHAT, json=body).json()["choices"]
    first, second = choice["logprobs"]["content"]
    end = {"token": "<|im_end|>", "logprob": -2.5, "bytes": None}
    assert first["top_logprobs"] == [{"token": "May", "logprob": -0.25, "bytes": [77, 97, 121]}, end]
    assert (first["token"], first["logprob"], first["bytes"]) == ("May", -0.25, [77, 97, 121])
    assert (second["logprob"], second["bytes"]) == (-9999.0, [0xC3])
    chunks = events_of(client.post(CHAT, json={**body, "stream": True}).text)[:-1]
    told = [chunk["choices"][0]["logprobs"] for chunk in chunks]
    assert [logprobs and logprobs["content"] for logprobs in told] == [None, [first], [second], None]
    (plain,) = client_of().post(CHAT, json={"messages": HELLO}).json()["choices"]
    assert plain["logprobs"] is None


def test_fields_that_nothing_is_done_with_are_named_in_a_header(client: TestClient):
    message = {"role": "user", "content": "Hello", "name": "Ann", "weight": None}
    body = {"messages": [message, message], "store": True, "metadata": {"a": "b"}, "service_tier": None, "user": "me"}
    for stream in (False, True):
        response = client.post(CHAT, json={**body, "stream": stream})
        assert response.headers["x-ignored-fields"] == "store, metadata, messages.name"
    assert "x-ignored-fields" not in client.post(CHAT, json={"messages": HELLO}).headers


def test_what_is_named_is_harmless_in_a_header_and_bounded(client: TestClient):
    odd = {"a\r\nset-cookie: b=c": 1, "<script>": 1, "ключ": 1, "x" * 65: 1, "": 1}
    many = {f"field{number}": 1 for number in range(40)}
    response = client.post(CHAT, json={"messages": HELLO, **odd, **many})
    named = response.headers["x-ignored-fields"].split(", ")
    assert response.status_code == 200
    assert named == [*(f"field{number}" for number in range(16)), "and 29 more"]
    assert "set-cookie" not in response.headers
