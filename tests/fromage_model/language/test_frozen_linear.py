"""Linear maps of constants against the products in float64 and against torch's own, in value and in gradient."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from transformers import OPTConfig, OPTForCausalLM

from fromage_model.language import frozen_linear

ROWS = (1, 2, 8, 129)
HALF = {torch.float32: 1e-5, torch.bfloat16: 2**-8, torch.float16: 2**-11}
"""How far a product may be from the exact one, in shares of it: half of the dtype's last place, float32 aside."""


def drawn(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("has_bias", [True, False])
def test_product_is_the_exact_one_rounded_once(rows, dtype, has_bias):
    x, weight = drawn(rows, 1, 48, dtype=dtype), drawn(70, 48, dtype=dtype, seed=1)
    bias = drawn(70, dtype=dtype, seed=2) if has_bias else None
    exact = F.linear(x.double(), weight.double(), None if bias is None else bias.double())
    product = frozen_linear.linear(x, weight, bias)
    assert product.dtype == dtype
    assert product.is_contiguous()
    torch.testing.assert_close(product.double(), exact, rtol=1.01 * HALF[dtype], atol=1e-5)


@pytest.mark.parametrize("shape", [(48,), (0, 48), (3, 48), (2, 3, 48), (2, 3, 1, 48)], ids=str)
def test_any_number_of_axes_stays_as_it_is(shape):
    x, weight, bias = drawn(*shape), drawn(7, 48, seed=1), drawn(7, seed=2)
    torch.testing.assert_close(frozen_linear.linear(x, weight, bias), F.linear(x, weight, bias))


def test_rows_that_do_not_lie_one_after_the_other_are_multiplied_as_they_are():
    x, weight = drawn(48, 5).t(), drawn(7, 48, seed=1)
    torch.testing.assert_close(frozen_linear.linear(x[::2], weight), F.linear(x[::2], weight))


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("intel", [False, True])
def test_gradients_are_those_of_torch_s_own(rows, trained, intel, monkeypatch):
    monkeypatch.setattr(frozen_linear, "IS_INTEL", intel)
    found = []
    for linear in (frozen_linear.linear, F.linear):
        x, weight, bias = drawn(rows, 48).requires_grad_(), drawn(7, 48, seed=1), drawn(7, seed=2)
        if trained:
            weight.requires_grad_(), bias.requires_grad_()
        (linear(x, weight, bias) * drawn(rows, 7, seed=3)).sum().backward()
        found.append((x.grad, weight.grad, bias.grad))
    torch.testing.assert_close(found[0], found[1])
    assert (found[0][1] is not None) == trained


def test_a_gradient_reaches_through_rows_that_do_not_lie_one_after_the_other():
    found = []
    for linear in (frozen_linear.linear, F.linear):
        x = drawn(3, 5, 48).requires_grad_()
        linear(x.transpose(0, 1), drawn(7, 48, seed=1)).transpose(0, 2).sum(dim=1).square().sum().backward()
        found.append(x.grad)
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-4)


def test_constants_in_float32_are_multiplied_by_onednn_and_nothing_else_is(monkeypatch):
    products = []
    monkeypatch.setattr(
        frozen_linear, "_product", lambda x, weight, bias: products.append(x) or F.linear(x, weight, bias)
    )
    x, weight = drawn(3, 48), drawn(7, 48, seed=1)
    frozen_linear.linear(x, weight)
    assert len(products) == 1
    frozen_linear.linear(x, weight.clone().requires_grad_())
    frozen_linear.linear(x, weight, drawn(7).requires_grad_())
    frozen_linear.linear(x.bfloat16(), weight.bfloat16())
    frozen_linear.linear(x.double(), weight.double())
    assert len(products) == 1


def test_lm_computes_the_same_with_the_same_parameters_under_the_same_names():
    torch.manual_seed(0)
    config = OPTConfig(
        vocab_size=90, hidden_size=32, ffn_dim=64, num_hidden_layers=2, num_attention_heads=2, word_embed_proj_dim=32
    )
    plain = OPTForCausalLM(config).eval()
    ours = copy.deepcopy(plain)
    frozen_linear.use_frozen_linear(ours)
    kinds = {type(module) for module in ours.modules() if isinstance(module, nn.Linear)}
    assert kinds == {frozen_linear.FrozenLinear}
    assert ours.lm_head.weight is ours.get_input_embeddings().weight
    assert list(ours.state_dict()) == list(plain.state_dict())
    ids = torch.arange(12).view(3, 4)
    torch.testing.assert_close(ours(ids).logits, plain(ids).logits)


def test_only_plain_linear_layers_are_replaced():
    class Other(nn.Linear):
        pass

    model = nn.Sequential(Other(3, 3), nn.Linear(3, 3), nn.LayerNorm(3))
    frozen_linear.use_frozen_linear(model)
    assert [type(module) for module in model] == [Other, frozen_linear.FrozenLinear, nn.LayerNorm]
