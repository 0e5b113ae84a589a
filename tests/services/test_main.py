"""`python -m services` says when it is ready, what it does, ends all that it started, and refuses before Ray starts."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from services.__main__ import Refused, check_port, wait_until_ready
from tests.conftest import free_port
from tests.lines import said, wrong
from tests.services.scripted_chat import ScriptedChat
from tests.services.telemetry.collector import Collector

PATIENCE_S = 240
OPENMOJI = ("--bundle", "openmoji", "--index", "openmoji")
"""What `make test` prepares."""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


@contextmanager
def services(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "services", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def line_that_starts(start: str, process: subprocess.Popen[str]) -> str:
    """Every line before it has a date, and says nothing that is wrong."""
    assert process.stdout is not None
    for line in process.stdout:
        assert wrong(line) == []
        if said(line)[0].startswith(start):
            return said(line)[0]
    return "the output ended"


def still_running(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """Where services that start meanwhile send their traces."""
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
        yield collector


def check_trace_and_log(url: str, collector: Collector, logs: str) -> None:
    """A request goes on with its client's trace through every deployment, and each of them logs its id as JSON."""
    trace, span, id = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "traced-1"
    asked = {"messages": [{"role": "user", "content": "Hello"}], "retrieval": "always", "max_tokens": 4}
    headers = {"traceparent": f"00-{trace}-{span}-01", "x-request-id": id}
    httpx.post(f"{url}/v1/chat/completions", json=asked, headers=headers, timeout=PATIENCE_S).raise_for_status()
    stages = {"queue", "prefill", "decode", "retrieve"}
    of_serve = {"replica_handle_request llm stream", "replica_handle_request retrieval search"}
    found = collector.trace(trace, names={"POST /v1/chat/completions", *stages, *of_serve})
    request = found["POST /v1/chat/completions"]
    assert (request.parent, request.attributes["request_id"]) == (span, id)
    assert {found[stage].parent for stage in stages - {"retrieve"}} == {found["replica_handle_request llm stream"].id}
    assert found["retrieve"].parent == request.id
    for deployment in ("chat", "llm", "retrieval"):
        (file,) = Path(logs).glob(f"replica_default_{deployment}_*.log")
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        assert id in {line.get("request_id") for line in lines}


def end_beside_a_stream(url: str, process: subprocess.Popen[str]) -> None:
    """What is being written when we are told to end is written to its end."""
    asked = {"messages": [{"role": "user", "content": "Write a long story."}], "retrieval": "never", "max_tokens": 48}
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=asked | {"stream": True}, timeout=PATIENCE_S) as reply:
        lines = reply.iter_lines()
        next(lines)
        process.send_signal(signal.SIGTERM)
        assert [line for line in lines if line][-1] == "data: [DONE]"


def test_services_say_when_they_are_ready_and_what_they_do_and_end_all_that_they_started(collector: Collector):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    patient = ("--drain-timeout-s", str(PATIENCE_S))
    with services("--port", str(port), *OPENMOJI, "--no-dashboard", "--log-format", "json", *patient) as process:
        logs = line_that_starts("what the deployments log", process).partition(": ")[2]
        assert line_that_starts("ready", process) == f"ready: {url}"
        assert httpx.get(f"{url}/healthz", timeout=10).json()["status"] == "ok"
        check_trace_and_log(url, collector, logs)
        started = psutil.Process(process.pid).children(recursive=True)
        assert len(started) > 5
        end_beside_a_stream(url, process)
        assert process.wait(timeout=PATIENCE_S) == 0
        assert process.stdout is not None
        assert wrong(process.stdout.read()) == []
        assert still_running(started) == []


def test_ctrl_c_while_starting_ends_all_that_was_started():
    with services("--port", str(free_port()), *OPENMOJI) as process:
        assert line_that_starts("Ray's dashboard", process).startswith("Ray's dashboard: http://127.0.0.1:")
        started = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE_S) == 0
        assert still_running(started) == []


def test_index_of_another_bundle_ends_the_start_with_exit_code_2(stranger_index: str):
    refused = run("--port", str(free_port()), "--bundle", "openmoji", "--index", stranger_index)
    assert (refused.returncode, refused.stdout) == (2, "")
    (told,) = wrong(refused.stderr)
    assert "was not made by bundle" in told


def test_busy_port_is_refused_with_a_way_out():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Refused, match=f"port {port} on 127.0.0.1 is in use; choose another with --port"):
            check_port("127.0.0.1", port)


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    with ScriptedChat() as chat:
        wait_until_ready(chat.url, timeout_s=5)
