"""What TensorBoard shows of a model: each item's picture and what was found beside it, and a table of captions."""

import io

import numpy as np
from PIL import Image

from jobs.finetune.grid import CELL_PX, GAP_PX, captions_of, grid_of
from jobs.finetune.seen import NEAREST, Seen

STEP = CELL_PX + GAP_PX
COLOURS = {"red": (255, 0, 0), "green": (0, 128, 0), "blue": (0, 0, 255)}


def read(id: str) -> bytes:
    if id not in COLOURS:
        raise FileNotFoundError(id)
    buffer = io.BytesIO()
    Image.new("RGB", (200, 200), COLOURS[id]).save(buffer, "PNG")
    return buffer.getvalue()


def seen(id: str, *nearest: str, says: str = "a square") -> Seen:
    return Seen(id, f"{id} square", held_out=True, says=says, nearest=[(one, f"{one} square") for one in nearest])


def test_each_row_is_an_item_and_what_its_name_finds_best_first():
    grid = grid_of([seen("red", "green", "blue"), seen("blue", "gone")], read)
    assert (grid.shape, grid.dtype) == ((2 * STEP, (NEAREST + 1) * STEP, 3), np.uint8)

    def at(row: int, column: int) -> tuple[int, ...]:
        return tuple(grid[row * STEP + CELL_PX // 2, column * STEP + CELL_PX // 2])

    assert [at(0, column) for column in range(3)] == [COLOURS["red"], COLOURS["green"], COLOURS["blue"]]
    assert at(0, 3) == (255, 255, 255)
    assert (at(1, 0), at(1, 1)) == (COLOURS["blue"], (211, 211, 211))


def test_a_caption_that_looks_like_a_table_stays_in_its_cell():
    table = captions_of([seen("red", "green", says="one | two\n| three |")])
    assert table.splitlines()[2:] == ["| red square | one / two / three / | green square |"]
