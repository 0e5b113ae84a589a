"""Replicas that count budgets in one Redis, Debian's, know of each other; without it nobody is answered for nothing."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from fastapi.testclient import TestClient

from services.http.access.options import AccessOptions
from tests.services.http.access.test_budgets import KEYS, ask
from tests.services.http.chatting import client_of

PATIENCE_S = 60


class Redis:
    """A server on a port of its own, that keeps nothing on disk."""

    def __init__(self, folder: str):
        program = shutil.which("redis-server")
        assert program, "shared budgets need redis-server. Debian: apt-get install redis-server"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        options = ("--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--dir", folder)
        self._process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
        deadline_s = time.monotonic() + PATIENCE_S
        while not self._listens():
            assert time.monotonic() < deadline_s, "redis-server did not start"
            time.sleep(0.05)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)


@pytest.fixture
def redis(tmp_path) -> Iterator[Redis]:
    server = Redis(str(tmp_path))
    yield server
    server.stop()


@pytest.fixture
def replicas(redis) -> Iterator[tuple[TestClient, TestClient]]:
    """Two apps, each with one loop for all of its requests, as a replica has."""
    storage = f"async+redis://127.0.0.1:{redis.port}"
    access = AccessOptions(keys=KEYS, requests="3/minute", tokens="1000/minute", storage=storage)
    with ExitStack() as stack:
        yield stack.enter_context(client_of(access=access)), stack.enter_context(client_of(access=access))


def test_what_one_replica_counts_another_knows(replicas):
    here, there = replicas
    left = [ask(replica).headers["x-ratelimit-remaining-requests"] for replica in (here, there, here)]
    assert left == ["2", "1", "0"]
    refused = ask(there)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert ask(there, "two").status_code == 200


def test_tokens_that_a_reply_did_not_use_are_given_back_there_too(replicas):
    here, there = replicas
    first, second = ask(here), ask(there)
    reserved = 1000 - int(first.headers["x-ratelimit-remaining-tokens"])
    used = int(first.headers["x-ratelimit-remaining-tokens"]) - int(second.headers["x-ratelimit-remaining-tokens"])
    assert 0 < used < reserved


def test_while_it_does_not_answer_requests_that_cost_something_are_refused_and_others_are_not(redis, replicas):
    here, _ = replicas
    assert ask(here).status_code == 200
    redis.stop()
    refused = ask(here)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert refused.json()["error"]["message"] == "budgets can't be counted: ConnectionError"
    assert here.get("/v1/models", headers={"authorization": "Bearer one"}).status_code == 200
