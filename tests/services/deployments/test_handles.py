"""The chat deployment on Ray Serve, with peers of the models: what Ray adds must not be seen by a client."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import httpx
import pytest
from ray import serve
from ray.exceptions import ActorDiedError, RayTaskError
from ray.serve.exceptions import BackPressureError

from fromage_model.errors import ImageError, InvalidInput
from fromage_model.prompts.messages import Event, Finished, Message, RetrievalMode, Sampling, TextDelta
from services.deployments.chat import ChatDeployment
from services.deployments.handles import translated
from services.errors import Overloaded, Unavailable
from services.http.options import HttpOptions
from services.swapping.board import Board
from services.swapping.pairs import Pair
from tests.services.peers import PAIR, PictureReader, ScriptedLlm, Shelf

TOKENS = 1000
TOKEN_S = 0.02
PATIENCE_S = 10.0


@serve.deployment(name="peer-llm", max_ongoing_requests=1, max_queued_requests=1)
class PeerLlm:
    """Writes for twenty seconds, one reply at a time, and keeps a diary; other messages than `write` end sooner."""

    def __init__(self, diary: str):
        self.diary = Path(diary)

    async def stream(
        self, messages: Sequence[Message], *, retrieval: RetrievalMode, sampling: Sampling, pair: Pair | None = None
    ) -> AsyncIterator[list[Event]]:
        scripts: dict[str, Sequence[Event | Exception]] = {
            "write": [TextDelta("word ")] * TOKENS,
            "greet": [TextDelta("Hi"), Finished("stop", 1, 1)],
            "break": [RuntimeError("a secret of the replica")],
            "break later": [TextDelta("Hi"), RuntimeError("a secret of the replica")],
            "refuse": [InvalidInput("too odd", field="messages")],
        }
        llm = ScriptedLlm(scripts[messages[0].text], delay_s=TOKEN_S)
        self.note("began")
        try:
            async for event in llm.stream(messages, retrieval=retrieval, sampling=sampling):
                yield [event]
        except (asyncio.CancelledError, GeneratorExit):
            self.note("cancelled")
            raise

    def note(self, line: str) -> None:
        with self.diary.open("a") as diary:
            diary.write(f"{line}\n")


class App:
    """Where the app is served, and what its LM noted."""

    def __init__(self, url: str, diary: Path):
        self.url = url
        self._diary = diary

    def chat(self, text: str, *, stream: bool = False) -> httpx.Response:
        return httpx.post(f"{self.url}/v1/chat/completions", json=self.body(text, stream=stream), timeout=PATIENCE_S)

    async def write(self, *, stream: bool = False) -> int:
        """Ask for a reply of twenty seconds; a cancelled call is a client that leaves."""
        body = self.body("write", stream=stream)
        async with httpx.AsyncClient(base_url=self.url, timeout=2 * PATIENCE_S) as client:
            return (await client.post("/v1/chat/completions", json=body)).status_code

    @staticmethod
    def body(text: str, *, stream: bool) -> dict:
        return {"messages": [{"role": "user", "content": text}], "stream": stream}

    def noted(self, line: str) -> int:
        return self._diary.read_text().split("\n").count(line) if self._diary.exists() else 0


@pytest.fixture(scope="module")
def app(http_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    diary = tmp_path_factory.mktemp("peer") / "diary"
    small = {"ray_actor_options": {"num_cpus": 0.1}}
    parts = (
        serve.deployment(PictureReader, name="peer-encoder", **small).bind(),
        PeerLlm.options(**small).bind(str(diary)),
        serve.deployment(Shelf, name="peer-shelf", **small).bind(),
    )
    options = HttpOptions(answer_request_id=False)
    chat = ChatDeployment.options(**small).bind(
        *parts, pair=PAIR, board=Board("peers"), options=options, reply_timeout_s=60.0
    )
    serve.run(chat, name="peers", route_prefix="/peers")
    yield App(f"http://127.0.0.1:{http_port}/peers", diary)
    serve.delete("peers")


async def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("stream", [False, True])
def test_client_that_leaves_stops_the_writing(app: App, stream: bool):
    async def leave() -> None:
        began, cancelled = app.noted("began"), app.noted("cancelled")
        client = asyncio.create_task(app.write(stream=stream))
        await until(lambda: app.noted("began") > began)
        await asyncio.sleep(5 * TOKEN_S)
        client.cancel()
        await until(lambda: app.noted("cancelled") > cancelled)

    asyncio.run(leave())
    assert app.chat("greet").status_code == 200, "the place in the queue is free again"


def test_chat_before_a_full_queue_is_refused_at_once(app: App):
    async def crowd() -> httpx.Response:
        began, cancelled = app.noted("began"), app.noted("cancelled")
        writing = asyncio.create_task(app.write())
        await until(lambda: app.noted("began") > began)
        waiting = asyncio.create_task(app.write())
        await asyncio.sleep(1.0)
        refused = await asyncio.to_thread(app.chat, "greet")
        waiting.cancel()
        writing.cancel()
        await until(lambda: app.noted("cancelled") > cancelled)
        return refused

    refused = asyncio.run(crowd())
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
    assert int(refused.headers["retry-after"]) >= 1


@pytest.mark.parametrize("stream", [False, True])
def test_refusal_of_the_model_is_told_with_its_field(app: App, stream: bool):
    response = app.chat("refuse", stream=stream)
    error = response.json()["error"]
    assert (response.status_code, error["message"], error["param"]) == (400, "too odd", "messages")


@pytest.mark.parametrize(("text", "stream"), [("break", False), ("break", True), ("break later", False)])
def test_bug_in_a_replica_is_told_by_the_request_id_alone(app: App, text: str, stream: bool):
    response = app.chat(text, stream=stream)
    assert response.status_code == 500
    assert response.json()["error"]["message"] == f"internal error, request id {response.headers['x-request-id']}"


def test_bug_in_mid_stream_is_an_event_and_then_done(app: App):
    response = app.chat("break later", stream=True)
    assert response.status_code == 200
    assert "internal error, request id" in response.text
    assert "secret" not in response.text
    assert response.text.endswith("data: [DONE]\n\n")


def test_response_has_one_request_id(app: App):
    assert len(app.chat("greet").headers.get_list("x-request-id")) == 1


@pytest.mark.parametrize(
    ("raised", "meant"),
    [
        (BackPressureError(16, 16), Overloaded),
        (RayTaskError("stream", "traceback", ImageError("x", field="f")).as_instanceof_cause(), ImageError),
        (RayTaskError("stream", "traceback", KeyError("x")).as_instanceof_cause(), RayTaskError),
        (ActorDiedError(), Unavailable),
        (ValueError("a bug here"), ValueError),
    ],
)
def test_what_ray_raises_is_told_apart(raised: Exception, meant: type[Exception]):
    assert isinstance(translated(raised), meant)
