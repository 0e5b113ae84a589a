"""Slots keep what their rows have read, wherever it is moved, and take memory for what is decoded."""

import pytest
import torch
from torch import Tensor

from fromage_model.errors import ConfigError
from fromage_model.language.lean import cache
from fromage_model.language.lean.cache import FIRST_COLUMNS, MOST_SPARE, Slots, columns_that_fit
from fromage_model.language.lean.fused import shape_of
from tests.fromage_model.language.lean import shapes

HEADS, WIDTH, LAYERS, SLOTS = 2, 4, 2, 4
COLUMN_BYTES = 2 * LAYERS * HEADS * WIDTH * 4


@pytest.fixture
def slots() -> Slots:
    sizes = {"layers": LAYERS, "slots": SLOTS, "key_heads": HEADS, "head_width": WIDTH}
    return Slots(**sizes, dtype=torch.float32, device=torch.device("cpu"))


def read(slots: Slots, row: int, count: int, *, seed: int) -> Tensor:
    """-> (L, K, 2, N, E) that the row has read."""
    states = torch.randn(LAYERS, HEADS, 2, count, WIDTH, generator=torch.Generator().manual_seed(seed))
    slots.load(row, states)
    return states


def test_a_row_keeps_what_it_read_wherever_it_is_moved(slots):
    rows = [slots.join() for _ in range(3)]
    kept = {row: read(slots, row, 5 + 9 * row, seed=row) for row in rows}
    for order in (rows[::-1], [rows[1]], [rows[2], rows[0]]):
        slots.bring_forward(order)
        assert [slots.slot(row) for row in order] == list(range(len(order)))
        for row, states in kept.items():
            torch.testing.assert_close(slots.export(row, 0, slots.length(row)), states)
            assert int(slots.device_lengths[slots.slot(row)]) == slots.length(row) == states.shape[3]
    slots.leave(rows[1])
    slots.bring_forward([rows[0], rows[2]])
    for row in (rows[0], rows[2]):
        torch.testing.assert_close(slots.export(row, 0, slots.length(row)), kept[row])


def test_columns_and_rows_grow_by_doubling_and_nothing_is_lost(slots):
    assert slots.size_bytes == FIRST_COLUMNS * COLUMN_BYTES
    first = slots.join()
    states = read(slots, first, FIRST_COLUMNS, seed=0)
    assert slots.size_bytes == FIRST_COLUMNS * COLUMN_BYTES
    more = read(slots, first, 1, seed=1)
    assert slots.size_bytes == 2 * FIRST_COLUMNS * COLUMN_BYTES
    slots.join(), slots.join()
    assert slots.size_bytes == 2 * FIRST_COLUMNS * COLUMN_BYTES * SLOTS
    torch.testing.assert_close(slots.export(first, 0, FIRST_COLUMNS + 1), torch.cat([states, more], dim=3))


def test_what_was_read_last_is_written_over_once_it_is_forgotten(slots):
    row = slots.join(start=7)
    kept = read(slots, row, 3, seed=0)
    read(slots, row, 1, seed=1)
    slots.advance([row], -1)
    again = read(slots, row, 1, seed=2)
    torch.testing.assert_close(slots.export(row, 0, 4), torch.cat([kept, again], dim=3))
    assert (slots.start(row), slots.length(row)) == (7, 4)


def test_a_number_does_not_come_again(slots):
    first = slots.join()
    slots.leave(first)
    assert slots.join() != first
    with pytest.raises(KeyError):
        slots.length(first)


def test_the_cache_of_a_gpu_takes_what_is_free_and_says_how_many_slots_would_fit(tmp_path):
    shape = shape_of(shapes.load("smollm", tmp_path))
    column_bytes = 2 * shape.depth * shape.key_heads * shape.head_width * 2
    fit = {"dtype": torch.bfloat16, "slots": 8}
    assert columns_that_fit(shape, free_bytes=8 * 640 * column_bytes, **fit) == 640
    assert columns_that_fit(shape, free_bytes=8 * 640 * column_bytes - 1, **fit) == 576
    with pytest.raises(ConfigError, match=r"slots: 8 rows take at least .* MB may be taken; 7 would fit"):
        columns_that_fit(shape, free_bytes=8 * 64 * column_bytes - 1, **fit)


def test_memory_that_is_taken_at_once_does_not_move():
    sizes = {"layers": 1, "slots": 3, "key_heads": 1, "head_width": 4, "columns": 100, "spare": 1}
    slots = Slots(**sizes, dtype=torch.float32, device=torch.device("cpu"))
    for row in [slots.join() for _ in range(3)]:
        slots.load(row, torch.zeros(1, 1, 2, 99, 4))
    assert slots.generation == 0
    slots.make_room([row], 1)
    assert (slots.generation, slots.columns) == (1, 200)


def test_one_long_row_takes_memory_for_itself_and_little_more_and_gives_it_back(monkeypatch):
    monkeypatch.setattr(cache, "KEPT_BYTES", 100_000)
    slots = Slots(layers=2, slots=8, key_heads=2, head_width=4, dtype=torch.float32, device=torch.device("cpu"))
    small, before = slots.size_bytes, slots.generation
    row = slots.join()
    slots.make_room([row], 3000)
    assert slots.columns <= 3000 + MOST_SPARE
    slots.leave(row)
    assert slots.size_bytes == small
    assert slots.generation > before
    slots.make_room([slots.join()], 5)
