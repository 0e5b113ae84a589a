"""The supervisor is run as it is in use: as a child of another process, with real signals and real daemons."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# The command notes its own pid and that of a daemon that left its session, then waits for ever.
COMMAND = """
import os, subprocess, sys, time
daemon = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
open("{pids}.partial", "w").write(f"{{os.getpid()}} {{daemon.pid}}")
os.rename("{pids}.partial", "{pids}")
time.sleep({seconds})
"""
SUPERVISE = """
import sys
from scripts.supervise import Stopped, Supervisor
try:
    sys.exit(Supervisor(grace_s=5, settle_s=0.3).run([sys.executable, "-c", sys.argv[1]]))
except Stopped:
    sys.exit(130)
"""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux only")


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition, *, timeout_s: float = 20.0):
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "waited too long"
        time.sleep(0.05)


def start(arguments: list[str], pids: Path) -> tuple[subprocess.Popen, list[int]]:
    process = subprocess.Popen(arguments, cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL)
    wait_for(pids.exists)
    return process, [int(pid) for pid in pids.read_text().split()]


@pytest.fixture
def supervised(tmp_path):
    command = COMMAND.format(pids=tmp_path / "pids", seconds=600)
    return [sys.executable, "-c", SUPERVISE, command], tmp_path / "pids"


@pytest.fixture
def makefile(tmp_path, supervised):
    """A make whose recipe becomes the supervisor, as in `make demo`."""
    arguments, pids = supervised
    (tmp_path / "supervise.py").write_text(arguments[2])
    (tmp_path / "command.py").write_text(arguments[3])
    recipe = f'@cd {ROOT} && exec {sys.executable} -c "$$(cat {tmp_path}/supervise.py)" "$$(cat {tmp_path}/command.py)"'
    (tmp_path / "Makefile").write_text(f"demo:\n\t{recipe}\n")
    return ["make", "-f", str(tmp_path / "Makefile"), "demo"], pids


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_and_the_daemons_it_left(supervised, number):
    process, pids = start(*supervised)
    process.send_signal(number)
    assert process.wait(20) == 130
    assert not any(is_running(pid) for pid in pids)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("whole_group", [True, False], ids=["to the group", "to make alone"])
def test_a_signal_to_make_ends_everything(makefile, number, whole_group):
    process, pids = start(*makefile)
    if whole_group and number != signal.SIGKILL:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    process.wait(20)
    wait_for(lambda: not any(is_running(pid) for pid in pids))


def test_a_command_that_ends_by_itself_leaves_no_daemon_and_its_exit_code(tmp_path):
    command = COMMAND.format(pids=tmp_path / "pids", seconds=0) + "sys.exit(7)"
    process, pids = start([sys.executable, "-c", SUPERVISE, command], tmp_path / "pids")
    assert process.wait(20) == 7
    assert not any(is_running(pid) for pid in pids)


def test_a_background_shell_that_ignores_ctrl_c_does_not_make_the_supervisor_deaf(supervised):
    arguments, pids = supervised
    shell = ["bash", "-c", 'trap "" INT; "$@"; exit $?', "bash", *arguments]
    process, started = start(shell, pids)
    supervisor = int(subprocess.check_output(["pgrep", "-P", str(process.pid)], text=True))
    os.kill(supervisor, signal.SIGINT)
    assert process.wait(20) == 130
    assert not any(is_running(pid) for pid in started)
