"""Memory of a piece of work in a process of its own, and of a tree of processes. Linux only: it reads /proc."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import psutil
from torch import nn

Prepare = Callable[..., Callable[[], Any]]


def peak_bytes(prepare: Prepare, *arguments: Any) -> int:
    """Resident memory that the work takes at its peak, above what the process held when it was prepared.

    `prepare(*arguments)`, a function of a module, runs in a new process and returns the work, which is then measured.
    """
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measure, prepare, arguments).result()


def touch(*modules: nn.Module) -> None:
    """Read every weight once: those of a mapped file take memory only then."""
    for module in modules:
        for parameter in module.parameters():
            parameter.detach().sum()


def _measure(prepare: Prepare, arguments: tuple[Any, ...]) -> int:
    work = prepare(*arguments)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = status_bytes("VmRSS")
    work()
    return status_bytes("VmHWM") - before


def status_bytes(name: str) -> int:
    """A line of /proc/self/status, such as VmRSS, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {name}")


def tree_bytes(root: int) -> int:
    """What a process and all below it hold at this moment, in bytes; a page that several share counts once (PSS)."""
    try:
        processes = [root, *(child.pid for child in psutil.Process(root).children(recursive=True))]
    except psutil.Error:  # it has just ended
        return 0
    return sum(_proportional_bytes(pid) for pid in processes)


def _proportional_bytes(pid: int) -> int:
    """0 for a process that has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
