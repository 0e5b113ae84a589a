"""What `openapi.json` says of chats is true: what it takes is taken, and what is answered has the form that it says."""

import json
from typing import Any

import jsonschema
import pytest
from fastapi.testclient import TestClient

from services.http.forms.completion import ChatCompletion, ChatCompletionChunk, ErrorAnswer
from tests.services.http.chatting import CHAT, HELLO, client_of, data_url, events_of, picture, picture_as
from tests.services.http.test_options import SCORED
from tests.services.peers import ScriptedLlm


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return client_of().get("/openapi.json").json()


@pytest.fixture(scope="module")
def operation(document: dict[str, Any]) -> dict[str, Any]:
    return document["paths"][CHAT]["post"]


def references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for one in value for found in references(one)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    return own + [found for one in value.values() for found in references(one)]


def test_whatever_the_document_refers_to_is_in_it(document: dict[str, Any]):
    found = references(document)
    assert found
    for reference in found:
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


TAKEN: list[dict[str, Any]] = [
    {"messages": HELLO},
    {"messages": [{"role": "developer", "content": "Be brief"}, *HELLO, {"role": "assistant", "content": None}]},
    {"messages": [{"role": "user", "content": [picture(data_url()), picture_as(data_url())]}]},
    {"messages": HELLO, "stop": ".", "n": 4, "user": "me", "response_format": {"type": "text"}, "store": True},
    {"messages": HELLO, "stop": ["a", "b"], "logprobs": True, "top_logprobs": 20, "retrieval": None, "top_k": None},
    {"messages": HELLO, "retrieval": "never", "max_completion_tokens": 5, "presence_penalty": 2},
    {"messages": HELLO, "retrieval": {"mode": "always", "top_k": 2, "filters": {"price": {"lt": 5}}}},
]
REFUSED: list[dict[str, Any]] = [
    {},
    {"messages": []},
    {"messages": [{"role": "user", "content": 5}]},
    {"messages": HELLO, "stop": ""},
    {"messages": HELLO, "n": 5},
    {"messages": HELLO, "retrieval": "sometimes"},
    {"messages": HELLO, "retrieval": {"mod": "always"}},
    {"messages": HELLO, "top_logprobs": 21},
]


@pytest.mark.parametrize(("body", "taken"), [*((body, True) for body in TAKEN), *((body, False) for body in REFUSED)])
def test_the_request_s_schema_takes_what_the_server_takes(operation, body: dict[str, Any], taken: bool):
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert jsonschema.Draft202012Validator(schema).is_valid(body) == taken
    assert (client_of().post(CHAT, json=body).status_code == 200) == taken


@pytest.mark.parametrize("llm", [None, SCORED], ids=["with products", "with log-probabilities"])
def test_replies_have_the_form_that_is_told(operation, llm):
    client = client_of(ScriptedLlm(llm) if llm else None)
    body = {"messages": HELLO, "n": 2, "logprobs": llm is not None, "stream_options": {"include_usage": True}}
    whole = client.post(CHAT, json=body)
    ChatCompletion.model_validate(whole.json())
    for chunk in events_of(client.post(CHAT, json={**body, "stream": True}).text)[:-1]:
        ChatCompletionChunk.model_validate(chunk)
        told = operation["responses"]["200"]["content"]["text/event-stream"]["schema"]
        jsonschema.validate(chunk, told, jsonschema.Draft202012Validator)
    assert set(operation["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}


def test_every_refusal_has_the_form_that_is_told_and_a_status_that_is(operation, client: TestClient):
    headers = {"content-type": "application/json"}
    for body in (b"{", json.dumps({"messages": HELLO, "model": "gpt-5"}).encode(), b'{"messages": 5}'):
        response = client.post(CHAT, content=body, headers=headers)
        ErrorAnswer.model_validate(response.json())
        assert str(response.status_code) in operation["responses"]
