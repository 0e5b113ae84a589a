"""The losses against the plainest way to compute them, in value and in gradient."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from fromage_model.model import losses
from fromage_model.model.losses import info_nce, next_token_loss, next_token_loss_frozen
from tests.fromage_model import reference


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def units(rows: int, *, seed: int) -> torch.Tensor:
    return F.normalize(drawn(rows, 6, seed=seed), dim=-1)


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 7), seed=st.integers(0, 1000), log_scale=st.floats(0, 4.6))
def test_info_nce_equals_the_sum_over_single_pairs(rows, seed, log_scale):
    texts, images, scale = units(rows, seed=seed), units(rows, seed=seed + 1), torch.tensor(log_scale)
    torch.testing.assert_close(
        info_nce(texts, images, scale), reference.info_nce(texts, images, scale.exp()), atol=1e-4, rtol=1e-4
    )


def test_info_nce_is_the_same_for_texts_and_pictures_exchanged():
    texts, images, scale = units(5, seed=1), units(5, seed=2), torch.tensor(2.0)
    torch.testing.assert_close(info_nce(texts, images, scale), info_nce(images, texts, scale))


def test_own_pairs_alone_as_positives_are_the_default():
    texts, images, scale = units(5, seed=1), units(5, seed=2), torch.tensor(2.0)
    own = info_nce(texts, images, scale, positives=3.0 * torch.eye(5))
    torch.testing.assert_close(own, info_nce(texts, images, scale))


def test_soft_positives_share_the_mass_of_their_row_and_column():
    texts, images, scale = units(3, seed=1), units(3, seed=2), torch.tensor(1.5)
    positives = torch.tensor([[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]])
    logits = scale.exp() * texts @ images.T
    total = torch.zeros(())
    for one in range(3):
        for other in range(3):
            of_row, of_column = (
                positives[one, other] / positives[one].sum(),
                positives[one, other] / positives[:, other].sum(),
            )
            total -= of_row * logits[one].log_softmax(0)[other] / 3
            total -= of_column * logits[:, other].log_softmax(0)[one] / 3
    torch.testing.assert_close(info_nce(texts, images, scale, positives=positives), total / 2)


def test_a_batch_of_twins_costs_nothing_when_twins_are_positives():
    twins = units(1, seed=1).expand(2, -1)
    told = info_nce(twins, twins, torch.tensor(3.0), positives=torch.ones(2, 2))
    assert float(told) == pytest.approx(float(torch.tensor(2.0).log()))
    soft = info_nce(twins.clone().requires_grad_(), twins, torch.tensor(3.0), positives=torch.ones(2, 2))
    assert soft.requires_grad


def test_next_token_loss_is_the_weighted_mean_of_cross_entropies():
    logits, targets, weights = drawn(4, 9), torch.tensor([0, 8, 3, 3]), torch.tensor([1.0, 0.5, 0.0, 2.0])
    losses = torch.stack([-row.log_softmax(0)[target] for row, target in zip(logits, targets, strict=True)])
    torch.testing.assert_close(next_token_loss(logits, targets, weights), (losses * weights).sum() / 3.5)


def test_no_weight_at_all_is_a_loss_of_0():
    assert float(next_token_loss(drawn(2, 9), torch.tensor([0, 1]), torch.zeros(2))) == 0.0


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), is_ret=st.lists(st.booleans(), min_size=1, max_size=6))
def test_the_frozen_form_equals_the_whole_softmax_in_value_and_in_the_row_s_gradient(seed, is_ret):
    positions, width, vocabulary = len(is_ret), 5, 11
    last, head = drawn(positions, width, seed=seed), drawn(vocabulary, width, seed=seed + 1)
    targets = torch.tensor([vocabulary if ret else place % vocabulary for place, ret in enumerate(is_ret)])
    weights = drawn(positions, seed=seed + 2).abs()
    rows = [drawn(width, seed=seed + 3).requires_grad_() for _ in range(2)]
    whole = next_token_loss(torch.cat([last @ head.T, (last @ rows[0])[:, None]], dim=1), targets, weights)
    short = next_token_loss_frozen(last, lambda states: states @ head.T, rows[1], targets, weights)
    torch.testing.assert_close(short, whole)
    whole.backward()
    short.backward()
    torch.testing.assert_close(rows[1].grad, rows[0].grad)


def test_the_frozen_form_never_holds_the_logits_of_many_positions(monkeypatch):
    monkeypatch.setattr(losses, "HEAD_POSITIONS", 3)
    last, head, targets, weights = drawn(8, 5), drawn(11, 5, seed=1), torch.arange(4, 12), torch.ones(8)
    rows = [drawn(5, seed=2).requires_grad_() for _ in range(2)]
    asked: list[int] = []

    def logits_of(states: torch.Tensor) -> torch.Tensor:
        asked.append(len(states))
        return states @ head.T

    short = next_token_loss_frozen(last, logits_of, rows[0], targets, weights)
    whole = next_token_loss(torch.cat([last @ head.T, (last @ rows[1])[:, None]], dim=1), targets, weights)
    torch.testing.assert_close(short, whole)
    short.backward()
    whole.backward()
    torch.testing.assert_close(rows[0].grad, rows[1].grad)
    assert asked == [3, 3, 2]


def test_the_frozen_form_of_no_positions_is_0():
    loss = next_token_loss_frozen(
        drawn(0, 5), lambda states: states @ drawn(5, 11), drawn(5), torch.arange(0), drawn(0)
    )
    assert float(loss) == 0.0
