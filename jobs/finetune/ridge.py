"""Least squares from pictures' features to what they show, with penalties that hold for what was never seen together.

An encoder's features come in bands: its last map, an earlier one that still sees colours, a palette. The widest knows
every combination of training by heart, and so outvotes the one that tells a colour wherever it stands. Each aim
therefore has a penalty for each band (banded ridge regression, Nunez-Elizalde, Huth and Gallant 2019), and those are
chosen on groups that were left out.

Shapes: M pictures, F feature width, K aims.
"""

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

PENALTIES = (0.03, 0.3, 3.0, 30.0)
"""What may be added to a feature's variance, which is 1."""
ONE_PENALTY = 0.1
"""Where all pictures are of one group, and none can be left out."""
FOLDS = 5


def banded_ridge(features: Tensor, aims: Tensor, *, bands: Sequence[int], groups: Sequence[str]) -> Tensor:
    """(M, F) and (M, K), both of mean 0 -> the map (F, K) in the dtype of `features`.

    `bands` are widths that sum to F. Of all combinations of penalties each aim takes the one of the least squared error
    on the groups of a fold that the fit was made without, over five folds.
    """
    inputs, outputs = features.double(), aims.double()
    folds = _folds(groups).to(features.device)
    tried = list(itertools.product(PENALTIES, repeat=len(bands)))
    if len(folds.unique()) < 2:
        return _solve(*_products(inputs, outputs), [ONE_PENALTY] * len(bands), bands).to(features.dtype)
    errors = inputs.new_zeros(len(tried), outputs.shape[1])
    for fold in folds.unique():
        kept, left = folds != fold, folds == fold
        means = inputs[kept].mean(dim=0), outputs[kept].mean(dim=0)
        gram, cross = _products(inputs[kept] - means[0], outputs[kept] - means[1])
        for number, penalties in enumerate(tried):
            map_ = _solve(gram, cross, penalties, bands)
            errors[number] += (outputs[left] - means[1] - (inputs[left] - means[0]) @ map_).square().sum(dim=0)
    chosen: defaultdict[int, list[int]] = defaultdict(list)
    for aim, number in enumerate(errors.argmin(dim=0).tolist()):
        chosen[number].append(aim)
    map_ = inputs.new_empty(inputs.shape[1], outputs.shape[1])
    gram, cross = _products(inputs, outputs)
    for number, places in chosen.items():
        map_[:, places] = _solve(gram, cross[:, places], tried[number], bands)
    return map_.to(features.dtype)


def _folds(groups: Sequence[str]) -> Tensor:
    """(M,): which fold a picture's group is of; groups are shared out in the order of their hashes."""
    order = sorted(set(groups), key=lambda group: hashlib.sha256(group.encode()).hexdigest())
    places = {group: place % FOLDS for place, group in enumerate(order)}
    return torch.tensor([places[group] for group in groups])


def _products(inputs: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Covariances, (F, F) and (F, K)."""
    return inputs.T @ inputs / len(inputs), inputs.T @ outputs / len(inputs)


def _solve(gram: Tensor, cross: Tensor, penalties: Sequence[float], bands: Sequence[int]) -> Tensor:
    added = torch.repeat_interleave(gram.new_tensor(penalties), torch.tensor(bands, device=gram.device))
    return torch.cholesky_solve(cross, torch.linalg.cholesky(gram + added.diag()))
