"""The lean forward gives the states and tokens of transformers' own modules, whoever joins, leaves or goes back."""

import pytest
import torch
from torch import Tensor

from fromage_model.errors import ConfigError
from fromage_model.language.lean.decoder import LeanDecoder
from fromage_model.language.lean.fused import why_not
from fromage_model.language.lean.model import LeanLM
from fromage_model.language.lean.weights import LeanWeights
from fromage_model.language.lora import add_lora, merge_into
from fromage_model.language.lora_settings import LoraSettings
from fromage_model.language.model import LanguageModel, load_language_model
from tests.fromage_model import families
from tests.fromage_model.language.lean import shapes

OPENING = 20
EVERY_LAYER = (0, 1, -2, 2, -1)
LENGTHS = (23, 41, 30)
STEPS = 24


@pytest.fixture(scope="module")
def lms(tmp_path_factory) -> dict[str, LanguageModel]:
    folder = tmp_path_factory.mktemp("lean")
    return {name: shapes.load(name, folder / name, state_layers=EVERY_LAYER) for name in shapes.NAMES}


@pytest.fixture(params=shapes.NAMES)
def lm(request, lms) -> LanguageModel:
    return lms[request.param]


def texts(lm: LanguageModel, *, seed: int = 0) -> list[Tensor]:
    """Embeddings of three texts that begin alike."""
    drawn = torch.Generator().manual_seed(seed)
    opening = torch.randint(5, 300, (OPENING,), generator=drawn)
    ids = [torch.randint(5, 300, (length + STEPS,), generator=drawn) for length in LENGTHS]
    return [
        lm.embed(torch.cat([opening, more]))[: length + STEPS].detach()
        for more, length in zip(ids, LENGTHS, strict=True)
    ]


def close(found, row: int, expected, at: int) -> None:
    """To 1e-4 of the layer's states, whose weights drawn wide make them larger from layer to layer."""
    pairs = zip((found.last, *found.layers), (expected.last, *expected.layers), strict=True)
    for one, other in pairs:
        torch.testing.assert_close(one[row], other[0, at], atol=1e-4 * max(1.0, float(other.std())), rtol=1e-4)


@torch.no_grad()
def greedy(lm: LanguageModel, embeddings: Tensor, *, count: int) -> list[int]:
    """Everything read again by transformers for each token."""
    ids: list[int] = []
    for _ in range(count):
        ids.append(int(lm.logits(lm(embeddings[None]).last[0, -1]).argmax()))
        embeddings = torch.cat([embeddings, lm.embed(torch.tensor(ids[-1:]))])
    return ids


def lean_lm(lm: LanguageModel, **options) -> LeanLM:
    return LeanLM(LeanWeights(lm, **options))


def lean_greedy(
    lean: LeanLM, decoder: LeanDecoder, lm: LanguageModel, rows: list[int], last: Tensor, *, count: int
) -> list[list[int]]:
    ids = [lean.logits(last).argmax(-1)]
    for _ in range(count - 1):
        ids.append(lean.logits(decoder.step(lm.embed(ids[-1]), rows).last).argmax(-1))
    return torch.stack(ids, dim=1).tolist()


@pytest.mark.parametrize("common", [0, OPENING])
@torch.no_grad()
def test_states_of_every_layer_are_those_of_transformers(lm, common):
    embeddings = texts(lm)
    expected = [lm(row[None]) for row in embeddings]
    model = lean_lm(lm)
    lean, opening = model.decoder(3), model.read_opening(embeddings[0][:common]) if common else None
    rows = []
    for place, (row, length) in enumerate(zip(embeddings, LENGTHS, strict=True)):
        rows.append(lean.join(opening))
        found = lean.prefill(rows[-1], row[common:length], every=True)
        for position in range(common, length):
            close(found, position - common, expected[place], position)
    for step in range(STEPS):
        new = torch.stack([row[length + step] for row, length in zip(embeddings, LENGTHS, strict=True)])
        found = lean.step(new, rows)
        for place, length in enumerate(LENGTHS):
            close(found, place, expected[place], length + step)
            assert lean.length(rows[place]) == length + step + 1


@torch.no_grad()
def test_greedy_tokens_are_those_of_transformers_and_many_are_different(lm):
    prompts = [row[:length] for row, length in zip(texts(lm, seed=1), LENGTHS, strict=True)]
    model = lean_lm(lm)
    lean, opening = model.decoder(3), model.read_opening(prompts[0][:OPENING])
    rows = [lean.join(opening) for _ in prompts]
    last = [lean.prefill(row, prompt[OPENING:]).last for row, prompt in zip(rows, prompts, strict=True)]
    found = lean_greedy(model, lean, lm, rows, torch.cat(last), count=32)
    assert found == [greedy(lm, prompt, count=32) for prompt in prompts]
    assert max(len(set(ids)) for ids in found) >= 10


