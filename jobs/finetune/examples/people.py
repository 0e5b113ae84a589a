"""What people say to a shop of garments, by look, by need and turn by turn: messages written for training, no forms.

`looks.toml`, `needs.toml` and `turns.toml` say of each message, or of each conversation, which attributes a garment
must have that serves all of it: `asked`, an attribute and the values of which one will do.
"""

import random
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from jobs.finetune.examples.answering import Asked, Facts

Form = Literal["looks", "needs", "turns"]
FORMS: tuple[Form, ...] = ("looks", "needs", "turns")
ITEMS_OF_EACH = 2
"""So many of the garments that serve a message learn it: its states are read once for all of them."""


@dataclass(frozen=True)
class Told:
    """A person's messages, of one conversation, the last of which is to be answered; and what they ask for in all."""

    messages: tuple[str, ...]
    asked: Asked


@cache
def people(form: Form) -> tuple[Told, ...]:
    """All of a form: a sentence is a message by itself, but of `turns` each list is a conversation."""
    blocks = tomllib.loads(Path(__file__).with_name(f"{form}.toml").read_text())[form]
    found = []
    for block in blocks:
        asked = asked_of(block["asked"])
        found += [Told(tuple(said), asked) for said in ([block["said"]] if form == "turns" else zip(block["said"]))]
    return tuple(found)


def asked_of(values: Mapping[str, list[str]]) -> Asked:
    return tuple((name, frozenset(some)) for name, some in sorted(values.items()))


class People:
    """Who, among items of known attributes, serves what people say."""

    def __init__(self, facts: Facts):
        self._served = [(told, facts.meet(told.asked).nonzero()[0].tolist()) for form in FORMS for told in people(form)]
        self._told: dict[int, list[Told]] = {}
        for told, items in self._served:
            for item in items:
                self._told.setdefault(item, []).append(told)

    def of(self, item: int) -> list[Told]:
        """What people say whom this item serves."""
        return self._told.get(item, [])

    def each(self, draw: random.Random) -> list[tuple[int, Told]]:
        """Everything that some item serves, with a few of the items that do."""
        return [
            (item, told) for told, items in self._served for item in draw.sample(items, min(ITEMS_OF_EACH, len(items)))
        ]
