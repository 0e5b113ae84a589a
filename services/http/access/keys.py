"""API keys as they are kept: a name, a hash and scopes, in a file that may change while we serve, or in a variable.

A line is `NAME:SHA256:SCOPES`, the scopes joined by `+`. A key is 256 random bits, so that a plain hash of it can't be
guessed back. Knows nothing of HTTP.
"""

import hashlib
import hmac
import logging
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from fromage_model.errors import InvalidInput

log = logging.getLogger("ray.serve")

Scope = Literal["chat", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
NAME = re.compile(r"[A-Za-z0-9][\w.@-]{0,63}", re.ASCII)
DIGEST = re.compile(r"[0-9a-f]{64}")
PREFIX = "fk-"
KEY_BYTES = 32
LONGEST_KEY = 256
FORM = "NAME:SHA256:SCOPES, as `python -m services.keys` writes it"


@dataclass(frozen=True)
class StoredKey:
    """A key as it is kept. `digest`: the SHA-256 of it, in hexadecimal digits."""

    name: str
    digest: str
    scopes: frozenset[Scope]

    def line(self) -> str:
        return f"{self.name}:{self.digest}:{'+'.join(scope for scope in SCOPES if scope in self.scopes)}"


def new_key() -> str:
    return PREFIX + secrets.token_urlsafe(KEY_BYTES)


def digest_of(key: str) -> str:
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def read_line(line: str) -> StoredKey:
    """Raises InvalidInput without repeating the line, which may be a key that somebody pasted."""
    name, _, rest = line.partition(":")
    digest, _, scopes = rest.partition(":")
    given = frozenset(scope for scope in SCOPES if scope in scopes.split("+"))
    if not NAME.fullmatch(name) or not DIGEST.fullmatch(digest) or len(given) != len(scopes.split("+")):
        raise InvalidInput(f"expected {FORM}")
    return StoredKey(name, digest, given)


def read_keys(text: str, *, where: str) -> list[StoredKey]:
    """The keys of a file's or a variable's text. Raises InvalidInput that names the line, or a name given twice."""
    keys: dict[str, StoredKey] = {}
    for number, line in _lines(text):
        try:
            key = read_line(line)
        except InvalidInput as error:
            raise InvalidInput(f"{where}, line {number}: {error}") from error
        if key.name in keys:
            raise InvalidInput(f"{where}, line {number}: there is a key {key.name!r} already; names differ")
        keys[key.name] = key
    return list(keys.values())


class KeyBook:
    """The keys that hold at this moment. `given`: those of the environment, which hold as long as the process.

    `file` is read again whenever it has changed, which costs a `stat` for each question. A file that is gone holds no
    keys, and one that can't be read as a whole lets nobody in by it: who revokes a key must be able to rely on it.
    """

    def __init__(self, *, given: str = "", file: Path | None = None):
        self._given = read_keys(given, where="FROMAGE_KEYS")
        self._file = file
        self._seen: object = None
        self._from_file: list[StoredKey] = []

    def find(self, key: str) -> StoredKey | None:
        """The entry of `key`. Every entry is compared, in constant time each, so that time tells nothing."""
        if not 0 < len(key) <= LONGEST_KEY:
            return None
        digest = digest_of(key)
        found = None
        for stored in self.all():
            if hmac.compare_digest(stored.digest, digest):
                found = stored
        return found

    def all(self) -> list[StoredKey]:
        self._look()
        return [*self._given, *self._from_file]

    def _look(self) -> None:
        if self._file is None:
            return
        try:
            status = self._file.stat()
            seen: object = (status.st_mtime_ns, status.st_size, status.st_ino)
        except OSError as error:
            seen = type(error)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._from_file = read_keys(self._file.read_text(), where=str(self._file))
        except (OSError, UnicodeDecodeError, InvalidInput) as error:
            self._from_file = []
            log.error("no key of the keys file holds until it can be read: %s", error)


def write_keys(file: Path, keys: Iterable[StoredKey]) -> None:
    """In one step, so that no server reads the half of it; for its owner alone."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    beside.touch(mode=0o600)
    beside.write_text("".join(f"{key.line()}\n" for key in keys))
    beside.replace(file)


def _lines(text: str) -> list[tuple[int, str]]:
    """Numbered from 1, without comments; in a variable, spaces or commas divide them too."""
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if not line.lstrip().startswith("#")]
    return [(number, part) for number, line in lines for part in re.split(r"[\s,]+", line) if part]
