"""A loss that is no number: what is said of it, and the table of the items of that step. Knows no optimizer.

Every worker of a step takes the same gradient, so all of them stop at the same step, and each knows all its items.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fromage_model.catalogue import Item
from fromage_model.catalogue.schema import Failure
from fromage_model.catalogue.table import FAILURES_FILE, write_failures
from fromage_model.errors import FromageError
from jobs.finetune.workers import gather_objects

NAMED = 8
"""Ids that the message names; the table has all."""
RATES = "--ret-learning-rate, --prefix-learning-rate, --head-learning-rate"
TO_TRY = {
    "bfloat16": "; or dtype float32",
    "float16": "; or dtype bfloat16 or float32",
}


@dataclass(frozen=True)
class Stop:
    """Where a run stopped, epoch and step counted from 1; `attempts`: steps in a row that came to nothing.

    `items`: each item of the step once, as its position among those that are trained on, and its worker's losses in
    words; those of workers whose own losses are no numbers come first.
    """

    epoch: int
    step: int
    dtype: str
    why: str
    attempts: int
    items: tuple[tuple[int, str], ...] = ()

    def at(self, places: Sequence[int], losses: Mapping[str, float]) -> "Stop":
        """The same with the items of all workers; each must call it, with its own items' places."""
        told = ", ".join(f"{name} {value:.4g}" for name, value in losses.items())
        well = all(math.isfinite(value) for value in losses.values())
        every = gather_objects([(well, place, told) for place in dict.fromkeys(places)])
        seen: dict[int, str] = {}
        for _, place, told in sorted(every):
            seen.setdefault(place, told)
        return dataclasses.replace(self, items=tuple(seen.items()))

    @property
    def stage(self) -> str:
        return f"epoch {self.epoch}, step {self.step}"

    def in_words(self, losses: str) -> str:
        return f"{self.why} in {self.dtype}: {losses}"


class NotFinite(FromageError, FloatingPointError):
    """A training that can't go on: a loss or a gradient is no number. The message names epoch, step, dtype and items.

    `ids` are those of all items that are trained on; `table` is where more stands of the step's.
    """

    def __init__(self, stop: Stop, ids: Sequence[str], *, table: Path | None = None, rates: str = RATES):
        self.stop = stop
        own = [ids[place] for place, _ in stop.items]
        more = f" and {len(own) - NAMED} more" if len(own) > NAMED else ""
        where = f" ({table} has all, with the losses)" if table else ""
        super().__init__(
            f"{stop.stage}: {stop.why}, in {stop.dtype}. Its items: {', '.join(own[:NAMED])}{more}{where}. "
            f"Look at their captions; where the losses rose before, try lower rates ({rates})"
            f"{TO_TRY.get(stop.dtype, '')}"
        )

    def __reduce__(self) -> tuple:
        """It crosses processes as its message and its stop: made anew, it would need the ids of all items."""
        return type(self).__new__, (type(self), *self.args), self.__dict__


class StatesNotFinite(FromageError, FloatingPointError):
    """What the frozen LM makes of texts is no number in its dtype; the message says what to try."""


def refused(stop: Stop, items: Sequence[Item], folder: Path, *, left_out: Sequence[Failure] = ()) -> NotFinite:
    """Write the table of the step's items, after those left out, into `folder`, the run's -> the error to be raised.

    `row` is an item's place among `items`, which are those that are trained on, from 1.
    """
    write_stop(stop, [(item.id, item.image) for item in items], folder, left_out=left_out)
    return NotFinite(stop, [item.id for item in items], table=folder / FAILURES_FILE)


def write_stop(stop: Stop, items: Sequence[tuple[str, str]], folder: Path, *, left_out: Sequence[Failure] = ()) -> None:
    """The step's items in failures.parquet, beside those `left_out` of the training; `items` are ids and pictures of
    all that are trained on.
    """
    failures = [
        Failure(
            row=place + 1,
            id=items[place][0],
            image=items[place][1],
            stage=stop.stage,
            error=NotFinite.__name__,
            message=stop.in_words(losses),
            attempts=stop.attempts,
            failed_at=datetime.now(UTC),
        )
        for place, losses in stop.items
    ]
    write_failures(folder, [*left_out, *failures])
