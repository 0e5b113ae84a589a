"""A visual map as a product of two: features -> how much of each word -> prefix. Knows no step and no optimizer.

The second alone is trained. It has some hundred inputs where features are a thousand, and so learns in hundreds of
steps; in the end the product is the map.

Shapes: M pictures, F feature width, V words, K numbers of a prefix.
"""

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fromage_model.model.projections import Standardise
from jobs.finetune.ridge import banded_ridge

MOST_WORDS = 1024
"""That stand for pictures: the most frequent ones."""
SHARED_RATE = 4.0
"""How many times as fast as the words' own parts the offset learns that all pictures share: how a text begins and ends.
Words that leave the LM's rows as fast are understood only beside words that they stood with in training."""
LEAST_PENALTY = 1e-3
"""Added to how much of each word there is, so that words which always come together can be told."""


@torch.no_grad()
def through_words(
    features: Tensor, told: Sequence[Sequence[str]], targets: Tensor, *, bands: Sequence[int]
) -> tuple[nn.Linear, nn.Linear]:
    """(M, F) features, each picture's words and (M, K) what its prefix should be -> F to V, frozen, and V to K.

    Pictures that are told in the same words are of one group, so that a word is found by what tells it beside other
    words too. `bands` are as in `banded_ridge`. A feature that hardly stirs in training has no weight to speak of.
    """
    words = _said(told).to(features.device)
    standardise = Standardise(features.shape[1]).to(features.device)
    standardise.fit(features)
    mean, std = standardise.mean, standardise.std
    groups = [" ".join(some) for some in told]
    solved = banded_ridge(standardise(features), words - words.mean(dim=0), bands=bands, groups=groups) / std[:, None]
    first = nn.Linear(features.shape[1], words.shape[1], device=features.device)
    second = nn.Linear(words.shape[1], targets.shape[1], device=features.device)
    first.weight.copy_(solved.T)
    first.bias.copy_(-mean @ solved)
    middle, shown = targets.mean(dim=0), first(features)
    gram = shown.T @ shown + LEAST_PENALTY * len(shown) * torch.eye(shown.shape[1], device=shown.device)
    second.weight.copy_(torch.linalg.solve(gram, shown.T @ (targets - middle)).T)
    second.bias.copy_(middle)
    return first.requires_grad_(False), second


@torch.no_grad()
def fold(first: nn.Linear, second: nn.Linear, whole: nn.Linear) -> None:
    """Make `whole` what the two are, one after the other."""
    whole.weight.copy_(second.weight @ first.weight)
    whole.bias.copy_(second.weight @ first.bias + second.bias)


def _said(told: Sequence[Sequence[str]]) -> Tensor:
    """(M, V): which of the most frequent words each picture is told in."""
    counts = Counter(word for words in told for word in dict.fromkeys(words))
    places = {word: place for place, (word, _) in enumerate(counts.most_common(MOST_WORDS))}
    found = torch.zeros(len(told), len(places))
    for row, words in enumerate(told):
        found[row, [places[word] for word in words if word in places]] = 1.0
    return found
