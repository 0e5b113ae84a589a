"""No body brings the server down, holds it up or gets through where it should not: each has its 4xx with a reason."""

import asyncio
import tracemalloc

import httpx
import pytest

from services.http.bodies import BodyLimits
from tests.services.attacks.asking import JSON, app_client, check_refused
from tests.services.attacks.bodies import ATTACKS, asking
from tests.services.http.chatting import CHAT
from tests.services.peers import ScriptedLlm

PATHS = [CHAT, "/v1/search", "/v1/embeddings", "/v1/captions", "/"]


@pytest.mark.parametrize("name", ATTACKS)
def test_a_body_that_no_client_means_is_refused(client, name):
    attack = ATTACKS[name]
    check_refused(client.post(CHAT, content=attack.body(), headers={**JSON, **attack.headers}), attack.status)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", ["10^5 messages", "10^4 lists deep", "half a surrogate pair", "NaN", "a gzip bomb"])
def test_every_route_that_reads_a_body_refuses_it(client, path, name):
    attack = ATTACKS[name]
    response = client.post(path, content=attack.body(), headers={**JSON, **attack.headers})
    assert response.status_code == attack.status
    assert response.json()["error"]["message"]


def sent_slowly(*clients: list[bytes], **limits) -> list[httpx.Response]:
    """The answers to clients that each send their pieces, and then nothing more for a long time."""
    app = app_client(body=BodyLimits(**limits)).app

    async def run() -> list[httpx.Response]:
        async def pieces(given: list[bytes]):
            for piece in given:
                yield piece
                await asyncio.sleep(0.05)
            await asyncio.sleep(30)

        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://a", timeout=20) as http:
            asked = [http.post(CHAT, content=pieces(given), headers=JSON) for given in clients]
            return await asyncio.gather(*asked)

    return asyncio.run(run())


def test_a_body_that_does_not_end_is_given_up():
    (response,) = sent_slowly([asking()[:20]], timeout_s=0.3)
    assert check_refused(response, 408)["code"] == "request_timeout"


def test_halves_of_bodies_can_not_fill_the_memory():
    half = asking() + b" " * 60_000
    responses = sent_slowly(*[[half]] * 8, timeout_s=0.5, all_bytes=256 * 1024)
    assert sorted({response.status_code for response in responses}) == [408, 503]
    for response in responses:
        if response.status_code == 503:
            assert check_refused(response, 503)["code"] == "overloaded"
            assert response.headers["retry-after"]


def test_none_reaches_the_lm_nothing_stays_held_and_a_chat_is_answered_after_them():
    llm = ScriptedLlm()
    client = app_client(llm)
    for attack in ATTACKS.values():
        client.post(CHAT, content=attack.body(), headers={**JSON, **attack.headers})
    assert (llm.asked, client.app.state.bodies.taken_bytes) == ([], 0)
    assert client.post(CHAT, content=asking(), headers=JSON).status_code == 200


@pytest.mark.parametrize("name", ["a gzip bomb", "10^6 messages", "10^7 brackets", "40 MiB"])
def test_a_body_takes_no_more_memory_than_the_largest_that_is_allowed_and_its_copy(client, name):
    attack = ATTACKS[name]
    body = attack.body()
    tracemalloc.start()
    client.post(CHAT, content=body, headers={**JSON, **attack.headers})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.5 * BodyLimits().max_bytes
