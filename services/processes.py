"""How the process is told to end, and how all that it started ends with it. Knows nothing of Ray or of chats."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import psutil

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """We were told to end. Not an Exception, so that nothing on the way takes it for a failure."""


class StopSignals:
    """SIGINT, SIGTERM and SIGHUP raise Stopped in the main thread.

    Compiled code may turn that into an exception of its own; `told` says what it was. A library may set handlers too:
    `catch` can be called again.
    """

    def __init__(self) -> None:
        self.told = False

    def catch(self) -> None:
        for number in STOP_SIGNALS:
            signal.signal(number, self._stop)

    def ignore(self) -> None:
        """From here on the ending is under way; a second Ctrl-C would only leave processes behind."""
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.told = True
        raise Stopped


@contextmanager
def ended_with_us(*, grace_s: float) -> Iterator[None]:
    """For a block that ends its child processes: whatever still runs `grace_s` seconds later is killed.

    The children are looked up before the block, because the orphan of a child that ends is nobody's child.
    """
    before = psutil.Process().children(recursive=True)
    try:
        yield
    finally:
        _, alive = psutil.wait_procs(before, timeout=grace_s)
        for process in alive:
            _kill(process)
        psutil.wait_procs(alive, timeout=grace_s)


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return
