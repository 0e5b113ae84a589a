"""Slots keep what their rows have read, wherever it is moved, and take memory for what is decoded."""

import pytest
import torch
from torch import Tensor

from fromage_model.language.lean.cache import FIRST_COLUMNS, Slots

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
