"""Peak memory of a piece of work in a process of its own. Linux only: it reads /proc."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

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
