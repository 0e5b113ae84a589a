"""A cache of half precision gives the states of a float32 one, as far as its rounding allows."""

import pytest
import torch
from torch import Tensor

from fromage_model.language.lean.model import LeanLM
from fromage_model.language.lean.weights import LeanWeights
from fromage_model.language.model import LanguageModel
from tests.fromage_model.language.lean import shapes

OPENING, PROMPT, COUNT = 20, 40, 60
MOST_ROUNDED = 32
"""Roundings, one after the other, that the difference of the states may be as large as."""


@pytest.fixture(scope="module", params=["llama", "smollm", "mistral, window", "opt"])
def lm(request, tmp_path_factory) -> LanguageModel:
    return shapes.load(request.param, tmp_path_factory.mktemp("half"))


def states(lm: LanguageModel, dtype: torch.dtype, *, opening: int) -> Tensor:
    """-> (N, D): of a prompt that is read and of the steps after it, in two rows side by side."""
    ids = torch.randint(5, 300, (COUNT,), generator=torch.Generator().manual_seed(0))
    embeddings = lm.embed(ids).detach()
    model = LeanLM(LeanWeights(lm, cache_dtype=dtype))
    lean = model.decoder(2)
    rows = [lean.join(model.read_opening(embeddings[:opening]) if opening else None)]
    rows.append(lean.join())
    found = [lean.prefill(rows[0], embeddings[opening:PROMPT], every=True).last]
    lean.prefill(rows[1], embeddings[:PROMPT])
    found += [lean.step(new.repeat(2, 1), rows).last for new in embeddings[PROMPT:]]
    assert lean.slots.kept[0].dtype == dtype
    return torch.cat(found)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("opening", [0, OPENING])
@torch.no_grad()
def test_a_cache_of_half_precision_gives_the_states_of_float32_but_for_its_rounding(lm, dtype, opening):
    expected, found = states(lm, torch.float32, opening=opening), states(lm, dtype, opening=opening)
    assert not found.equal(expected)
    off = (found - expected).square().mean().sqrt() / expected.std()
    assert off < MOST_ROUNDED * torch.finfo(dtype).eps / 2