@torch.no_grad()
def test_rows_with_and_without_the_opening_join_leave_and_go_back(lm):
    embeddings = texts(lm, seed=2)
    expected = [lm(row[None]) for row in embeddings]
    model = lean_lm(lm)
    lean, opening = model.decoder(3), model.read_opening(embeddings[0][:OPENING])
    first, second = lean.join(opening), lean.join()
    lean.prefill(first, embeddings[0][OPENING : LENGTHS[0]])
    lean.prefill(second, embeddings[1][: LENGTHS[1]])
    places = dict.fromkeys((0, 1), 0)

    def step(*rows: tuple[int, int]) -> None:
        new = torch.stack([embeddings[text][LENGTHS[text] + places[text]] for text, _ in rows])
        found = lean.step(new, [row for _, row in rows])
        for place, (text, _) in enumerate(rows):
            close(found, place, expected[text], LENGTHS[text] + places[text])
            places[text] += 1

    step((0, first), (1, second))
    step((1, second), (0, first))
    third = lean.join(opening)
    places[2] = 0
    lean.prefill(third, embeddings[2][OPENING:25])
    step((1, second))
    lean.prefill(third, embeddings[2][25 : LENGTHS[2]])
    step((0, first), (1, second), (2, third))
    lean.forget_last([first, third])
    places[0], places[2] = places[0] - 1, places[2] - 1
    step((0, first), (2, third))
    lean.leave(first)
    step((2, third), (1, second))
    again = lean.join(opening)
    lean.prefill(again, embeddings[0][OPENING : LENGTHS[0]])
    places[0] = 0
    for _ in range(4):
        step((2, third), (1, second), (0, again))


@torch.no_grad()
def test_a_prompt_in_chunks_or_from_what_another_row_read_is_as_in_one(lm):
    row, length = texts(lm, seed=3)[1], LENGTHS[1]
    expected = lm(row[None])
    model = lean_lm(lm)
    lean, opening = model.decoder(2), model.read_opening(row[:OPENING])
    whole = lean.join(opening)
    lean.prefill(whole, row[OPENING:length])
    kept = lean.export(whole, 0, 9)
    lean.leave(whole)
    chunked, loaded = lean.join(opening), lean.join(opening)
    for start in range(OPENING, length, 7):
        found = lean.prefill(chunked, row[start : min(length, start + 7)])
    close(found, 0, expected, length - 1)
    lean.load(loaded, kept)
    close(lean.prefill(loaded, row[OPENING + 9 : length]), 0, expected, length - 1)
    found = lean.step(row[length].repeat(2, 1), [chunked, loaded])
    close(found, 0, expected, length)
    close(found, 1, expected, length)


@pytest.mark.parametrize("name", ["smollm", "opt"])
@torch.no_grad()
def test_modules_that_let_go_of_their_weights_are_not_needed(name, tmp_path, lms):
    own = shapes.load(name, tmp_path)
    model = lean_lm(own, release=True)
    lean = model.decoder(1)
    prompt = texts(lms[name])[0][: LENGTHS[0]]
    row = lean.join()
    found = lean_greedy(model, lean, own, [row], lean.prefill(row, prompt).last, count=16)
    assert found == [greedy(lms[name], prompt, count=16)]
    with pytest.raises(RuntimeError):
        own(prompt[None])


def test_what_is_of_another_shape_or_patched_is_refused_with_a_reason(tmp_path):
    families.gpt2(tmp_path / "gpt2")
    other = load_language_model(tmp_path / "gpt2", vocabulary=shapes.VOCABULARY)
    with pytest.raises(ConfigError, match="no lean step for this LM: GPT2Model is of another shape"):
        LeanWeights(other)
    packed = shapes.load("smollm", tmp_path / "packed")
    packed.pack_modules()
    assert "PackedLinear" in (why_not(packed) or "")
    trained = shapes.load("llama3", tmp_path / "lora")
    add_lora(trained, LoraSettings(rank=2))
    assert "LoRA" in (why_not(trained) or "")
    merge_into(trained)
    assert why_not(trained) is None


@torch.no_grad()
def test_pieces_of_several_rows_in_one_pass_are_as_each_alone(lm):
    embeddings = texts(lm, seed=5)
    model = lean_lm(lm)
    lean, opening = model.decoder(3), model.read_opening(embeddings[0][:OPENING])
    rows = [lean.join(opening), lean.join(), lean.join(opening)]
    starts = (OPENING, 0, OPENING)
    lean.prefill_many(rows, [row[start : start + 2 + start % 7] for row, start in zip(embeddings, starts, strict=True)])
    starts = tuple(start + 2 + start % 7 for start in starts)
    stops = (LENGTHS[0] + 10, LENGTHS[1], LENGTHS[2] + 5)
    pieces = [row[start:stop] for row, start, stop in zip(embeddings, starts, stops, strict=True)]
    found = lean.prefill_many(rows, pieces)
    for place, (row, stop) in enumerate(zip(embeddings, stops, strict=True)):
        close(found, place, lm(row[None]), stop - 1)


@torch.no_grad()
def test_rows_share_one_opening_and_there_are_no_more_than_slots(lms):
    model = lean_lm(lms["smollm"])
    one, other = (model.read_opening(row[:OPENING]) for row in texts(lms["smollm"])[:2])
    lean = model.decoder(2)
    row = lean.join(one)
    with pytest.raises(RuntimeError, match="rows begin with another opening"):
        lean.join(other)
    lean.join()
    with pytest.raises(RuntimeError, match="all 2 slots are taken"):
        lean.join()
    lean.leave(row)
    lean.join(other)


@torch.no_grad()
def test_a_prompt_of_no_positions_is_refused(lms):
    lean = lean_lm(lms["smollm"]).decoder(1)
    with pytest.raises(ValueError, match="no positions to read; expected 1 or more"):
        lean.prefill(lean.join(), torch.zeros(0, 32))
