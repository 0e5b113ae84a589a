"""What a run tells of its figures: in words, as TensorBoard's scalars, and as lines that its page draws curves of."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

LINES_FILE = "figures.jsonl"


def in_words(figures: Mapping[str, float]) -> str:
    """`loss 2.314, skipped steps 0`."""
    return ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in figures.items())


class Scalars:
    """TensorBoard's events in `folder`, and a line of JSON for each step and epoch beside them.

    What an earlier try told of epochs from `epoch` on, and of steps from `step` on, is told anew.
    """

    def __init__(self, folder: str, *, epoch: int, step: int):
        from tensorboardX import SummaryWriter

        self._events = SummaryWriter(folder, purge_step=step or None)
        first = {"train": step, "epoch": epoch}
        kept = [line for line in read_lines(Path(folder)) if line["at"] < first[line["kind"]]]
        path = Path(folder, LINES_FILE)
        path.write_text("".join(json.dumps(line) + "\n" for line in kept))
        self._lines = path.open("a", buffering=1)  # a line at a time: who follows them sees each step

    def add(self, kind: str, figures: Mapping[str, float], at: int) -> None:
        """`kind` is `train`, at a step, or `epoch`, at an epoch, both counted from 0."""
        for name, value in figures.items():
            self._events.add_scalar(f"{kind}/{name}", value, at)
        self._lines.write(json.dumps({"kind": kind, "at": at, **figures}) + "\n")

    def show(self, captions: str, grid: np.ndarray, at: int) -> None:
        """What the model says, as Markdown, and finds, (H, W, 3) uint8 RGB, after an epoch counted from 0."""
        self._events.add_text("seen/captions", captions, at)
        self._events.add_image("seen/retrieved", grid, at, dataformats="HWC")
        self._events.flush()

    def close(self) -> None:
        self._events.close()
        self._lines.close()


def read_lines(folder: Path) -> Iterator[dict[str, Any]]:
    """What `Scalars` wrote into `folder`, without a line that a killed worker left half-written."""
    path = folder / LINES_FILE
    for line in path.read_text().splitlines() if path.is_file() else []:
        if line.endswith("}"):
            yield json.loads(line)
