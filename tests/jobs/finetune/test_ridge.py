"""Least squares with penalties chosen on groups that were left out, against numpy."""

import itertools

import numpy as np
import pytest
import torch

from jobs.finetune.ridge import ONE_PENALTY, PENALTIES, banded_ridge
from jobs.finetune.through_words import fold, through_words

KINDS, COLOURS, EACH = 6, 6, 8


def centred(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values - values.mean(axis=0)).float()


def solved(inputs: torch.Tensor, aims: torch.Tensor, penalties: list[float]) -> np.ndarray:
    """Ridge regression as stacked least squares: a row for each feature that draws it to nothing."""
    x, y = inputs.double().numpy(), aims.double().numpy()
    rows = np.sqrt(len(x) * np.array(penalties))
    stacked = np.vstack([x, np.diag(rows)])
    return np.linalg.lstsq(stacked, np.vstack([y, np.zeros((len(rows), y.shape[1]))]), rcond=None)[0]


@pytest.fixture(scope="module")
def made() -> tuple[torch.Tensor, torch.Tensor, list[str], np.ndarray]:
    """Features of kinds in colours, aims, groups, and which rows are of combinations that are held out.

    The first, wide band knows kinds and each combination; the second one tells colours alone, in some noise.
    """
    dice = np.random.default_rng(0)
    kind, colour = np.array(list(itertools.product(range(KINDS), range(COLOURS)))).repeat(EACH, axis=0).T
    combination = kind * COLOURS + colour
    of_kind, of_both = dice.normal(size=(KINDS, 80)), dice.normal(size=(KINDS * COLOURS, 80))
    wide = of_kind[kind] + 0.5 * of_both[combination] + 0.3 * dice.normal(size=(len(kind), 80))
    narrow = dice.normal(size=(COLOURS, 8))[colour] + 0.5 * dice.normal(size=(len(kind), 8))
    features = torch.cat([centred(wide), centred(narrow)], dim=1)
    features = features / features.std(dim=0, unbiased=False)
    aims = np.concatenate([np.eye(KINDS)[kind], np.eye(COLOURS)[colour]], axis=1)
    return features, centred(aims), [str(one) for one in combination], (kind - colour) % 4 == 0


def right(predicted: torch.Tensor, aims: torch.Tensor, part: slice) -> float:
    return float((predicted[:, part].argmax(dim=1) == aims[:, part].argmax(dim=1)).float().mean())


def test_each_aim_is_the_ridge_regression_of_the_penalties_that_serve_groups_left_out(made):
    features, aims, groups, _ = made
    map_ = banded_ridge(features, aims, bands=(80, 8), groups=groups)
    tried = [
        solved(features, aims, [first] * 80 + [second] * 8) for first, second in itertools.product(PENALTIES, repeat=2)
    ]
    for aim in range(aims.shape[1]):
        distances = [np.abs(one[:, aim] - map_[:, aim].numpy()).max() for one in tried]
        assert min(distances) < 1e-5 < sorted(distances)[1]


def test_what_was_never_seen_together_is_told_by_the_band_that_tells_it_everywhere(made):
    features, aims, groups, held = made
    seen = [group for group, out in zip(groups, held, strict=True) if not out]
    banded = banded_ridge(features[~held], aims[~held], bands=(80, 8), groups=seen)
    one = solved(features[~held], aims[~held], [ONE_PENALTY] * 88)
    colours = slice(KINDS, None)
    both = right(features[held] @ torch.from_numpy(one).float(), aims[held], colours)
    assert right(features[held] @ banded, aims[held], colours) > 0.9 > both
    assert right(features[held] @ banded, aims[held], slice(KINDS)) == 1.0


def test_a_single_group_leaves_nothing_out(made):
    features, aims, groups, _ = made
    map_ = banded_ridge(features, aims, bands=(88,), groups=["one"] * len(groups))
    torch.testing.assert_close(
        map_, torch.from_numpy(solved(features, aims, [ONE_PENALTY] * 88)).float(), atol=1e-5, rtol=1e-4
    )


def test_two_maps_by_way_of_words_are_one_map_of_features_that_are_not_centred(made):
    features, _, groups, _ = made
    features = 3 * features + 1
    told = [["kind", f"number {group}"] for group in groups]
    targets = torch.randn(len(groups), 5, generator=torch.Generator().manual_seed(0))
    first, second = through_words(features, told, targets, bands=(80, 8))
    assert (first.out_features, second.out_features) == (1 + KINDS * COLOURS, 5)
    assert not first.weight.requires_grad
    assert second.weight.requires_grad
    torch.testing.assert_close(second(first(features)).mean(dim=0), targets.mean(dim=0), atol=1e-4, rtol=1e-4)
    whole = torch.nn.Linear(88, 5)
    fold(first, second, whole)
    torch.testing.assert_close(whole(features), second(first(features)), atol=1e-4, rtol=1e-4)


def test_a_feature_that_hardly_stirred_in_training_does_not_drown_the_others_when_it_does(made):
    features, _, groups, _ = made
    hardly = torch.zeros(len(features), 1)
    hardly[3] = 1e-5  # a colour that one picture had a trace of
    told = [[f"number {group}"] for group in groups]
    first, _ = through_words(torch.cat([features, hardly], dim=1), told, features[:, :5], bands=(80, 9))
    without, with_ = (first(torch.cat([features, hardly + more], dim=1)) for more in (0.0, 1.0))
    assert float((with_ - without).abs().max()) < 0.5
