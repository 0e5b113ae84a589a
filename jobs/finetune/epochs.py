"""An epoch's steps, counted, told and kept, whatever model they train; one worker of several runs them.

What a step is, what is measured after an epoch, and what is saved of the model say the classes that are made of this.
"""

import dataclasses
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from fromage_model.language.precision import Precision
from fromage_model.model.sequence_packing import pack_sequences
from jobs.common.reporting.phases import Phases
from jobs.common.reporting.report import Progress
from jobs.finetune.checkpoints import STATE_FILE
from jobs.finetune.not_finite import Stop
from jobs.finetune.optimisation import Optimisation
from jobs.finetune.run_settings import RunArgs
from jobs.finetune.telling import Scalars, in_words
from jobs.finetune.workers import gather_objects, random_state, set_random_state

log = logging.getLogger(__name__)


@dataclass
class Place:
    """How far a run is: `step` steps in all; of the epoch that is under way the sums of its losses, and how many steps
    were skipped before it.
    """

    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    skipped_before: int = 0

    def add(self, losses: Mapping[str, float]) -> None:
        """One more step was made."""
        self.step += 1
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value


class EpochWorker(ABC):
    """A model that is trained, as one of several workers has it.

    A class of these sets `model`, `device`, `precision`, `optimisation` and `steps_per_epoch`.
    """

    model: Any
    """A torch module."""
    device: torch.device
    precision: Precision
    optimisation: Optimisation
    steps_per_epoch: int

    def __init__(self, args: RunArgs, *, rank: int, world_size: int, phases: Phases | None = None):
        self.phases = phases or Phases()
        self.args = args
        self.rank = rank
        self.world_size = world_size
        self.place = Place()

    def pack(self) -> None:
        """Have short sequences share rows, as the settings say."""
        compiled = self.args.compile and self.args.pack_positions is None
        pack_sequences(self.model.lm, 0 if compiled else self.args.pack_positions)

    @property
    @abstractmethod
    def examples(self) -> int:
        """How many are trained on."""

    def warm_start(self) -> None:  # noqa: B027  # by itself nothing
        """What comes before the first epoch of a run that starts."""

    def finish(self) -> None:  # noqa: B027  # by itself nothing
        """What comes after the last epoch, before it is saved."""

    @abstractmethod
    def validate(self) -> dict[str, float]:
        """What is measured after each epoch, by the first worker."""

    @abstractmethod
    def look(self) -> list[Any]:
        """What there is for people to look at in the end: dataclasses."""

    def show(self, seen: list[Any], writer: Scalars, epoch: int) -> None:  # noqa: B027  # by itself nothing
        """Have TensorBoard show what was looked at after an epoch."""

    @abstractmethod
    def save(self, folder: Path, *, epochs_done: int, lineage: dict[str, Any] | None = None) -> bool:
        """What going on needs and, with `lineage`, what the run is for as of now -> whether this worker wrote it.

        Every worker must call it.
        """

    @abstractmethod
    def load(self, folder: Path) -> int:
        """Lay what `save` wrote over this worker -> epochs done."""

    @abstractmethod
    def _step(self, step: int) -> dict[str, float]:
        """-> a step's losses; nothing where it was skipped. Raises NotFinite where skipping does not help."""

    def run_epoch(
        self, epoch: int, writer: Scalars | None, *, save: Callable[[], None] | None = None
    ) -> dict[str, float]:
        """-> the mean losses of the steps that were not skipped, the speed, and what validation measured.

        Goes on at `place`, where a checkpoint was taken within the epoch. `save` is called every `checkpoint_every`
        steps but for the epoch's last.
        """
        which = f"epoch {epoch + 1} of {self.args.epochs}"
        self.phases.begin(which)
        self.model.train()
        first, end = epoch * self.steps_per_epoch, (epoch + 1) * self.steps_per_epoch
        if self.place.step <= first:
            torch.manual_seed((self.args.seed * 1000 + epoch) * 1000 + self.rank)
            self.place = Place(first, skipped_before=self.optimisation.skipped_steps)
        then = (self.args.epochs - epoch - 1) * self.steps_per_epoch
        progress = Progress(which, total=self.steps_per_epoch, of="steps", then=then)
        before = self.place.step - first
        progress.go_on(done=before, failed=0)
        for step in range(self.place.step, end):
            losses = self._step(step)
            self.place.add(losses)
            if writer is not None:
                writer.add("train", losses | self.optimisation.figures(), step)
            if self.rank == 0:
                progress.add(1)
            every = self.args.checkpoint_every
            if save is not None and every and (step + 1) % every == 0 and step + 1 < end:
                save()
        figures = self._figures(before, progress.seconds) | self.validate()
        if writer is not None:
            writer.add("epoch", figures, epoch)
        if self.rank == 0:
            log.info("%s: %s", which, in_words(figures))
        return figures

    def _figures(self, before: int, seconds: float) -> dict[str, float]:
        """Of an epoch whose first `before` steps were done earlier, the others in `seconds`."""
        applied = self.steps_per_epoch - (self.optimisation.skipped_steps - self.place.skipped_before)
        figures = {name: total / applied for name, total in self.place.sums.items()} | self.optimisation.figures()
        figures["optimizer_steps"] = float(self.optimisation.steps)
        own = self.steps_per_epoch - before
        figures["examples_per_second"] = own * self.args.batch_size * self.world_size / seconds
        return figures

    def stop_at(self, step: int, why: str) -> Stop:
        """Where the run stops, its items still unsaid."""
        epoch, place = divmod(step, self.steps_per_epoch)
        dtype = str(self.precision.lm).removeprefix("torch.")
        return Stop(epoch + 1, place + 1, dtype, why, self.optimisation.skipped_in_a_row)

    def save_state(self, folder: Path, trained: Mapping[str, Any], *, epochs_done: int) -> bool:
        """`trained`, the optimizer, the place and every worker's random numbers -> whether this worker wrote them.

        Every worker must call it: their random numbers come together, and the first one writes.
        """
        random_states = gather_objects([random_state(self.device)])
        if self.rank != 0:
            return False
        state = {
            "epochs_done": epochs_done,
            "place": dataclasses.asdict(self.place),
            "random_states": random_states,
        }
        torch.save(state | dict(trained) | self.optimisation.state_dict(), folder / STATE_FILE)
        return True

    def load_state(self, folder: Path) -> dict[str, Any]:
        """Lay all but what is trained over this worker -> the whole of it."""
        state = torch.load(folder / STATE_FILE, map_location="cpu", weights_only=True)
        self.optimisation.load_state_dict(state)
        self.place = Place(**state["place"])
        set_random_state(state["random_states"][self.rank], self.device)
        return state
