"""Steps in rungs, captured and done again, give what steps of their own size give, whoever joins, leaves or goes back.

Captured on a GPU where there is one; everywhere on a tape, which like a graph repeats what was recorded.
"""

import random
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fromage_model.language.decoder import NewStates
from fromage_model.language.lean import graphs
from fromage_model.language.lean.cache import FIRST_COLUMNS
from fromage_model.language.lean.decoder import LeanDecoder
from fromage_model.language.lean.graphs import rung, rungs
from fromage_model.language.lean.model import LeanLM
from fromage_model.language.lean.reading import Opening
from fromage_model.language.lean.weights import LeanWeights
from fromage_model.language.model import LanguageModel
from tests.fromage_model.language.lean import shapes
from tests.fromage_model.language.lean.tape import Tape

OPENING = 20
SLOTS = 6
NAMES = ("smollm", "llama3", "biases", "mistral, window", "opt", "opt_350m", "opt, projections")


@pytest.fixture(scope="module")
def lms(tmp_path_factory) -> dict[str, LanguageModel]:
    folder = tmp_path_factory.mktemp("graphs")
    return {name: shapes.load(name, folder / name, state_layers=(0, 1, -1)) for name in NAMES}


def embeddings(count: int, drawn: random.Random, lm: LanguageModel) -> Tensor:
    return lm.embed(torch.tensor([drawn.randrange(5, 300) for _ in range(count)], device=lm.device)).detach()


def assert_close(found: NewStates, expected: NewStates) -> None:
    precision = 1e-5 if found.last.device.type == "cpu" else 1e-4
    for one, other in zip((found.last, *found.layers), (expected.last, *expected.layers), strict=True):
        torch.testing.assert_close(one, other, atol=precision * max(1.0, float(other.std())), rtol=precision)


@dataclass
class Both:
    """The same is done to two, of which the second goes in rungs; what they give is compared."""

    lm: LanguageModel
    opening: Opening
    plain: LeanDecoder
    laddered: LeanDecoder
    drawn: random.Random
    rows: list[int] = field(default_factory=list)
    sizes: set[int] = field(default_factory=set)

    def able(self) -> list[int]:
        """Rows whose position is not the LM's last."""
        return [row for row in self.rows if self.plain.length(row) < self.lm.max_positions]

    def join(self) -> None:
        opening = self.opening if self.drawn.random() < 0.7 else None
        row, same = self.plain.join(opening), self.laddered.join(opening)
        assert row == same
        self.rows.append(row)
        prompt = embeddings(self.drawn.randrange(1, 50), self.drawn, self.lm)
        assert_close(self.laddered.prefill(row, prompt), self.plain.prefill(row, prompt))

    def leave(self) -> None:
        row = self.rows.pop(self.drawn.randrange(len(self.rows)))
        self.plain.leave(row)
        self.laddered.leave(row)

    def forget(self) -> None:
        rows = [row for row in self.rows if self.plain.slots.length(row) > 1 and self.drawn.random() < 0.5]
        self.plain.forget_last(rows)
        self.laddered.forget_last(rows)

    def step(self) -> None:
        rows = self.drawn.sample(self.able(), self.drawn.randint(1, len(self.able())))
        for _ in range(self.drawn.randint(1, 6)):
            if set(rows) <= set(self.able()):
                new = embeddings(len(rows), self.drawn, self.lm)
                assert_close(self.laddered.step(new, rows), self.plain.step(new, rows))
                self.sizes.add(len(rows))

    def do_anything(self) -> None:
        if not self.able() or (len(self.rows) < SLOTS and self.drawn.random() < 0.3):
            (self.join if len(self.rows) < SLOTS else self.leave)()
        else:
            self.drawn.choices([self.step, self.leave, self.forget], weights=[8, 1, 1])[0]()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("way", ["called", "taped"])
@torch.no_grad()
def test_steps_in_rungs_give_the_states_of_steps_of_their_own_size(lms, monkeypatch, name, way):
    if way == "taped":
        monkeypatch.setattr(graphs, "Graph", Tape)
    lm, drawn = lms[name], random.Random(name)
    lean = LeanLM(LeanWeights(lm))
    plain, laddered = (LeanDecoder(lean.weights, slots=SLOTS, ladder=ladder) for ladder in (False, True))
    both = Both(lm, lean.read_opening(embeddings(OPENING, drawn, lm)), plain, laddered, drawn)
    for _ in range(80):
        both.do_anything()
    assert both.sizes >= {1, 2, 3, 5}
    assert laddered.slots.columns > FIRST_COLUMNS


