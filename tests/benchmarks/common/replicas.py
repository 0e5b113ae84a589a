"""The processes of services, told apart by the titles that Ray gives them. Linux only, as `memory` is."""

import re
from collections.abc import Iterator

import psutil

TITLE = re.compile(r"ray::ServeReplica:([^:]+):([a-z]+)")


def replicas(pid: int, *, app: str = "default") -> dict[str, list[psutil.Process]]:
    """Below the process `pid`: the replicas of each deployment."""
    found: dict[str, list[psutil.Process]] = {}
    for process, title in _titled(pid):
        match = TITLE.match(title)
        if match and match[1] == app:
            found.setdefault(match[2], []).append(process)
    return found


def resident_bytes(pid: int) -> dict[tuple[int, str], int]:
    """Of every process below `pid`, and its own: resident memory, by number and name."""
    return {(process.pid, _name(title)): process.memory_info().rss for process, title in _titled(pid)}


def _titled(pid: int) -> Iterator[tuple[psutil.Process, str]]:
    """Processes that end meanwhile are left out."""
    top = psutil.Process(pid)
    for process in (top, *top.children(recursive=True)):
        try:
            title = " ".join(process.cmdline()) if process.status() != psutil.STATUS_ZOMBIE else ""
        except psutil.Error:
            continue
        if title:
            yield process, title


def _name(title: str) -> str:
    """What a process does, without where its files lie: of a method that runs just now nothing is told."""
    if match := TITLE.match(title):
        return match[2]
    return title.split()[0].rpartition("/")[2].partition(".")[0]
