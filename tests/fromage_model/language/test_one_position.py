"""A single new position attends as transformers' own attention lets it, up to its dtype's rounding."""

import copy

import pytest
import torch
from torch import nn
from transformers import GPTNeoConfig, GPTNeoForCausalLM, LlamaConfig, LlamaForCausalLM
from transformers.cache_utils import DynamicCache
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from fromage_model.language import one_position
from fromage_model.language.one_position import NAME, attend, use_one_position

ROUNDING = {torch.float32: 1e-6, torch.bfloat16: 2**-7, torch.float16: 2**-10}


class Layer(nn.Module):
    """What transformers' function asks of the module that attends."""

    is_causal = True

    def __init__(self, groups: int):
        super().__init__()
        self.num_key_value_groups = groups


def drawn(*shape: int, dtype: torch.dtype, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


@pytest.mark.parametrize("dtype", ROUNDING, ids=str)
@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("queries", [1, 4])
@pytest.mark.parametrize("masked", [False, True])
def test_states_are_those_of_exact_attention(dtype, groups, queries, masked):
    seen, kept = 20, 31
    query = drawn(3, 2 * groups, queries, 8, dtype=dtype, seed=0)
    key, value = (drawn(3, 2, kept, 8, dtype=dtype, seed=seed)[:, :, 5 : 5 + seen] for seed in (1, 2))
    mask = None
    if masked or queries > 1:
        starts = torch.tensor([0, 7, 16])[:, None, None, None]
        columns = torch.arange(seen)
        mask = (columns >= starts) & (columns <= torch.arange(seen - queries, seen)[:, None])
    found, weights = attend(Layer(groups), query, key, value, mask, scaling=0.3)
    shared = [tensor.double().repeat_interleave(groups, dim=1) for tensor in (key, value)]
    scores = 0.3 * query.double() @ shared[0].transpose(2, 3)
    scores = scores if mask is None else scores.masked_fill(~mask, float("-inf"))
    expected = (scores.softmax(dim=-1) @ shared[1]).transpose(1, 2)
    assert weights is None
    assert (found.shape, found.dtype) == ((3, queries, 2 * groups, 8), dtype)
    torch.testing.assert_close(found.double(), expected, rtol=ROUNDING[dtype], atol=2 * ROUNDING[dtype])


def test_only_a_single_query_in_half_precision_leaves_transformers_way(monkeypatch):
    calls = []

    def counted(*args, **kwargs):
        calls.append(args)
        return sdpa_attention_forward(*args, **kwargs)

    monkeypatch.setattr("transformers.integrations.sdpa_attention.sdpa_attention_forward", counted)
    for queries, dtype, expected in ((1, torch.float32, 1), (4, torch.bfloat16, 2), (1, torch.bfloat16, 2)):
        query, key = (drawn(2, 2, length, 8, dtype=dtype, seed=length) for length in (queries, 9))
        attend(Layer(1), query, key, key, None, scaling=0.3)
        assert len(calls) == expected


def test_an_lm_with_a_cache_gives_transformers_logits_up_to_rounding(monkeypatch):
    torch.manual_seed(0)
    sizes = {"hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 6}
    config = LlamaConfig(**sizes, num_key_value_heads=2, vocab_size=50, initializer_range=0.2)
    plain = LlamaForCausalLM(config).eval().bfloat16()
    ours = copy.deepcopy(plain)
    use_one_position(ours)
    assert (ours.config._attn_implementation, plain.config._attn_implementation) == (NAME, "sdpa")
    reached = []
    real = one_position.F.scaled_dot_product_attention
    monkeypatch.setattr(
        one_position.F, "scaled_dot_product_attention", lambda *args, **more: reached.append(1) or real(*args, **more)
    )
    ids = torch.arange(24).view(2, 12)
    mask = torch.ones_like(ids)
    mask[0, :5] = 0
    logits = []
    with torch.no_grad():
        for model in (plain, ours):
            cache = DynamicCache()
            model(ids[:, :-1], attention_mask=mask[:, :-1], past_key_values=cache)
            logits.append(model(ids[:, -1:], attention_mask=mask, past_key_values=cache).logits.float())
    assert reached
    torch.testing.assert_close(logits[0], logits[1], rtol=0, atol=0.03 * float(logits[0].abs().max()))


def test_a_model_that_attends_in_its_own_way_keeps_it():
    sizes = {"hidden_size": 32, "num_layers": 2, "num_heads": 2, "vocab_size": 50}
    model = GPTNeoForCausalLM(GPTNeoConfig(**sizes, attention_types=[[["global", "local"], 1]]))
    before = model.config._attn_implementation
    use_one_position(model)
    assert model.config._attn_implementation == before != NAME
