"""Each key has a budget of its own; what it asks beyond that is refused until there is some again."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from fromage_model.errors import InvalidInput
from services.errors import Overloaded
from services.http.access.budgets import check_options
from services.http.access.keys import StoredKey, digest_of
from services.http.access.options import AccessOptions
from tests.services.http.chatting import CHAT, HELLO, client_of, data_url, picture
from tests.services.peers import ScriptedLlm

KEYS = ",".join(StoredKey(name, digest_of(name), frozenset({"chat"})).line() for name in ("one", "two"))
USED = 15
"""Tokens of a reply of the scripted LM, read and written."""


def client_with(llm: ScriptedLlm | None = None, **budgets: str) -> TestClient:
    return client_of(llm, access=AccessOptions(keys=KEYS, **budgets))


def ask(client: TestClient, name: str = "one", **fields: Any):
    headers = {"authorization": f"Bearer {name}"}
    return client.post(CHAT, json={"messages": HELLO, "max_tokens": 50, **fields}, headers=headers)


def test_what_a_key_asks_beyond_its_budget_is_refused_and_others_go_on():
    client = client_with(requests="2/minute; 100/day")
    left = [ask(client).headers["x-ratelimit-remaining-requests"] for _ in range(2)]
    assert left == ["1", "0"]
    refused = ask(client)
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert refused.headers["x-ratelimit-limit-requests"] == "2"
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert ask(client, "two").status_code == 200


def test_reading_costs_no_request():
    client = client_with(requests="1/minute")
    headers = {"authorization": "Bearer one"}
    assert [client.get("/v1/models", headers=headers).status_code for _ in range(3)] == [200] * 3
    assert ask(client).status_code == 200


@pytest.mark.parametrize("stream", [False, True])
def test_tokens_are_reserved_and_then_counted_as_the_reply_used_them(stream):
    client = client_with(tokens="100/minute")
    first = ask(client, stream=stream)
    assert int(first.headers["x-ratelimit-remaining-tokens"]) < 50
    second = ask(client, stream=stream)
    assert int(first.headers["x-ratelimit-remaining-tokens"]) - USED == int(
        second.headers["x-ratelimit-remaining-tokens"]
    )


def test_tokens_end():
    client = client_with(tokens="60/minute")
    assert [ask(client).status_code for _ in range(2)] == [200, 429]


def test_a_reply_that_fails_before_it_began_costs_no_tokens():
    llm = ScriptedLlm([Overloaded("full")])
    client = client_with(llm, tokens="60/minute")
    assert [ask(client).status_code for _ in range(3)] == [503] * 3


def test_a_request_over_the_whole_budget_is_answered_once():
    client = client_with(tokens="10/minute")
    assert [ask(client).status_code for _ in range(2)] == [200, 429]


def test_pictures_are_counted_and_a_refusal_costs_none():
    client = client_with(pictures="3/minute")
    two = [{"role": "user", "content": [picture(data_url()), picture(data_url())]}]
    one = [{"role": "user", "content": [picture(data_url())]}]
    assert [ask(client, messages=messages).status_code for messages in (two, two, one, one)] == [200, 429, 200, 429]


def test_without_keys_each_address_has_its_budget():
    app = client_of(access=AccessOptions(without_keys=True, requests="1/minute")).app
    here, there = (TestClient(app, client=(host, 50_000)) for host in ("2001:db8::1", "2001:db8:0:1::1"))
    neighbour = TestClient(app, client=("2001:db8::2", 50_000))
    assert [ask(client).status_code for client in (here, there, here, neighbour)] == [200, 200, 429, 429]


@pytest.mark.parametrize(
    ("setting", "value"),
    [("tokens", "many"), ("requests", "5/fortnight"), ("storage", "memory://"), ("storage", "async+x://")],
)
def test_a_budget_that_can_not_be_read_is_refused_by_its_setting(setting, value):
    with pytest.raises(InvalidInput, match=f"budget_{setting}"):
        check_options(AccessOptions(**{setting: value}))
