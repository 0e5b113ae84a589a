"""Who is at which shard: files by which it is known at what a process died. Knows nothing of stages."""

import json
from typing import Any

from jobs.common.durable.files import Files

# How their names begin.
CLAIM = "claim-"


class Claim:
    """A file that says that a stage is at a shard: what is there when a stage starts are the deaths before."""

    def __init__(self, files: Files, name: str, state: dict[str, Any]):
        self._files = files
        self._name = name
        self._state = state

    @classmethod
    def of(cls, files: Files, *, session: str, shard: int, position: int) -> "Claim":
        name = f"{CLAIM}{shard:06d}-{position}.json"
        found = json.loads(files.read(name) or b"{}")
        if found.get("session") != session:
            found = {"session": session, "starts": 0, "at": {}}
        return cls(files, name, found)

    @property
    def starts(self) -> int:
        return self._state["starts"]

    def start(self) -> None:
        self._state["starts"] += 1
        self._write()

    def deaths(self, row: int) -> int:
        return self._state["at"].get(str(row), 0)

    def take(self, row: int) -> None:
        self._state["at"][str(row)] = self.deaths(row) + 1
        self._write()

    def let_go(self, row: int) -> None:
        """The row is done with; written with the next one that is taken."""
        del self._state["at"][str(row)]

    def end(self) -> None:
        self._files.remove(self._name)

    def _write(self) -> None:
        self._files.write(self._name, json.dumps(self._state).encode(), sync=False)


def claims_in(files: Files) -> list[str]:
    """The names of those that nobody took back."""
    return [name for name in files.names() if name.startswith(CLAIM)]
