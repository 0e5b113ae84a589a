"""What access is told when the app is made. Nothing in it is a secret: keys are hashes."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class AccessOptions:
    """`keys_file`, `keys`: see `keys`; `without_keys`: anyone is answered where there are none, from anywhere.

    `requests`, `tokens`, `pictures`: budgets as `limits` writes them, `60/minute; 1000/day`, for each key, or without
    keys for each client's address; an empty text is no bound. `storage`: where they are counted, a URI of `limits`.
    `origins`: web origins whose scripts may ask, as `https://shop.example`; `*` is any.
    """

    keys_file: Path | None = None
    keys: str = ""
    without_keys: bool = False
    requests: str = ""
    tokens: str = ""
    pictures: str = ""
    storage: str = "async+memory://"
    origins: tuple[str, ...] = ()

    @property
    def by_key(self) -> bool:
        return bool(self.keys_file or self.keys)
