"""Which items a search brings: what a conversation says in words narrows it, and what it names exactly comes first.

Knows no pictures and no Ray. Filters that a client gives hold whatever comes of it; those that were only said hold as
far as items meet them together, the latest before earlier ones, so that no reply is empty for a word.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from fromage_model.errors import InvalidInput
from fromage_model.index import Condition, Hit, RetrievalIndex
from fromage_model.understanding import Reader
from services.products import Narrowing

Filters = Mapping[str, Condition]


@dataclass(frozen=True)
class Selection:
    """Items, best first. `filters`: what they were narrowed by; `unmet`: what was said too, with which none is left."""

    hits: list[Hit]
    filters: Filters
    unmet: Filters


class Selector:
    """Searches an index as a conversation asks for it."""

    def __init__(self, index: RetrievalIndex):
        self._index = index
        self.reader = Reader.of(index.items)

    def select(self, embedding: np.ndarray, *, top_k: int, narrowing: Narrowing) -> Selection:
        """The items nearest to a retrieval embedding (S,). Raises InvalidInput for filters of the client's that can't
        be used.
        """
        said = self.reader.read(narrowing.said)
        filters, unmet = self._met(narrowing.filters, said.filters, narrowing.exclude)
        named = said.first if narrowing.said else self.reader.named_items(narrowing.asked)
        hits: list[Hit] = []
        for first in (*(one for one in named if not filters.keys() & one.keys()), {}):
            if left := top_k - len(hits):
                taken = narrowing.exclude.union(hit.id for hit in hits)
                (found,) = self._index.search(embedding, top_k=left, exclude=taken, filter={**filters, **first} or None)
                hits += found
        least = -np.inf if narrowing.min_score is None else narrowing.min_score
        return Selection([hit for hit in hits if hit.score >= least], filters, unmet)

    def _met(self, given: Filters, said: Filters, exclude: Collection[str]) -> tuple[Filters, Filters]:
        """The filters given, with as many of those said as leave an item; and the others."""
        said = {
            column: condition
            for column, condition in said.items()
            if column not in given and self._fits(column, condition)
        }
        filters, unmet = dict(given), {}
        for column in reversed(said):
            held = {**filters, column: said[column]}
            if self._index.count(exclude=exclude, filter=held):
                filters = held
            else:
                unmet[column] = said[column]
        return {**given, **{column: filters[column] for column in said if column in filters}}, unmet

    def _fits(self, column: str, condition: Condition) -> bool:
        """Whether the catalogue can be searched by it: what an earlier reply brought may be of another catalogue."""
        try:
            self._index.filters.mask({column: condition})
        except InvalidInput:
            return False
        return True
