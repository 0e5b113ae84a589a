"""What all replicas of one application know of each other: which pair is served, and whether it is to end.

It lies in Ray's own store of small values, which outlives every replica. Nobody is told, each looks now and then.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

from ray.experimental import internal_kv

from services.swapping.pairs import Notice, Pair

NAMESPACE = "fromage"


@dataclass(frozen=True)
class Board:
    """`run`: names one application from its start to its end, so that nobody reads what an earlier one left."""

    run: str

    def read(self) -> Notice | None:
        found = self._get("pair")
        return None if found is None else Notice(**found | {"pair": Pair(**found["pair"])})

    def write(self, notice: Notice) -> None:
        self._put("pair", asdict(notice))

    def drain(self) -> None:
        """From now on every replica of the chat refuses what is new."""
        self._put("draining", True)

    @property
    def draining(self) -> bool:
        return self._get("draining") is not None

    def tell_ongoing(self, replica: str, requests: int) -> None:
        """How many requests a replica that drains still answers."""
        self._put(f"ongoing/{replica}", requests)

    def ongoing(self) -> list[int]:
        """Of each replica that has told it."""
        prefix = self._key("ongoing/")
        keys = internal_kv._internal_kv_list(prefix, namespace=NAMESPACE.encode())
        told = [internal_kv._internal_kv_get(key, namespace=NAMESPACE.encode()) for key in keys]
        return [json.loads(value) for value in told if value is not None]

    def _get(self, name: str) -> Any:
        value = internal_kv._internal_kv_get(self._key(name), namespace=NAMESPACE.encode())
        return None if value is None else json.loads(value)

    def _put(self, name: str, value: Any) -> None:
        internal_kv._internal_kv_put(
            self._key(name), json.dumps(value).encode(), overwrite=True, namespace=NAMESPACE.encode()
        )

    def _key(self, name: str) -> bytes:
        return f"{self.run}/{name}".encode()
