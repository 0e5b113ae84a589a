"""The losses against the plainest way to compute them, in value and in gradient."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from fromage_model.model import losses
from fromage_model.model.losses import info_nce, next_token_loss
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


def plain(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The weighted mean of cross-entropies, all logits at once."""
    losses = torch.stack([-row.log_softmax(0)[target] for row, target in zip(logits, targets, strict=True)])
    return (losses * weights).sum() / weights.sum()


def test_next_token_loss_is_the_weighted_mean_of_cross_entropies():
    logits, targets, weights = drawn(4, 9), torch.tensor([0, 8, 3, 3]), torch.tensor([1.0, 0.5, 0.0, 2.0])
    torch.testing.assert_close(
        next_token_loss(logits, lambda states: states, targets, weights), plain(logits, targets, weights)
    )


def test_no_weight_at_all_is_a_loss_of_0():
    targets, weights = torch.tensor([0, 1]), torch.zeros(2)
    assert float(next_token_loss(drawn(2, 9), lambda states: states, targets, weights)) == 0.0


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), is_ret=st.lists(st.booleans(), min_size=1, max_size=6), through=st.booleans())
def test_value_and_gradients_are_those_of_the_whole_softmax(seed, is_ret, through):
    positions, width, vocabulary = len(is_ret), 5, 11
    states = [drawn(positions, width, seed=seed).requires_grad_(through) for _ in range(2)]
    head = drawn(vocabulary, width, seed=seed + 1)
    targets = torch.tensor([vocabulary if ret else place % vocabulary for place, ret in enumerate(is_ret)])
    weights = drawn(positions, seed=seed + 2).abs()
    rows = [drawn(width, seed=seed + 3).requires_grad_() for _ in range(2)]
    whole = plain(torch.cat([states[0] @ head.T, (states[0] @ rows[0])[:, None]], dim=1), targets, weights)
    ours = next_token_loss(states[1], lambda states: states @ head.T, targets, weights, row=rows[1])
    torch.testing.assert_close(ours, whole)
    (3 * whole).backward()
    (3 * ours).backward()
    torch.testing.assert_close(rows[1].grad, rows[0].grad)
    torch.testing.assert_close(states[1].grad, states[0].grad)


def test_without_a_row_of_its_own_there_is_no_ret():
    states, head = [drawn(4, 5).requires_grad_() for _ in range(2)], drawn(11, 5, seed=1)
    targets, weights = torch.arange(4), torch.tensor([1.0, 2.0, 0.0, 1.0])
    whole = plain(states[0] @ head.T, targets, weights)
    ours = next_token_loss(states[1], lambda states: states @ head.T, targets, weights)
    torch.testing.assert_close(ours, whole)
    whole.backward()
    ours.backward()
    torch.testing.assert_close(states[1].grad, states[0].grad)


@pytest.mark.parametrize("through", [True, False])
def test_the_logits_of_many_positions_are_never_held_together(monkeypatch, through):
    monkeypatch.setattr(losses, "HEAD_POSITIONS", 3)
    states = [drawn(8, 5).requires_grad_(through) for _ in range(2)]
    head, targets, weights = drawn(11, 5, seed=1), torch.arange(4, 12), torch.ones(8)
    rows = [drawn(5, seed=2).requires_grad_() for _ in range(2)]
    asked: list[int] = []

    def logits_of(states: torch.Tensor) -> torch.Tensor:
        asked.append(len(states))
        return states @ head.T

    ours = next_token_loss(states[0], logits_of, targets, weights, row=rows[0])
    whole = plain(torch.cat([states[1] @ head.T, (states[1] @ rows[1])[:, None]], dim=1), targets, weights)
    torch.testing.assert_close(ours, whole)
    ours.backward()
    whole.backward()
    torch.testing.assert_close(rows[0].grad, rows[1].grad)
    torch.testing.assert_close(states[0].grad, states[1].grad)
    assert asked == [3, 3, 2]


def test_a_small_share_of_the_loss_is_not_lost_in_float16():
    """A thousandth of a small probability is 0 there; the scaler comes only after it."""
    states = drawn(1000, 8).half().requires_grad_()
    head = (0.01 * drawn(5000, 8, seed=1)).half()
    loss = next_token_loss(states, lambda states: states @ head.T, torch.arange(1000), torch.ones(1000))
    (loss * 2**12).backward()
    exact = drawn(1000, 8).half().float().requires_grad_()
    (plain(exact @ head.float().T, torch.arange(1000), torch.ones(1000)) * 2**12).backward()
    torch.testing.assert_close(states.grad.float(), exact.grad, rtol=0.02, atol=1e-4)


def test_the_loss_of_no_positions_is_0():
    head = drawn(5, 11)
    loss = next_token_loss(drawn(0, 5), lambda states: states @ head, torch.arange(0), drawn(0), row=drawn(5))
    assert float(loss) == 0.0
