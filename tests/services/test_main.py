"""`python -m services` says when it is ready, ends all that it started, and refuses before Ray starts."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import httpx
import psutil
import pytest

from services.__main__ import Refused, check_port, wait_until_ready
from tests.conftest import free_port
from tests.lines import said, wrong
from tests.services.scripted_chat import ScriptedChat

PATIENCE_S = 240


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


def test_services_say_when_they_are_ready_and_end_all_that_they_started():
    port = free_port()
    with services("--port", str(port), "--no-dashboard") as process:
        assert line_that_starts("ready", process) == f"ready: http://127.0.0.1:{port}"
        assert httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=10).json()["status"] == "ok"
        started = psutil.Process(process.pid).children(recursive=True)
        assert len(started) > 5
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE_S) == 0
        assert process.stdout is not None
        assert wrong(process.stdout.read()) == []
        assert still_running(started) == []


def test_ctrl_c_while_starting_ends_all_that_was_started():
    with services("--port", str(free_port())) as process:
        assert line_that_starts("Ray's dashboard", process).startswith("Ray's dashboard: http://127.0.0.1:")
        started = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE_S) == 0
        assert still_running(started) == []


def test_index_of_another_bundle_ends_the_start_with_exit_code_2(stranger_index: str):
    refused = run("--port", str(free_port()), "--index", stranger_index)
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
