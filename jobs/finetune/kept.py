"""What the frozen LM makes of texts and says itself, kept between runs: one database for each LM, a row for each text.

A run that was stopped goes on where it was, and one with other settings or more items reads only what is new. Knows no
prompts: only keys and tensors.
"""

import logging
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from fromage_model.storage.artefacts import home
from fromage_model.storage.pretrained import locate_language_model

log = logging.getLogger(__name__)
KEYS_AT_ONCE = 500
WAIT_S = 60.0
"""How long a run waits for another one that writes."""
State = dict[str, Tensor]


class KeptStates:
    """Tensors by key in one file, which is made at the first write."""

    def __init__(self, path: Path):
        self.path = path

    @classmethod
    def of_language_model(cls, name: str) -> "KeptStates":
        """In FROMAGE_HOME, under the fingerprint of the LM's files."""
        return cls(home() / "states" / f"{locate_language_model(name).fingerprint[:16]}.sqlite")

    def of(self, keys: Sequence[str]) -> dict[str, State]:
        """Those that are kept. A file that can't be read counts as none, and is told: all can be made again."""
        found: dict[str, State] = {}
        if not self.path.is_file():
            return found
        try:
            with closing(self._open()) as database:
                for first in range(0, len(keys), KEYS_AT_ONCE):
                    some = list(keys[first : first + KEYS_AT_ONCE])
                    places = ", ".join("?" * len(some))
                    rows = database.execute(f"SELECT key, state FROM states WHERE key IN ({places})", some)
                    found |= {key: load(state) for key, state in rows}
        except (sqlite3.Error, SafetensorError) as error:
            log.warning("states kept in %s can't be read (%s): the texts are read again", self.path, error)
            return {}
        return found

    def keep(self, states: Mapping[str, State]) -> dict[str, State]:
        """Adds some -> what counts for their keys: what was there first.

        The same text read in another batch differs in its last bits. A run that takes what stands here, as every later
        one does, comes to what they come to. Where the file takes none, that is told, and the run goes on with its own.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            rows = [
                (key, save({name: tensor.contiguous() for name, tensor in one.items()})) for key, one in states.items()
            ]
            with closing(self._open()) as database, database:
                database.execute("CREATE TABLE IF NOT EXISTS states (key TEXT PRIMARY KEY, state BLOB NOT NULL)")
                database.executemany("INSERT OR IGNORE INTO states VALUES (?, ?)", rows)
        except (sqlite3.Error, OSError) as error:
            log.warning("states can't be kept in %s: %s", self.path, error)
        return dict(states) | self.of(list(states))

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=WAIT_S)
