"""What is held is opened once, off the loop, and let go of when nobody has used it for a while."""

import asyncio
import threading
import time
from itertools import pairwise

import pytest

from services.swapping.held import Held, Turns


class Library:
    """Opens texts slowly, and remembers what it opened and closed."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.closed: list[str] = []

    def open(self, name: str) -> str:
        time.sleep(0.05)
        if name == "broken":
            raise ValueError("broken")
        self.opened.append(name)
        return name.upper()

    def held(self, *, idle_s: float = 0.0) -> Held[str]:
        return Held(self.open, idle_s=idle_s, close=self.closed.append)


def test_what_many_ask_for_at_once_is_opened_once():
    library = Library()

    async def ask() -> list[str]:
        held = library.held()
        return await asyncio.gather(*(held.get("a", "a") for _ in range(5)))

    assert asyncio.run(ask()) == ["A"] * 5
    assert library.opened == ["a"]


def test_who_asks_for_what_is_open_does_not_wait_for_what_is_being_opened():
    async def ask() -> bool:
        held = Library().held()
        held.add("old", "OLD")
        opening = asyncio.create_task(held.get("new", "new"))
        await asyncio.sleep(0)
        assert await held.get("old") == "OLD"
        waited = opening.done()
        await opening
        return waited

    assert asyncio.run(ask()) is False


def test_who_stops_waiting_does_not_stop_the_opening():
    async def ask() -> str:
        held = Library().held()
        first = asyncio.create_task(held.get("a", "a"))
        await asyncio.sleep(0)
        first.cancel()
        return await held.get("a", "a")

    assert asyncio.run(ask()) == "A"


def test_what_could_not_be_opened_is_tried_again():
    async def ask() -> None:
        held = Library().held()
        for _ in range(2):
            with pytest.raises(ValueError, match="broken"):
                await held.get("broken", "broken")
        assert "broken" not in held

    asyncio.run(ask())


def test_what_was_asked_for_last_stays_and_the_others_go_when_nobody_uses_them():
    library = Library()

    async def ask() -> None:
        held = library.held()
        async with held.using("old", "old"):
            await held.get("new", "new")
            assert held.last == ("new", "NEW")
            assert held.sweep() == 0, "somebody uses the old one"
        assert held.sweep() == 1
        assert held.sweep() == 0

    asyncio.run(ask())
    assert library.closed == ["OLD"]


def test_what_is_idle_stays_a_while():
    async def ask() -> int:
        held = Library().held(idle_s=60)
        await held.get("old", "old")
        await held.get("new", "new")
        return held.sweep()

    assert asyncio.run(ask()) == 0


def test_who_lets_go_and_asks_again_comes_after_who_waits():
    turns, order = Turns(), []

    def take(name: str) -> None:
        for _ in range(20):
            with turns:
                order.append(name)
                time.sleep(0.001)

    threads = [threading.Thread(target=take, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    both = order[order.index("b") : len(order) - order[::-1].index("a")]
    assert all(one != other for one, other in pairwise(both))
