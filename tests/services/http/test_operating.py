"""What whoever runs the server asks it: does it live, is it ready, take another pair, end."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from fastapi.testclient import TestClient

from services.errors import Overloaded, Unavailable
from services.http.app import create_http_app
from services.http.routes import health
from services.swapping.pairs import pinned
from tests.services.http.chatting import CHAT, HELLO, client_of
from tests.services.peers import MODEL, PAIR, ScriptedLlm, Standing, engine

ASKED = {"bundle": "better", "index": "larger"}


class Silent(ScriptedLlm):
    """Answers a ping with `answer`, or never."""

    answer: Exception | None = None

    async def ping(self) -> None:
        if self.answer is None:
            await asyncio.sleep(3600)
        else:
            raise self.answer


class Curious(ScriptedLlm):
    """Remembers the pair that its replies were asked for with, at their beginning and at their end."""

    async def stream(self, *arguments, **options) -> AsyncGenerator:
        self.pairs = [pinned()]
        async for event in super().stream(*arguments, **options):
            yield event
        self.pairs.append(pinned())


def from_here(swapping: Standing | None = None) -> TestClient:
    app = create_http_app(engine(), MODEL, swapping=swapping or Standing())
    return TestClient(app, raise_server_exceptions=False, client=("127.0.0.1", 50000))


def test_health_says_what_is_served():
    told = client_of().get("/healthz").json()
    assert (told["items"], told["attribution"], told["pair"]) == (8, "Drawn by nobody", PAIR.id)
    assert (told["index"], told["refused"]) == ("openmoji", None)


def test_health_asks_no_other_deployment():
    assert client_of(Silent()).get("/healthz").status_code == 200


def test_ready_once_every_deployment_answers():
    assert client_of().get("/readyz").json() == {"status": "ready", "bundle": "default"}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (None, "no answer within 0.05 s"),
        (Unavailable("it starts again"), "it starts again"),
        (RuntimeError("/srv/secret"), "it fails (RuntimeError)"),
    ],
    ids=["silent", "starting", "broken"],
)
def test_not_ready_says_which_deployment_does_not_answer_and_when_to_ask_again(answer, told, monkeypatch):
    monkeypatch.setattr(health, "PATIENCE_S", 0.05)
    llm = Silent()
    llm.answer = answer
    response = client_of(llm).get("/readyz")
    assert (response.status_code, response.json()["missing"]) == (503, {"llm": told})
    assert int(response.headers["retry-after"]) >= 1


def test_who_has_enough_to_do_is_ready():
    llm = Silent()
    llm.answer = Overloaded("full")
    assert client_of(llm).get("/readyz").status_code == 200


def test_another_pair_is_in_use_once_it_is_answered():
    client = from_here()
    assert client.post("/admin/reload", json=ASKED).json()["id"] == "p2"
    assert client.get("/healthz").json()["pair"] == "p2"


def test_what_is_left_out_of_a_reload_stays():
    answer = from_here().post("/admin/reload", json={"bundle": "better"}).json()
    assert (answer["bundle"], answer["index"]) == ("better", "openmoji")
    assert from_here().post("/admin/reload").json()["bundle"] == "default"


def test_a_bad_pair_is_a_conflict_that_says_why():
    response = from_here().post("/admin/reload", json={"bundle": "bad"})
    assert (response.status_code, response.json()["error"]["code"]) == (409, "pair_refused")
    assert response.json()["error"]["message"] == "it is bad. The old pair goes on"


@pytest.mark.parametrize("body", ['{"bundel": "x"}', '{"bundle": ""}', '{"bundle": 5}', "[]", "no JSON"])
def test_a_reload_that_can_t_be_read_is_refused(body: str):
    response = from_here().post("/admin/reload", content=body)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_value")


def test_a_stranger_may_not_reload():
    response = client_of().post("/admin/reload", json=ASKED)
    assert (response.status_code, response.json()["error"]["code"]) == (403, "not_allowed")


def test_a_request_ends_with_the_pair_that_it_began_with():
    llm, swapping = Curious(delay_s=0.02), Standing()
    client = client_of(llm, swapping=swapping)
    with client.stream("POST", CHAT, json={"messages": HELLO, "stream": True}) as response:
        lines = response.iter_lines()
        next(lines)
        asyncio.run(swapping.reload(PAIR.renewed(bundle="better")))
        assert list(lines)[-2] == "data: [DONE]"
    assert llm.pairs == [PAIR, PAIR]


def test_a_server_that_drains_ends_what_it_began_and_refuses_the_rest():
    swapping = Standing()
    client = client_of(ScriptedLlm(delay_s=0.02), swapping=swapping)
    with client.stream("POST", CHAT, json={"messages": HELLO, "stream": True}) as response:
        lines = response.iter_lines()
        next(lines)
        swapping.draining = True
        refused = client.post(CHAT, json={"messages": HELLO})
        assert list(lines)[-2] == "data: [DONE]"
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")
    assert int(refused.headers["retry-after"]) >= 1
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").json()["missing"] == {"chat": "the server is ending"}
    assert swapping.ongoing == 0
