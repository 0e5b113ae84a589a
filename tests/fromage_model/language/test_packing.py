"""An LM that is packed for decoding says what it said before, whichever way it is computed."""

import gc
from pathlib import Path

import pytest
import torch

from fromage_model.errors import ConfigError
from fromage_model.fromage import Fromage
from fromage_model.language.model import load_language_model
from fromage_model.language.packing import pack
from tests.fromage_model import tiny
from tests.fromage_model.other_lms import write_gpt2

PROMPTS = [["Show me ", tiny.features(1)[0]], ["Have you got a red dress?"], ["Hm"]]


@pytest.fixture(params=["chat", "opt", "untied", "gpt2"])
def models(request, lms, own_home, tmp_path) -> tuple[Fromage, Fromage]:
    """The same LM, plain and packed."""
    folder = write_gpt2(tmp_path / "lm") if request.param == "gpt2" else getattr(lms, request.param)
    plain, packed = (tiny.build(folder) for _ in range(2))
    pack(packed.lm)
    return plain, packed


def test_a_packed_lm_writes_the_same_tokens_and_asks_for_the_same_products(models):
    options = {"max_new_tokens": 24, "ret_scale_factor": 4.0, "max_rets": 2}
    plain, packed = (model.generate_batch(PROMPTS, slots=2, **options) for model in models)
    for one, other in zip(plain, packed, strict=True):
        assert one.text == other.text
        assert len(one.products) == len(other.products)
        for found, expected in zip(other.products, one.products, strict=True):
            torch.testing.assert_close(found.embedding, expected.embedding, atol=1e-4, rtol=0)
    assert len({reply.text for reply in plain}) == len(PROMPTS)


@pytest.mark.parametrize("name", ["chat", "opt", "untied"])
def test_the_head_that_is_packed_is_the_one_that_multiplies(name, lms, own_home):
    lm = tiny.build(getattr(lms, name)).lm
    last = torch.randn(2, 3, lm.head_width)
    exact = lm.logits(last)
    pack(lm, quantize="int8")
    logits = lm.logits(last)
    assert torch.equal(logits.flatten(0, 1), lm.packed.logits(last.flatten(0, 1)))
    assert not torch.equal(logits, exact)
    torch.testing.assert_close(logits.float(), exact, rtol=0, atol=2**-5 * float(exact.abs().max()))


@pytest.mark.parametrize("name", ["chat", "opt", "untied"])
def test_nothing_learns_through_a_packed_lm(name, lms, own_home):
    packed = tiny.build(getattr(lms, name))
    pack(packed.lm)
    with pytest.raises(RuntimeError, match="packed weights let no gradient through"):
        packed.contrastive_loss(tiny.features(2), ["a red dress", "shoes"])


def test_packing_twice_is_packing_once(models):
    _, packed = models
    pack(packed.lm)
    assert packed.generate_batch(PROMPTS[:1], max_new_tokens=4)[0].text


def test_fewer_bits_are_refused_where_the_lm_can_not_have_them(own_home, tmp_path):
    model = tiny.build(write_gpt2(tmp_path / "lm"))
    with pytest.raises(ConfigError, match="quantize is 'int8', which this LM can't be"):
        pack(model.lm, quantize="int8")


@pytest.mark.skipif(not Path("/proc/self/maps").is_file(), reason="only Linux says what a process has mapped")
def test_a_packed_lm_lets_go_of_the_file_that_it_was_read_from(own_home, tmp_path):
    model = tiny.build(tiny.write_llama(tmp_path / "lm"))
    weights = str(tmp_path / "lm" / "model.safetensors")
    assert weights in Path("/proc/self/maps").read_text()
    pack(model.lm)
    gc.collect()
    assert weights not in Path("/proc/self/maps").read_text()


def test_fewer_bits_are_refused_elsewhere_than_on_a_cpu(lms):
    lm = load_language_model(lms.chat, vocabulary=200, device="meta")
    with pytest.raises(ConfigError, match="quantize is 'int4', which is for CPUs"):
        pack(lm, quantize="int4")
