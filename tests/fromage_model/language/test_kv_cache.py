"""The cache takes memory for what is decoded, and not for what could be; what it holds stays where it moves it."""

import pytest
import torch
from torch import Tensor

from fromage_model.language import kv_cache
from fromage_model.language.kv_cache import SlotCache

HEADS, WIDTH, LAYERS, SLOTS = 2, 4, 2, 8
COLUMN_BYTES = 2 * LAYERS * HEADS * WIDTH * 4
LONG = 3000


@pytest.fixture
def cache() -> SlotCache:
    return SlotCache(layers=LAYERS, slots=SLOTS, device=torch.device("cpu"))


def bytes_of(cache: SlotCache) -> int:
    kept = [states for layer in cache.layers for states in (layer.keys, layer.values)]
    return sum(states.nbytes for states in kept if states is not None)


def numbers(rows: int, new: int, *, seed: int) -> Tensor:
    return torch.randn(rows, HEADS, new, WIDTH, generator=torch.Generator().manual_seed(seed))


def read(cache: SlotCache, lengths: list[int], *, seed: int = 0) -> list[Tensor]:
    """Prompts of these lengths join -> the keys of each, in the last layer."""
    keys = [numbers(1, length, seed=seed + 1000 * place) for place, length in enumerate(lengths)]
    for row in keys:
        cache.admit([(row, -row)] * LAYERS)
    return [row[0] for row in keys]


def step(cache: SlotCache, *, seed: int) -> tuple[Tensor, Tensor]:
    """One position more -> the keys that were written, and all that the pass sees, in the last layer."""
    cache.extend()
    keys = numbers(len(cache.lengths), 1, seed=seed)
    for layer in range(LAYERS):
        seen, values = cache.update(keys, -keys, layer)
    assert torch.equal(values, -seen)
    return keys, seen


def test_one_long_row_takes_memory_for_itself_and_little_more(cache):
    read(cache, [20])
    cache.leave(0)
    read(cache, [LONG])
    for place in range(600):
        step(cache, seed=place)
    assert bytes_of(cache) <= (LONG + 600 + 2 * kv_cache.MOST_SPARE) * COLUMN_BYTES


def test_rows_of_any_length_keep_what_was_read_while_others_join_and_memory_grows(cache):
    rows = [read(cache, [30])[0]]
    for place, length in enumerate([5, 80, 3, 700, 9, 31]):
        rows.append(read(cache, [length], seed=place)[0])
        for time in range(40):
            keys, seen = step(cache, seed=100 * place + time)
            rows = [torch.cat([row, new], dim=1) for row, new in zip(rows, keys, strict=True)]
    for row, found, length in zip(rows, seen, cache.lengths, strict=True):
        assert length == row.shape[1]
        assert torch.equal(found[:, -length:], row)
        assert not found[:, :-length].isnan().any()


def test_a_large_cache_is_given_back_when_its_last_row_leaves_and_a_small_one_is_kept(cache, monkeypatch):
    monkeypatch.setattr(kv_cache, "KEPT_BYTES", 100 * COLUMN_BYTES)
    read(cache, [40])
    cache.leave(0)
    assert bytes_of(cache) > 0
    read(cache, [90, 20])
    cache.leave(1)
    assert bytes_of(cache) > 0
    cache.leave(0)
    assert bytes_of(cache) == 0
    (first,) = read(cache, [7], seed=3)
    second, seen = step(cache, seed=4)
    assert torch.equal(seen[0], torch.cat([first, second[0]], dim=1))
