"""Which items a search brings: what a conversation says in words narrows it, and what it names exactly comes first.

Knows no pictures and no Ray. Filters that a client gives hold whatever comes of it; those that were only said hold as
far as items meet them together, the latest before earlier ones, so that no reply is empty for a word, or of another
kind of things than was asked for.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fromage_model.errors import InvalidInput
from fromage_model.index import DEFAULT_TEXT_WEIGHT, Condition, Hit, RetrievalIndex
from fromage_model.language.sentences import SentenceEncoder
from fromage_model.understanding import Reader
from fromage_model.understanding.wanted import Cells, left_by
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

    def __init__(
        self,
        index: RetrievalIndex,
        sentences: SentenceEncoder | None = None,
        *,
        text_weight: float = DEFAULT_TEXT_WEIGHT,
    ):
        """`sentences` is the encoder that the index was made for hybrid search with; without it, or without words,
        the embedding alone decides. `text_weight` is what words count where a request does not say.
        """
        self._index = index
        self._sentences = sentences
        self._text_weight = text_weight
        self.reader = Reader.of(index.items)

    def check(self, narrowing: Narrowing) -> None:
        """Raises InvalidInput for filters, or a weight of words, that this index can't be searched by."""
        self._index.filters.mask(narrowing.filters)
        if narrowing.text_weight and self._sentences is None:
            raise InvalidInput(
                "words are not compared here: the index was not made with --hybrid, or the server leaves that out; "
                "only 0 is possible",
                field="text_weight",
            )

    def select(self, embedding: np.ndarray, *, top_k: int, narrowing: Narrowing) -> Selection:
        """The items nearest to a retrieval embedding (S,). Raises InvalidInput for filters of the client's that can't
        be used.
        """
        said = self.reader.read(narrowing.said)
        filters, unmet = self._met(narrowing.filters, said.filters, narrowing.exclude, kind=said.kind)
        named = said.first if narrowing.said else self.reader.named_items(narrowing.asked)
        words = self._words(narrowing)
        preferred = [kept for cells in said.preferred if (kept := left_by(filters, cells))]
        hits: list[Hit] = []
        for first in (*(one for one in named if not filters.keys() & one.keys()), {}):
            if left := top_k - len(hits):
                taken = narrowing.exclude.union(hit.id for hit in hits)
                only = {**filters, **first} or None
                (found,) = self._index.search(
                    embedding,
                    top_k=left,
                    exclude=taken,
                    filter=only,
                    preferred=preferred,
                    demoted=narrowing.shown,
                    near=said.topic,
                    **words,
                )
                hits += found
        least = -np.inf if narrowing.min_score is None else narrowing.min_score
        return Selection([hit for hit in hits if hit.score >= least], filters, unmet)

    def _words(self, narrowing: Narrowing) -> dict[str, Any]:
        """What the index is told of them: nothing where they have no part."""
        weight = self._text_weight if narrowing.text_weight is None else narrowing.text_weight
        if self._sentences is None or not weight or not narrowing.words:
            return {}
        return {"texts": self._sentences([narrowing.words]), "text_weight": weight}

    def _met(self, given: Filters, said: Filters, exclude: Collection[str], *, kind: Cells) -> tuple[Filters, Filters]:
        """The filters given, with as many of those said as leave an item, of the kind that is wanted where one of that
        is left at all; and the others.
        """
        said = {
            column: condition
            for column, condition in said.items()
            if column not in given and self._fits(column, condition)
        }
        filters = self._index.met(said, given=given, exclude=exclude, kind=kind)
        return filters, {column: said[column] for column in said if column not in filters}

    def _fits(self, column: str, condition: Condition) -> bool:
        """Whether the catalogue can be searched by it: what an earlier reply brought may be of another catalogue."""
        try:
            self._index.filters.mask({column: condition})
        except InvalidInput:
            return False
        return True
