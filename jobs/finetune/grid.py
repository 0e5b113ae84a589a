"""What a model said and found, as TensorBoard shows it: a grid of pictures, and a table of captions. Knows no model.

Shapes: R rows, one for each item that was looked at; N pictures found.
"""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageOps

from fromage_model.errors import FromageError
from fromage_model.vision.images import decode_image
from jobs.finetune.seen import NEAREST, Seen

CELL_PX, GAP_PX = 96, 4
PAPER, MISSING = "white", "lightgray"


def grid_of(seen: Sequence[Seen], read: Callable[[str], bytes]) -> np.ndarray:
    """Each item's own picture, a gap, and those found by its name, best first -> (R * 100, (N + 1) * 100, 3) uint8 RGB.

    `read` gives a picture's bytes by its item's id; one that can't be read is a grey square.
    """
    step = CELL_PX + GAP_PX
    sheet = Image.new("RGB", ((NEAREST + 1) * step, max(1, len(seen)) * step), PAPER)
    for row, one in enumerate(seen):
        for column, id in enumerate([one.id, *(id for id, _ in one.nearest)]):
            sheet.paste(_cell(id, read), (column * step + (GAP_PX if column else 0), row * step))
    return np.asarray(sheet)


def captions_of(seen: Sequence[Seen]) -> str:
    """A Markdown table: an item's name, what the model says of its picture, the names of those it finds."""
    lines = ["| item | says | finds |", "| --- | --- | --- |"]
    for one in seen:
        found = ", ".join(caption for _, caption in one.nearest)
        lines.append(f"| {_plain(one.caption)} | {_plain(one.says)} | {_plain(found)} |")
    return "\n".join(lines)


def _cell(id: str, read: Callable[[str], bytes]) -> Image.Image:
    size = (CELL_PX, CELL_PX)
    try:
        return ImageOps.pad(decode_image(read(id), target_px=CELL_PX), size, color=PAPER)
    except (OSError, FromageError):
        return Image.new("RGB", size, MISSING)


def _plain(text: str) -> str:
    """On one line, with nothing that would end a cell of the table."""
    return " ".join(text.split()).replace("|", "/")
