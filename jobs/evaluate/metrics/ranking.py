"""How well candidates are ranked by what each is worth.

Shapes: C candidates.
"""

import numpy as np


def ndcg(scores: np.ndarray, relevance: np.ndarray) -> float:
    """Normalised discounted cumulative gain, 0 to 1, over as many places as candidates are relevant (VisDial v1.0).

    `scores` (C,), `relevance` (C,) of 0 or more. Of candidates with one score the less relevant stands first. Raises
    ValueError where nothing is relevant.
    """
    scores, relevance = np.asarray(scores, dtype=np.float64), np.asarray(relevance, dtype=np.float64)
    places = int((relevance > 0).sum())
    if scores.shape != relevance.shape or not places:
        raise ValueError(f"expected scores {relevance.shape} and a relevant candidate, got {scores.shape}, {places}")
    discounts = np.log2(np.arange(places) + 2)
    ranked = relevance[np.lexsort((relevance, -scores))][:places]
    ideal = np.sort(relevance)[::-1][:places]
    return float((ranked / discounts).sum() / (ideal / discounts).sum())