@torch.no_grad()
def test_every_rung_is_captured_once_and_again_when_the_cache_has_moved_or_the_opening_is_another(lms, monkeypatch):
    taped = []
    monkeypatch.setattr(graphs, "Graph", lambda *given: taped.append(Tape(*given)) or taped[-1])
    lm, drawn = lms["smollm"], random.Random(0)
    lean = LeanLM(LeanWeights(lm))
    openings = [lean.read_opening(embeddings(OPENING, drawn, lm)) for _ in range(2)]
    decoder = LeanDecoder(lean.weights, slots=5, ladder=True)
    assert decoder.warm(openings[0]) == len(taped) == 4  # 1, 2, 4 and 5 rows of 64 columns
    rows = [decoder.join(openings[0]) for _ in range(3)]
    for row in rows:
        decoder.prefill(row, embeddings(30, drawn, lm))
    for count in (1, 2, 3, 3, 2, 1):
        decoder.step(embeddings(count, drawn, lm), rows[:count])
    assert len(taped) == 4
    decoder.prefill(rows[0], embeddings(40, drawn, lm))
    for count in (3, 2, 3):
        decoder.step(embeddings(count, drawn, lm), rows[:count])
    assert len(taped) == 6  # 4 and 2 rows of 128 columns
    for row in rows:
        decoder.leave(row)
    row = decoder.join(openings[1])
    decoder.prefill(row, embeddings(3, drawn, lm))
    decoder.step(embeddings(1, drawn, lm), [row])
    assert len(taped) == 7
    assert decoder.warm(openings[1]) == 8  # what was captured before is let go of


@torch.no_grad()
def test_states_are_the_callers_to_keep(lms, monkeypatch):
    monkeypatch.setattr(graphs, "Graph", Tape)
    lm, drawn = lms["opt"], random.Random(0)
    decoder = LeanDecoder(LeanWeights(lm), slots=2, ladder=True)
    row = decoder.join()
    decoder.prefill(row, embeddings(3, drawn, lm))
    first = decoder.step(embeddings(1, drawn, lm), [row])
    kept = NewStates(first.last.clone(), tuple(layer.clone() for layer in first.layers))
    decoder.step(embeddings(1, drawn, lm), [row])
    assert_close(first, kept)


@pytest.mark.parametrize("name", ["smollm", "opt"])
@pytest.mark.parametrize("ladder", [False, True])
@torch.no_grad()
def test_a_cache_of_bfloat16_gives_about_the_states_of_one_of_float32(lms, name, ladder):
    lm, drawn = lms[name], random.Random(0)
    prompt, new = embeddings(12, drawn, lm), embeddings(1, drawn, lm)
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        decoder = LeanDecoder(LeanWeights(lm, cache_dtype=dtype), slots=1, ladder=ladder)
        row = decoder.join()
        decoder.prefill(row, prompt)
        found.append(decoder.step(new, [row]).last)
    assert F.cosine_similarity(*found) > 0.99


def test_rungs_double_up_to_the_most():
    assert rungs(first=1, most=6) == [1, 2, 4, 6]
    assert rungs(first=64, most=256) == [64, 128, 256]
    assert rungs(first=64, most=40) == [40]
    for most in (1, 6, 16):
        for count in range(1, most + 1):
            assert rung(count, first=1, most=most) == min(size for size in rungs(first=1, most=most) if size >= count)


@pytest.mark.gpu
@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_captured_steps_give_the_states_of_steps_that_are_not(name, tmp_path):
    lm, drawn = shapes.load(name, tmp_path, state_layers=(0, 1, -1), device="cuda"), random.Random(name)
    lean = LeanLM(LeanWeights(lm))
    plain, captured = (LeanDecoder(lean.weights, slots=SLOTS, ladder=ladder) for ladder in (False, True))
    both = Both(lm, lean.read_opening(embeddings(OPENING, drawn, lm)), plain, captured, drawn)
    for _ in range(80):
        both.do_anything()
