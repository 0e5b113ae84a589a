"""Rows over transformers' own modules: what a row has read can be taken out, put into another, and gone on from."""

import pytest
import torch
from torch import Tensor

from fromage_model.language.model import LanguageModel, load_language_model

VOCABULARY = 200


@pytest.fixture(params=["chat", "opt"])
def lm(request, lms) -> LanguageModel:
    return load_language_model(getattr(lms, request.param), vocabulary=VOCABULARY, state_layers=(-1, 1))


def embedded(lm: LanguageModel, count: int, *, seed: int = 0) -> Tensor:
    return lm.embed(torch.randint(5, VOCABULARY, (count,), generator=torch.Generator().manual_seed(seed)))


def expected(lm: LanguageModel, embeddings: Tensor) -> tuple[Tensor, ...]:
    """The states at the last position, everything read at once."""
    states = lm(embeddings.unsqueeze(0))
    return (states.last[0, -1], *(layer[0, -1] for layer in states.layers))


def assert_at(states, place: int, wanted: tuple[Tensor, ...]) -> None:
    for found, one in zip((states.last, *states.layers), wanted, strict=True):
        torch.testing.assert_close(found[place], one, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_what_is_read_in_pieces_gives_the_states_of_what_is_read_at_once(lm):
    row = embedded(lm, 40)
    decoder = lm.decoder(2)
    number = decoder.join()
    for piece in row.split(7):
        states = decoder.prefill(number, piece)
    assert_at(states, 0, expected(lm, row))


@torch.inference_mode()
def test_a_row_goes_on_from_what_another_has_read_while_both_grow(lm):
    first, second = embedded(lm, 30), embedded(lm, 12, seed=1)
    decoder = lm.decoder(2)
    one = decoder.join()
    decoder.prefill(one, first)
    decoder.step(second[:1], [one])
    kept = decoder.export(one, 0, 20)
    other = decoder.join()
    decoder.load(other, kept)
    decoder.prefill(other, second)
    new = embedded(lm, 2, seed=2)
    states = decoder.step(new, [other, one])
    assert_at(states, 0, expected(lm, torch.cat([first[:20], second, new[:1]])))
    assert_at(states, 1, expected(lm, torch.cat([first, second[:1], new[1:]])))


@torch.inference_mode()
def test_positions_are_counted_after_the_opening(lm):
    opening, own = embedded(lm, 9), embedded(lm, 8, seed=1)
    decoder = lm.decoder(2)
    one, other = (decoder.join(lm.read_opening(opening)) for _ in range(2))
    decoder.prefill(one, own)
    decoder.load(other, decoder.export(one, 0, 5))
    states = decoder.prefill(other, own[5:])
    assert_at(states, 0, expected(lm, torch.cat([opening, own])))


@torch.inference_mode()
def test_what_is_forgotten_was_never_read(lm):
    own, new = embedded(lm, 8), embedded(lm, 2, seed=1)
    decoder = lm.decoder(1)
    row = decoder.join()
    decoder.prefill(row, own)
    decoder.step(new[:1], [row])
    decoder.forget_last([row])
    assert_at(decoder.step(new[1:], [row]), 0, expected(lm, torch.cat([own, new[1:]])))


@torch.inference_mode()
def test_a_step_without_a_row_that_has_begun_is_refused(lm):
    decoder = lm.decoder(2)
    rows = [decoder.join() for _ in range(2)]
    for row in rows:
        decoder.prefill(row, embedded(lm, 3))
    decoder.step(embedded(lm, 2), rows)
    with pytest.raises(RuntimeError, match="a step of 1 rows, and 2 have begun"):
        decoder.step(embedded(lm, 1), rows[:1])


def test_memory_is_counted_and_given_back(lm):
    decoder = lm.decoder(1)
    row = decoder.join()
    decoder.prefill(row, embedded(lm, 50))
    assert decoder.cache_bytes > 0
    decoder.leave(row)
    assert decoder.cache_bytes == 0
