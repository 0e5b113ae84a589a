"""Which items have what a text asks for: a shop of known attributes tells, so that equals are not punished. Knows no
wording.

Shapes: N items, B batch.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from fromage_model.catalogue import Item
from fromage_model.catalogue.annotations import ANNOTATIONS

Asked = tuple[tuple[str, frozenset[str]], ...]
"""Attributes, each with the values of which an item must have one; empty where a text asks for its own item alone."""

TOLD_IN_WORDS = frozenset(
    {"title", "description", "tags", "price", "currency", "held_out_by", "openmoji_tags", "keywords", *ANNOTATIONS}
)
"""Attributes that are sentences, names or numbers: nothing that two items have in common."""


def facts_of(item: Item) -> dict[str, frozenset[str]]:
    """Each attribute's values; several stand with commas between them."""
    told = {name: text for name, text in item.attributes.items() if name not in TOLD_IN_WORDS}
    told |= {"brand": item.brand} if item.brand else {}
    return {name: frozenset(value.strip() for value in text.split(",")) for name, text in told.items()}


class Facts:
    """What each item has, and who has what is asked for."""

    def __init__(self, items: Sequence[Item]):
        self.of = [facts_of(item) for item in items]
        self._holds = lru_cache(maxsize=4096)(self._look)

    def meet(self, asked: Asked) -> np.ndarray:
        """(N,) bool"""
        found = np.ones(len(self.of), dtype=bool)
        for name, values in asked:
            found &= self._holds(name, values)
        return found

    def pairs(self, asked: Sequence[Asked], items: Sequence[int]) -> Tensor:
        """(B, B) float32: 1 where the text of a row asks for what the item of a column has; 0 for what asks nothing."""
        chosen = np.asarray(items)
        rows = [self.meet(one)[chosen] if one else np.zeros(len(chosen), dtype=bool) for one in asked]
        return torch.from_numpy(np.stack(rows).astype(np.float32))

    def _look(self, name: str, values: frozenset[str]) -> np.ndarray:
        return np.array([not values.isdisjoint(facts.get(name, ())) for facts in self.of], dtype=bool)


def asks(facts: Mapping[str, str]) -> Asked:
    """`{"kind": "dress"}` -> what asks for exactly that, in the order of names."""
    return tuple((name, frozenset({value})) for name, value in sorted(facts.items()))
