"""Which items answer a query that is made of an item's caption: itself, and its equals where a rule tells.

Two garments of the wardrobe are equal for a caption that asks nothing in which they differ. Knows no embeddings.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from fromage_model.catalogue import Item
from fromage_model.catalogue.wardrobe.choose import kinds
from fromage_model.catalogue.wardrobe.feed import SOURCE
from fromage_model.catalogue.wardrobe.look import data

LOOK = ("kind", "colour", "pattern")


def answered_by(queries: Sequence[Item], candidates: Sequence[Item]) -> np.ndarray:
    """(Q, C) bool: whether candidate c is what the caption of item q asks for."""
    ids = np.array([item.id for item in candidates], dtype=object)
    columns: dict[str, np.ndarray] = {}

    def equal(name: str, value: str) -> np.ndarray:
        if name not in columns:
            columns[name] = np.array([(item.attributes or {}).get(name) for item in candidates], dtype=object)
        return columns[name] == value

    found = np.zeros((len(queries), len(candidates)), dtype=bool)
    for row, item in enumerate(queries):
        found[row] = ids == item.id
        if item.source in RULES:
            asked = RULES[item.source](item.caption or "", item.attributes or {})
            found[row] |= np.logical_and.reduce([equal(name, value) for name, value in asked.items()])
    return found


def asked_of_wardrobe(caption: str, attributes: Mapping[str, str]) -> dict[str, str]:
    """Kind, colour, pattern, and of the cut what the caption says."""
    kind = kinds().get(attributes["kind"])
    said = [choice for choice in (kind["cut"] if kind else ()) if _tells(caption, choice, attributes.get(choice, ""))]
    return {name: attributes[name] for name in (*LOOK, *said)}


def _tells(caption: str, choice: str, option: str) -> bool:
    """Whether one of the words for an option stands in the caption, whatever fills their `{places}`."""
    wordings = data("cuts").get(choice, {}).get(option, {}).values()
    patterns = [re.sub(r"\\\{\w+\\\}", r"[\\w -]+", re.escape(wording)) for wording in wordings]
    return any(re.search(rf"(?<![\w-]){pattern}(?![\w-])", caption, re.IGNORECASE) for pattern in patterns)


# By the source that an item comes from: its caption and attributes -> those attributes that the caption asks for.
RULES = {SOURCE: asked_of_wardrobe}
