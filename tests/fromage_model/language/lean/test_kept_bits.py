"""Weights of few bits are found once for the files of an LM; what is kept of them multiplies as what was found does."""

import logging

import pytest
import torch

from fromage_model.language.lean.four_bit import came_in_four_bits
from fromage_model.language.lean.fused import Map
from fromage_model.language.lean.kept_bits import KeptBits
from fromage_model.language.packing import pack
from fromage_model.storage.artefacts import home
from tests.fromage_model.language.lean import shapes
from tests.fromage_model.language.lean.test_four_bit import drawn, from_four_bits, make_four_bits

FILES = "a1" * 32


@pytest.fixture(autouse=True)
def _own_home(own_home):
    """Nothing that these tests keep is there for others."""


def never(weight):
    raise AssertionError("the weights were searched again")


def kept_of(fingerprint: str = FILES) -> KeptBits:
    return KeptBits.of_files(fingerprint, torch.bfloat16)


def test_what_is_kept_multiplies_as_what_was_found():
    weight, _ = from_four_bits()
    part, x = Map(weight, drawn(len(weight))), drawn(3, weight.shape[1])
    first = kept_of()
    found = first.product("0.qkv", part, came_in=came_in_four_bits)
    first.keep()
    again = kept_of().product("0.qkv", part, came_in=never)
    assert torch.equal(again(x), found(x))
    assert again.size_bytes == found.size_bytes


def test_weights_that_came_in_more_bits_are_not_kept():
    kept = kept_of()
    assert kept.product("0.qkv", Map(drawn(64, 96), None), came_in=came_in_four_bits) is None
    kept.keep()
    assert not home().joinpath("packed").exists()


def test_what_is_found_later_is_kept_beside_the_rest():
    part = Map(from_four_bits()[0], None)
    for name in ("0.qkv", "1.qkv"):
        kept = kept_of()
        kept.product(name, part, came_in=came_in_four_bits)
        kept.keep()
    assert all(kept_of().product(name, part, came_in=never) for name in ("0.qkv", "1.qkv"))


@pytest.mark.parametrize("other", ["b2" * 32, ""])
def test_other_files_and_unknown_ones_are_searched_anew(other):
    part = Map(from_four_bits()[0], None)
    kept = kept_of()
    kept.product("0.qkv", part, came_in=came_in_four_bits)
    kept.keep()
    with pytest.raises(AssertionError, match="searched again"):
        kept_of(other).product("0.qkv", part, came_in=never)


def test_a_file_that_is_broken_is_told_and_made_anew(caplog):
    part = Map(from_four_bits()[0], None)
    kept = kept_of()
    kept.product("0.qkv", part, came_in=came_in_four_bits)
    kept.keep()
    (file,) = home().joinpath("packed").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    with caplog.at_level(logging.WARNING):
        anew = kept_of()
    assert str(file) in caplog.text
    assert anew.product("0.qkv", part, came_in=came_in_four_bits) is not None
    anew.keep()
    assert kept_of().product("0.qkv", part, came_in=never) is not None


def test_a_home_that_takes_no_files_is_told_and_nothing_fails(caplog):
    home().mkdir(parents=True, exist_ok=True)
    home().joinpath("packed").write_text("no folder")
    kept = kept_of()
    kept.product("0.qkv", Map(from_four_bits()[0], None), came_in=came_in_four_bits)
    with caplog.at_level(logging.WARNING):
        kept.keep()
    assert "each start finds them anew" in caplog.text


@torch.no_grad()
def test_an_lm_is_searched_at_its_first_packing_alone(monkeypatch, tmp_path):
    last = []
    for _ in range(2):
        lm = shapes.load("llama3", tmp_path)
        make_four_bits(lm)
        lm.fingerprint = FILES
        pack(lm)
        decoder = lm.decoder(1)
        last.append(decoder.prefill_many([decoder.join()], [lm.embed(torch.arange(5, 8))]).last)
        monkeypatch.setattr("fromage_model.language.lean.layers.came_in_four_bits", never)
    assert torch.equal(*last)


def test_an_lm_with_merged_lora_is_not_the_one_of_its_files(tmp_path):
    lm = shapes.load("llama3", tmp_path)
    make_four_bits(lm)
    lm.fingerprint, lm.has_merged_lora = FILES, True
    pack(lm)
    assert not home().joinpath("packed").exists()
