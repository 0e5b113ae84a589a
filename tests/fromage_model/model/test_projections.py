"""The trained maps: shapes, unit length, and statistics that no dead feature can blow up."""

import pytest
import torch

from fromage_model.model.projections import STD_FLOOR, ImageHead, Standardise, TextHead, VisualPrefix


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_standardised_training_features_have_mean_0_and_scale_1():
    features = 5.0 * drawn(200, 4) + 3.0
    standardise = Standardise(4)
    standardise.fit(features)
    result = standardise(features)
    torch.testing.assert_close(result.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(result.std(0), torch.ones(4), atol=1e-5, rtol=0)


def test_a_feature_that_never_varied_does_not_explode_on_a_new_picture():
    features = drawn(50, 4)
    features[:, 2] = 1.0
    standardise = Standardise(4)
    standardise.fit(features)
    assert float(standardise.std[2]) == pytest.approx(STD_FLOOR * float(features.std(0).mean()))
    assert torch.isfinite(standardise(torch.full((1, 4), 9.0))).all()


def test_features_that_are_all_alike_stay_finite():
    standardise = Standardise(3)
    standardise.fit(torch.ones(5, 3))
    assert torch.isfinite(standardise(torch.zeros(1, 3))).all()


def test_standardise_is_the_identity_until_fitted_and_is_never_trained():
    standardise = Standardise(4)
    assert torch.equal(standardise(drawn(3, 4)), drawn(3, 4))
    assert list(standardise.parameters()) == []


def test_a_prefix_is_as_many_embeddings_as_asked_each_a_map_of_its_own():
    prefix = VisualPrefix(4, 6, visual_tokens=3)
    features = drawn(2, 4)
    result = prefix(features)
    assert result.shape == (2, 3, 6)
    weight, bias = prefix.project.weight[6:12], prefix.project.bias[6:12]
    torch.testing.assert_close(result[:, 1], features @ weight.T + bias)


def test_heads_give_unit_vectors():
    image = ImageHead(4, 8)(drawn(5, 4))
    text = TextHead([6, 3], 8)([drawn(5, 2, 6), drawn(5, 2, 3)])
    assert image.shape == (5, 8)
    assert text.shape == (5, 2, 8)
    torch.testing.assert_close(image.norm(dim=-1), torch.ones(5))
    torch.testing.assert_close(text.norm(dim=-1), torch.ones(5, 2))


def test_a_text_head_sums_what_its_layers_maps_give():
    head = TextHead([6, 3], 8)
    states = [drawn(40, 6), 4.0 * drawn(40, 3, seed=1) + 1.0]
    head.fit(states)
    total = torch.zeros(40, 8)
    for state, project in zip(states, head.project, strict=True):
        scaled = (state - state.mean(0)) / state.std(0)
        total = total + scaled @ project.weight.T + project.bias
    torch.testing.assert_close(head(states), total / total.norm(dim=-1, keepdim=True))


def test_a_hidden_layer_reads_all_layers_and_is_added_to_their_maps():
    head = TextHead([6, 3], 8, hidden=5)
    assert (head.hidden_units, TextHead([6, 3], 8).hidden_units) == (5, 0)
    states = [drawn(40, 6), 4.0 * drawn(40, 3, seed=1) + 1.0]
    head.fit(states)
    scaled = [(state - state.mean(0)) / state.std(0) for state in states]
    total = sum(one @ project.weight.T + project.bias for one, project in zip(scaled, head.project, strict=True))
    units = torch.cat(scaled, dim=1) @ head.hidden.weight.T + head.hidden.bias
    units = units * (1 + torch.erf(units / 2**0.5)) / 2
    total = total + units @ head.of_hidden.weight.T + head.of_hidden.bias
    torch.testing.assert_close(head(states), total / total.norm(dim=-1, keepdim=True))


def test_a_text_head_refuses_another_number_of_layers():
    with pytest.raises(ValueError, match="expected the states of 2 layers, got 1"):
        TextHead([6, 3], 8)([drawn(5, 6)])


def test_dropout_acts_in_training_alone():
    head = ImageHead(4, 8, dropout=0.5)
    features = drawn(5, 4)
    assert not torch.equal(head.train()(features), head.train()(features))
    assert torch.equal(head.eval()(features), head.eval()(features))
