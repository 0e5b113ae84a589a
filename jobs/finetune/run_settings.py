"""What a training of either model is told alike: its data, its pace, where it runs, and what it survives."""

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from fromage_model.errors import ConfigError
from fromage_model.language.precision import NAMES as DTYPES
from fromage_model.storage.pretrained import DEFAULT_LANGUAGE_MODEL
from jobs.common.options import check_options

NOT_LEARNED = frozenset(
    (
        *("out", "run", "force", "threads", "cpus_per_worker", "use_gpu", "compile", "pack_positions"),
        *("max_failures", "checkpoints", "checkpoint_every"),
    )
)
"""Settings of place, names and patience, which change nothing that is learned.

Threads, a GPU, compiled layers and packed sequences change results in their last bits, by the order of sums. A run may
go on with others, where there is no compiler for example; to the bit it ends as an undisturbed one only with the same.
"""


@dataclass(frozen=True)
class RunArgs:
    """Of one run, whatever it trains."""

    catalogue: str = "wardrobe"
    """Catalogue to train on: a name, a folder, or a URI."""
    out: str = "tuned"
    """Name or folder of what is made."""
    run: str | None = None
    """Name of the run, under which it is resumed. Without it, made of the settings."""
    language_model: str = DEFAULT_LANGUAGE_MODEL
    """Frozen LM: the embedded default, a hub id, or a local folder."""
    epochs: int = 2
    """Passes over what is trained on."""
    batch_size: int = 32
    """Examples per step and worker."""
    accumulate: int = 1
    """Parts into which a worker's step is cut, one after the other, where memory has no room for all of it."""
    validation: float = 0.0
    """Share of what is trained on, whole groups by hash, that is left out and measured after each epoch."""
    seed: int = 0
    """Of initialisation, order and noise."""
    workers: int = 1
    """Ray Train workers; each holds a frozen LM."""
    threads: int = 2
    """Torch threads of each worker on a CPU."""
    cpus_per_worker: float = 1.0
    """CPUs that each worker reserves."""
    use_gpu: bool = False
    """Give each worker a GPU; gradients then go over NCCL."""
    dtype: str = "auto"
    """Of the frozen LM: auto, float32, bfloat16, or float16 with a scaled loss. What is trained is float32."""
    compile: bool = False
    """Let torch compile the LM's layers for steps with a gradient: the first steps take up to minutes more, on a CPU
    the others are no faster, and results differ in their last bits; not measured on a GPU. Needs a C++ compiler (g++)
    on each worker's machine; for a GPU a C compiler."""
    pack_positions: int | None = None
    """Put short sequences one behind the other in rows of up to so many positions, so that fewer are padding; each sees
    itself alone. 0 gives each a row of its own. Without it, 512 on a CPU where the LM can and nothing is compiled: a
    quarter to a third faster; not measured on a GPU."""
    max_failures: int = 2
    """Times that a lost worker is replaced before the job fails."""
    checkpoints: str | None = None
    """Folder or URI (s3://bucket/folder) below which checkpoints lie. Without it, the run's folder."""
    checkpoint_every: int = 200
    """Steps between checkpoints within an epoch, beside those after each epoch; 0 for these alone."""
    force: bool = False
    """Train again where the run is complete."""

    def __post_init__(self):
        """Raises ConfigError."""
        check_options(
            self,
            positive=("batch_size", "accumulate", "workers", "threads"),
            not_negative=("epochs", "checkpoint_every", "pack_positions"),
        )
        if not 0 <= self.validation < 1:
            raise ConfigError(f"validation is {self.validation}; expected a share from 0 to below 1, for example 0.1")
        if self.dtype not in DTYPES:
            raise ConfigError(f"dtype is {self.dtype!r}; expected one of {', '.join(DTYPES)}")
        if self.accumulate > self.batch_size:
            raise ConfigError(f"accumulate is {self.accumulate}; expected at most the batch_size, {self.batch_size}")

    def learned(self, *, without: Collection[str]) -> dict[str, Any]:
        """The settings by name that decide what is learned, but for these, which are not used."""
        other = NOT_LEARNED.union(without)
        return {name: value for name, value in dataclasses.asdict(self).items() if name not in other}
