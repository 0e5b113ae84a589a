"""Weights of few bits: groups are found again in what came out of them, and products are those of their weights."""

import pytest
import torch
from torch import Tensor

from fromage_model.language.lean import four_bit
from fromage_model.language.lean.decoder import LeanDecoder
from fromage_model.language.lean.four_bit import GROUP, came_in_eight_bits, came_in_four_bits, grouped, halves
from fromage_model.language.lean.products import (
    EightBit,
    FourBit,
    Packed,
    Whole,
    few_rows,
    has_eight_bits,
    in_eight_bits,
    multiplies_bfloat16,
)
from fromage_model.language.lean.weights import LeanWeights
from fromage_model.language.model import LanguageModel
from fromage_model.storage.pretrained import DEFAULT_LANGUAGE_MODEL, locate_language_model
from tests.fromage_model.language.lean import shapes

OUTPUTS, INPUTS = 64, 96


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def from_four_bits(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Weights as a file of 4-bit groups gives them, in bfloat16, and their numbers; both ends of a group are in it."""
    groups = drawn(OUTPUTS, INPUTS // GROUP, GROUP, seed=seed)
    low, high = groups.aminmax(dim=-1, keepdim=True)
    scale, low = ((high - low) / 15).half().float(), low.half().float()
    numbers = ((groups - low) / scale).round().clamp(0, 15)
    return (numbers * scale + low).flatten(1).bfloat16(), numbers.flatten(1)


def eight_bit_weights(weight: Tensor) -> Tensor:
    numbers, scales = in_eight_bits(weight)
    return numbers * scales.unsqueeze(-1)


def from_eight_bits() -> Tensor:
    """The same with 8-bit groups, whose scale alone is kept."""
    groups = drawn(OUTPUTS, INPUTS // GROUP, GROUP)
    scale = (groups.abs().amax(dim=-1, keepdim=True) / 127).half().float()
    return ((groups / scale).round() * scale).flatten(1).bfloat16()


def test_numbers_are_found_again_in_weights_that_came_in_four_bits():
    weight, numbers = from_four_bits()
    groups = came_in_four_bits(weight)
    torch.testing.assert_close(groups.numbers.float(), numbers)
    assert came_in_four_bits(drawn(OUTPUTS, INPUTS)) is None


def test_numbers_are_found_again_in_weights_that_came_in_eight_bits():
    assert came_in_eight_bits(from_eight_bits()) is not None
    assert came_in_eight_bits(drawn(OUTPUTS, INPUTS)) is None


@pytest.mark.parametrize("found", [came_in_four_bits, came_in_eight_bits])
def test_weights_that_came_in_few_bits_but_for_one_of_the_last_came_in_more(found, monkeypatch):
    monkeypatch.setattr(four_bit, "PART", 16 * INPUTS)
    weight = from_four_bits()[0] if found is came_in_four_bits else from_eight_bits()
    assert found(weight) is not None
    spoilt = weight[-1, :GROUP].sort().values
    weight[-1, :GROUP] = (spoilt + 0.4 * spoilt.diff(append=spoilt[-1:])).where(spoilt != 0, spoilt)
    assert found(weight) is None


@pytest.mark.parametrize("group", [grouped, halves])
def test_groups_are_the_same_however_many_rows_are_grouped_at_once(group, monkeypatch):
    weight = drawn(OUTPUTS, INPUTS)
    whole = group(weight)
    monkeypatch.setattr(four_bit, "PART", 5 * INPUTS)
    for part, of_whole in zip(vars(group(weight)).values(), vars(whole).values(), strict=True):
        torch.testing.assert_close(part, of_whole)


@pytest.mark.parametrize("rows", [1, 2, 8, 33])
@pytest.mark.parametrize("has_bias", [True, False])
def test_products_are_those_of_the_weights_that_the_bits_stand_for(rows, has_bias):
    weight, x = drawn(OUTPUTS, INPUTS), drawn(rows, INPUTS, seed=1).bfloat16()
    bias = drawn(OUTPUTS, seed=2) if has_bias else None
    four, eight = grouped(weight), halves(weight)
    rounded = eight_bit_weights(weight)
    for product, stands_for in (
        (FourBit.of(four, bias), four.weights()),
        (FourBit.of(eight, bias, twice=True), sum(eight.weights().chunk(2, dim=-1))),
        (EightBit(weight, bias), rounded),
        *([(Whole(weight, bias), rounded)] if has_eight_bits() else []),
    ):
        exact = x.float() @ stands_for.t() + (0 if bias is None else bias)
        found = product(x).float()
        torch.testing.assert_close(found, exact, rtol=2**-7, atol=2**-7 * float(exact.abs().max()))


@pytest.mark.skipif(not has_eight_bits(), reason="the processor has no products of 8 bits")
def test_a_row_of_eight_bits_is_the_same_to_the_bit_whatever_rows_it_is_multiplied_with():
    product, x = Whole(drawn(OUTPUTS, INPUTS), drawn(OUTPUTS, seed=2)), drawn(40, INPUTS, seed=1)
    x[3] *= 1000
    together = product(x)
    for rows in ([0], [3], [39], [0, 3], list(range(8)), list(range(2, 35))):
        assert torch.equal(product(x[rows]), together[rows])
    assert torch.equal(product(torch.zeros(1, INPUTS)), drawn(OUTPUTS, seed=2)[None])


@pytest.mark.skipif(not has_eight_bits(), reason="the processor has no products of 8 bits")
def test_a_number_far_larger_than_the_others_of_its_row_leaves_them_as_they_are():
    weight, x = drawn(OUTPUTS, INPUTS), drawn(3, INPUTS, seed=1)
    x[1, 7] = 1000.0  # of 8 bits beside which the others would all be 0
    weight[:, 7] = 0
    exact = x @ eight_bit_weights(weight).t()
    torch.testing.assert_close(Whole(weight, None)(x), exact, rtol=0, atol=2**-6 * float(exact.abs().max()))


def test_float32_inputs_are_rounded_on_their_way_in():
    product, x = FourBit.of(grouped(drawn(OUTPUTS, INPUTS)), None), drawn(3, INPUTS, seed=1)
    torch.testing.assert_close(product(x), product(x.bfloat16()))


def test_groups_of_one_value_are_that_value():
    weight = torch.full((16, GROUP), 0.75)
    torch.testing.assert_close(grouped(weight).weights(), weight)
    assert torch.isfinite(halves(torch.zeros(16, GROUP)).weights()).all()


def test_few_rows_end_sooner_where_the_processor_multiplies_what_many_take():
    assert few_rows(torch.float32) == 8
    assert few_rows(torch.bfloat16) == (8 if multiplies_bfloat16() else 32)
    assert few_rows(torch.float32, "int8") in ((2, 8) if has_eight_bits() else (0,))
    assert few_rows(torch.float32, "int4") == 0


def test_the_default_lm_s_maps_came_in_four_bits_and_its_head_in_eight():
    from safetensors import safe_open

    with safe_open(locate_language_model(DEFAULT_LANGUAGE_MODEL).path / "model.safetensors", "pt") as file:
        for name in ("self_attn.q_proj", "self_attn.o_proj", "mlp.up_proj", "mlp.down_proj"):
            weight = file.get_tensor(f"model.layers.7.{name}.weight")
            assert came_in_four_bits(weight) is not None
        head = file.get_slice("model.embed_tokens.weight")[:512]
        assert came_in_eight_bits(head) is not None


@pytest.mark.parametrize("quantize", ["int8", "int4"])
@torch.no_grad()
def test_an_lm_made_of_few_bits_computes_with_the_weights_that_they_stand_for(quantize, tmp_path):
    lm, rounded = (shapes.load("llama3", tmp_path) for _ in range(2))
    for number in range(2):
        layer = rounded.backbone.model.layers[number]
        for module in (*layer.self_attn.children(), *layer.mlp.children()):
            if isinstance(module, torch.nn.Linear):
                weight = module.weight
                found = grouped(weight).weights() if quantize == "int4" else eight_bit_weights(weight)
                module.weight.data = found
    embeddings = lm.embed(torch.arange(5, 45))
    lean = LeanWeights(lm, quantize=quantize)
    decoder = LeanDecoder(lean, slots=1)
    found = decoder.prefill(decoder.join(), embeddings, every=True).last
    expected = rounded(embeddings[None]).last[0]
    # Inputs of the products are bfloat16, or whole numbers of 16 bits.
    assert float((found - expected).std()) < 2**-5 * float(expected.std())
    assert lean.weight_bytes < LeanWeights(lm).weight_bytes


@torch.no_grad()
def test_one_row_of_weights_that_came_in_four_bits_is_multiplied_so_where_they_are_made_eight(tmp_path):
    lm = shapes.load("llama3", tmp_path)
    make_four_bits(lm)
    lean = LeanWeights(lm, quantize="int8")
    kinds = [{type(product) for maps in lean.products(rows) for product in maps} for rows in (1, 40)]
    assert kinds == ([{FourBit}, {Whole}] if has_eight_bits() else [{EightBit}, {EightBit}])
    assert LeanWeights(lm, quantize="int8", few_rows=0).weight_bytes < lean.weight_bytes


@torch.no_grad()
def test_the_head_is_of_eight_bits_where_the_layers_are(tmp_path):
    lm = shapes.load("llama3", tmp_path)
    lean, last = LeanWeights(lm, quantize="int8"), drawn(3, lm.head_width)
    exact = last @ eight_bit_weights(lm.head_rows[0]).t()
    torch.testing.assert_close(lean.logits(last).float(), exact, rtol=0, atol=2**-6 * float(exact.abs().max()))
    assert not torch.equal(lean.logits(last), LeanWeights(lm).logits(last))


def make_four_bits(lm: LanguageModel) -> None:
    """Of the layers' weights."""
    for layer in lm.backbone.model.layers:
        for module in (*layer.self_attn.children(), *layer.mlp.children()):
            if isinstance(module, torch.nn.Linear):
                groups = grouped(module.weight)
                parts = groups.numbers.float().unflatten(1, (-1, GROUP)) * groups.scale.unsqueeze(-1)
                module.weight.data = (parts + groups.minimum.unsqueeze(-1)).flatten(1).to(lm.dtype)


@pytest.mark.parametrize("name", ["llama3", "mistral"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.no_grad()
def test_few_bits_beside_the_weights_take_five_for_each_of_theirs(name, dtype, tmp_path):
    lm = shapes.load(name, tmp_path).to(dtype)
    plain = LeanWeights(lm).weight_bytes
    make_four_bits(lm)
    layers = sum(map_.numel() for layer in lm.backbone.model.layers for map_ in layer.parameters() if map_.ndim == 2)
    assert LeanWeights(lm, few_rows=0).weight_bytes == plain
    assert LeanWeights(lm).weight_bytes == plain + layers * 5 / 8


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.no_grad()
def test_few_rows_are_multiplied_by_the_bits_that_weights_came_in_and_others_not(dtype, tmp_path):
    lm = shapes.load("llama3", tmp_path).to(dtype)
    make_four_bits(lm)
    lean = LeanWeights(lm)
    most = few_rows(dtype)
    kinds = [{type(product) for maps in lean.products(rows) for product in maps} for rows in (1, most, most + 1)]
    assert kinds == [{FourBit}, {FourBit}, {Packed}]
