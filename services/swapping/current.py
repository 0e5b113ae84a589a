"""Which pair new requests are given: swapped for another once that was found good and opened. Knows nothing of Ray.

Several replicas agree by a board that all of them read: who swaps notes it there, and the others follow.
"""

import asyncio
import logging
from typing import Any, Protocol

from pydantic import ValidationError

from fromage_model.errors import FingerprintMismatch, FromageError
from services.errors import Overloaded, PairRefused, Unavailable
from services.products import ShelfInfo
from services.swapping.pairs import Notice, Pair, Wanted, digest

log = logging.getLogger("ray.serve")
FOLLOW_S = 0.5
"""Seconds between two looks at the board."""


class Parts(Protocol):
    """The LM and retrieval, which alone know what lies where they are."""

    async def find(self, wanted: Wanted) -> Pair:
        """Reads small files alone. Raises MissingArtefact, BundleError, RetrievalIndexError, FingerprintMismatch."""

    async def open(self, pair: Pair) -> ShelfInfo:
        """Opens the pair in both -> what there is to find. Raises what that raises."""


class Board(Protocol):
    """Its methods may take a while; see `services.swapping.board`."""

    def read(self) -> Notice | None: ...

    def write(self, notice: Notice) -> None: ...

    @property
    def draining(self) -> bool: ...

    def tell_ongoing(self, replica: str, requests: int) -> None: ...


class Swapping:
    """The pair of one replica of the chat. `shelf`: what can be found, once the pair is open; `refused`: why the
    configuration's own pair is not the one that is served.

    `ongoing` counts the requests that are being answered, `draining` says that no new one is to be.
    """

    def __init__(self, first: Pair, parts: Parts, board: Board, *, replica: str = ""):
        self.pair = first
        self.shelf: ShelfInfo | None = None
        self.refused: str | None = None
        self.draining = False
        self.ongoing = 0
        self._parts, self._board, self._replica = parts, board, replica
        self._over: str | None = None
        self._lock = asyncio.Lock()

    async def begin(self, config: dict[str, Any]) -> None:
        """The first pair of a replica: what the board has for this configuration, or else the configuration's own.

        Raises PairRefused: without any pair there is nothing to go on with.
        """
        self._over = digest(config)
        noted = await asyncio.to_thread(self._board.read)
        if noted is not None and noted.over == self._over:
            await self._take(noted.pair)
            self.refused = noted.refused
            return
        await self._swap(_wanted(config))

    async def configure(self, config: dict[str, Any]) -> None:
        """Another configuration. Where its pair is refused, the log says so, `refused` too, and the old one goes on."""
        self._over = digest(config)
        try:
            await self._swap(_wanted(config))
        except (PairRefused, Overloaded, Unavailable) as error:
            log.error("%s", error)
            self.refused = str(error)
            await asyncio.to_thread(self._board.write, Notice(self._over, self.pair, self.refused))

    async def reload(self, wanted: Wanted) -> Pair:
        """Swap for this pair, here and in all other replicas -> the pair. Raises PairRefused; the old one goes on."""
        await self._swap(wanted)
        return self.pair

    async def follow(self) -> None:
        """Look at the board for ever."""
        while True:
            await asyncio.sleep(FOLLOW_S)
            try:
                await self.look()
            except Exception as error:  # the store does not answer, or the LM starts again: the next look may do
                log.warning("the board was not followed: %s", error)

    async def look(self) -> None:
        """Do as the board says, once."""
        self.draining = await asyncio.to_thread(lambda: self._board.draining)
        if self.draining:
            await asyncio.to_thread(self._board.tell_ongoing, self._replica, self.ongoing)
        noted = await asyncio.to_thread(self._board.read)
        if noted is not None and noted.over == self._over and noted.pair.id != self.pair.id:
            async with self._lock:
                await self._take(noted.pair)
                self.refused = noted.refused

    async def _swap(self, wanted: Wanted) -> None:
        async with self._lock:
            pair = await self._read(wanted)
            if pair.id != self.pair.id or self.shelf is None:
                await self._try(pair)
            self.refused = None
            await asyncio.to_thread(self._board.write, Notice(self._over, pair))

    async def _read(self, wanted: Wanted) -> Pair:
        try:
            pair = await self._parts.find(wanted)
        except (Overloaded, Unavailable):
            raise
        except FromageError as error:
            raise self._refusal(error) from error
        if pair.encoder != self.pair.encoder:
            what = (
                f"bundle {pair.bundle!r} has another vision encoder than the one that runs, and needs a new deployment"
            )
            raise self._refusal(FingerprintMismatch(what, expected=self.pair.encoder, found=pair.encoder))
        return pair

    async def _try(self, pair: Pair) -> None:
        try:
            await self._take(pair)
        except (Overloaded, Unavailable):
            raise
        except FromageError as error:
            raise self._refusal(error) from error
        except Exception as error:
            log.exception("pair %s could not be opened", pair.id)
            told = RuntimeError(f"it could not be opened ({type(error).__name__}; the log says more)")
            raise self._refusal(told) from error

    async def _take(self, pair: Pair) -> None:
        self.shelf = await self._parts.open(pair)
        if pair.id != self.pair.id:
            log.info("from now on pair %s: bundle %s, index %s", pair.id, pair.bundle, pair.index)
        self.pair = pair

    def _refusal(self, error: Exception) -> PairRefused:
        if self.shelf is None:
            return PairRefused(str(error))
        pair = self.pair
        return PairRefused(f"{error}. The old pair goes on: bundle {pair.bundle!r}, index {pair.index!r}")


def _wanted(config: dict[str, Any]) -> Wanted:
    try:
        return Wanted.model_validate(config)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(map(str, first["loc"]))
        raise PairRefused(
            f"user_config.{name}: {first['msg'].lower()}; known are {', '.join(Wanted.model_fields)}"
        ) from error
