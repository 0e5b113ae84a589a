"""Runs commands one after another and, however this process is told to end, ends all that they started.

Knows nothing of the project. On Linux even daemons that detached themselves are found: this process adopts the orphans
below it. Elsewhere only the command's own process group is ended.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PR_SET_CHILD_SUBREAPER = 36
POLL_S = 0.2


class Stopped(Exception):
    """We were told to end, and everything that we started has ended."""


class Supervisor:
    """Starts commands in sessions of their own, so that each gets one clean SIGTERM instead of a terminal's Ctrl-C."""

    def __init__(self, *, grace_s: float = 30.0, settle_s: float = 5.0):
        """A command has `grace_s` to end after SIGTERM, and what it leaves behind `settle_s` more."""
        self.grace_s = grace_s
        self.settle_s = settle_s
        self.stopping = False
        self.parent_pid = os.getppid()
        self.parent_caught_sigint = _catches_sigint(self.parent_pid)
        for number in STOP_SIGNALS:
            signal.signal(number, self._on_signal)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def run(self, command: Sequence[str], *, env: Mapping[str, str] | None = None) -> int:
        """Run `command` to its end and return its exit code. Raises Stopped when we were told to end meanwhile."""
        child = subprocess.Popen(command, env=env, start_new_session=True)
        while child.poll() is None and not self.told_to_stop():
            time.sleep(POLL_S)
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(self.grace_s)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        _end_orphans(settle_s=self.settle_s)
        if self.told_to_stop():
            raise Stopped
        return child.returncode

    def told_to_stop(self) -> bool:
        """Whether a signal came, our parent is gone, or our parent got a Ctrl-C that was meant for both.

        GNU make passes SIGTERM on to its children, but a SIGINT sent to make alone only makes it drop its handler and
        wait for us.
        """
        parent_left = os.getppid() != self.parent_pid
        parent_interrupted = self.parent_caught_sigint and not _catches_sigint(self.parent_pid)
        return self.stopping or parent_left or parent_interrupted

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True


def _catches_sigint(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (signal.SIGINT - 1) & 1)


def _end_orphans(*, settle_s: float) -> None:
    """Give what a finished command left behind a moment to end by itself, then kill it."""
    deadline_s = time.monotonic() + settle_s
    while (orphans := _descendants(os.getpid())) and time.monotonic() < deadline_s:
        _reap()
        time.sleep(POLL_S)
    while orphans:
        for pid in orphans:
            _kill(pid)
        _reap()
        time.sleep(POLL_S)
        orphans = _descendants(os.getpid())


def _descendants(pid: int) -> list[int]:
    """Every process below `pid`, zombies included; none where there is no /proc."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, frontier = [], [pid]
    while frontier:
        below = children.get(frontier.pop(), [])
        found += below
        frontier += below
    return found


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    except ChildProcessError:
        return
