"""A training step of the job with short texts sharing rows (`--pack-positions`), against the same with padded rows.

The step is that of `jobs.finetune` over the default LM and a catalogue's own captions, wishes, conversations and
pictures: forward and backward. Both ways draw the same examples and noise, in turns, and must come to the same loss;
positions are counted where they go into the LM.

    python -m tests.benchmarks.sequence_packing --catalogue openmoji
"""

import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass

import torch
import tyro

from fromage_model.model.sequence_packing import pack_sequences
from fromage_model.storage.pretrained import DEFAULT_LANGUAGE_MODEL
from jobs.finetune.model_config import choose_layers
from jobs.finetune.settings import FinetuneArgs
from jobs.finetune.worker import Worker
from tests.benchmarks.common.rounds import take_turns, times_as_fast

PADDED, PACKED = "padded rows", "packed rows"


@dataclass(frozen=True)
class Args:
    """Compare a step with packed sequences to one with padded rows."""

    catalogue: str = "openmoji"
    """A catalogue with features."""
    features: str | None = None
    """Without it, those under the catalogue's name."""
    language_model: str = DEFAULT_LANGUAGE_MODEL
    """Frozen LM, as of jobs.finetune."""
    positions: int = 512
    """Of a packed row."""
    batch_size: int = 32
    """Items in a step."""
    rounds: int = 5
    """Steps of each way, after one that is not measured."""
    dtype: str = "float32"
    """Of the frozen LM."""
    threads: int = 2
    """Torch threads."""


def main(args: Args) -> dict[str, float]:
    """-> what the JSON line says."""
    torch.set_num_threads(args.threads)
    settings = FinetuneArgs(
        catalogue=args.catalogue,
        features=args.features or args.catalogue,
        language_model=args.language_model,
        batch_size=args.batch_size,
        dtype=args.dtype,
        reply_tokens=0,
        warm_start_steps=0,
    )
    worker = Worker(choose_layers(settings), rank=0, world_size=1)
    worker.model.train()
    read: dict[str, int] = {}
    drawn = {PADDED: 0, PACKED: 0}
    losses: dict[str, list[float]] = {PADDED: [], PACKED: []}

    def way(name: str, positions: int) -> Callable[[], None]:
        def step() -> None:
            examples = worker.sampler.draw(drawn[name], rank=0, world_size=1)
            torch.manual_seed(drawn[name])
            drawn[name] += 1
            pack_sequences(worker.model.lm, positions)
            hook = worker.model.lm.backbone.base_model.register_forward_pre_hook(
                lambda _, __, given: read.update({name: read.get(name, 0) + given["inputs_embeds"].shape[:2].numel()}),
                with_kwargs=True,
            )
            worker.model.zero_grad(set_to_none=True)
            loss = worker.step(examples)["loss"]
            loss.backward()
            hook.remove()
            losses[name].append(float(loss.detach()))

        return step

    steps = {PADDED: way(PADDED, 0), PACKED: way(PACKED, args.positions)}
    take_turns(steps, rounds=1)
    seconds = take_turns(steps, rounds=args.rounds)
    print(f"{args.catalogue}, batch {args.batch_size}, rows of up to {args.positions}, {args.dtype}")
    print(f"{'':16}{'s per step':>12}{'positions':>12}{'mean loss':>12}")
    for name, values in seconds.items():
        told = f"{statistics.median(values):12.3f}{read[name]:12,}{statistics.mean(losses[name]):12.4f}"
        print(f"{name:16}{told}", flush=True)
    apart = max(abs(one - other) for one, other in zip(losses[PADDED], losses[PACKED], strict=True))
    return {
        "speedup": round(times_as_fast(seconds[PADDED], seconds[PACKED]), 3),
        "positions": round(read[PACKED] / read[PADDED], 3),
        "losses_apart": round(apart, 6),
    }


if __name__ == "__main__":
    print(json.dumps(main(tyro.cli(Args, description=__doc__))))
