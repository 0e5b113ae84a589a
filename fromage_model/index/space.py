"""One space of an index: its vectors, and which of them lie nearest to a query, by all or by faiss's candidates.

An index has one of what the LM asks for and, for hybrid search, one of sentences. Knows nothing of items.

Shapes: N rows, Q queries, S the space's width.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fromage_model.index.approximate import Approximate
from fromage_model.index.exact import Ranked, search_exactly
from fromage_model.index.info import Measured
from fromage_model.index.measure import search
from fromage_model.index.vectors import VectorRows

# Enough for a deviation to three digits, and a moment's work.
SAMPLE_ROWS = 1 << 14
LEAST_DEVIATION = 1e-6


@dataclass(frozen=True)
class Space:
    """`living` (N,) bool marks the vectors that are items' still."""

    vectors: VectorRows
    living: np.ndarray
    approximate: Approximate | None = None
    measured: Measured | None = None

    def of_items(self) -> np.ndarray:
        """(N, S) float32, those that are living, in their order; not to be written to."""
        return self.vectors.matrix() if self.living.all() else self.vectors.take(np.flatnonzero(self.living))

    def is_exact(self, possible: int) -> bool:
        """Whether a search that may find so many rows compares all of them."""
        measured = self.measured
        return self.approximate is None or measured is None or possible < measured.exact_below * len(self.vectors)

    def ranked(self, queries: np.ndarray, *, top_k: int, allowed: np.ndarray | None, possible: int) -> list[Ranked]:
        """By faiss where that is worth it; a query for which it finds too few is asked exactly."""
        if self.approximate is None or self.measured is None or self.is_exact(possible):
            return search_exactly(self.vectors, queries, top_k=top_k, allowed=allowed)
        effort = self.measured.effort
        found = search(self.approximate, self.vectors, queries, top_k=top_k, effort=effort, allowed=allowed)
        for number, ranked in enumerate(found):
            if len(ranked.rows) < top_k:
                (found[number],) = search_exactly(self.vectors, queries[[number]], top_k=top_k, allowed=allowed)
        return found

    def deviations(self, queries: np.ndarray) -> np.ndarray:
        """(Q, S) -> (Q,) float32: by how much the cosines of all items with a query differ from their mean."""
        variances = np.einsum("qs,st,qt->q", queries, self._covariance, queries)
        return np.sqrt(variances.clip(min=LEAST_DEVIATION**2))

    @cached_property
    def _covariance(self) -> np.ndarray:
        """(S, S): from it follow the cosines' deviations for any query, without a cosine being taken."""
        rows = np.flatnonzero(self.living)
        if len(rows) > SAMPLE_ROWS:
            rows = rows[np.linspace(0, len(rows) - 1, SAMPLE_ROWS).astype(np.int64)]
        vectors = self.vectors.take(rows)
        centred = vectors - vectors.mean(axis=0)
        return centred.T @ centred / len(rows)
