"""A prompt is read in pieces of any size, after an opening or not, as transformers' modules read it at once."""

import pytest
import torch
from torch import Tensor

from fromage_model.language.lean.model import LeanLM
from fromage_model.language.lean.weights import LeanWeights
from fromage_model.language.model import LanguageModel
from tests.fromage_model.language.lean import shapes

OPENING = 20
COUNT = 92
"""Positions of a prompt; the smallest of the LMs has 96."""
PIECES = {"of one": (1,), "short": (16, 3), "long": (COUNT,), "growing": (1, 2, 5, 11, 23, 40)}


@pytest.fixture(scope="module", params=shapes.NAMES)
def lm(request, tmp_path_factory) -> LanguageModel:
    return shapes.load(request.param, tmp_path_factory.mktemp("reading"))


def read(model: LeanLM, prompt: Tensor, *, opening: int, pieces: tuple[int, ...]) -> Tensor:
    """-> the last states of all positions behind the opening."""
    lean = model.decoder(1)
    row = lean.join(model.read_opening(prompt[:opening]) if opening else None)
    states, at, turn = [], opening, 0
    while at < len(prompt):
        states.append(lean.prefill(row, prompt[at : at + pieces[turn % len(pieces)]], every=True).last)
        at, turn = at + len(states[-1]), turn + 1
    return torch.cat(states)


def prompt_of(lm: LanguageModel) -> Tensor:
    return lm.embed(torch.randint(5, 300, (COUNT,), generator=torch.Generator().manual_seed(0))).detach()


@pytest.mark.parametrize("opening", [0, OPENING])
@torch.no_grad()
def test_pieces_of_any_size_are_as_all_at_once(lm, opening):
    prompt = prompt_of(lm)
    model, expected = LeanLM(LeanWeights(lm)), lm(prompt[None]).last[0, opening:]
    for pieces in PIECES.values():
        found = read(model, prompt, opening=opening, pieces=pieces)
        torch.testing.assert_close(found, expected, atol=1e-4 * max(1.0, float(expected.std())), rtol=1e-4)


@torch.no_grad()
def test_one_masked_call_as_other_devices_take_it_is_as_in_parts(lm, monkeypatch):
    prompt = prompt_of(lm)
    model = LeanLM(LeanWeights(lm))
    expected = read(model, prompt, opening=OPENING, pieces=(16, 3))
    monkeypatch.setattr("fromage_model.language.lean.reading.keeps_sums", lambda device: False)
    found = read(model, prompt, opening=OPENING, pieces=(16, 3))
    torch.testing.assert_close(found, expected, atol=1e-4 * max(1.0, float(expected.std())), rtol=1e-4)
