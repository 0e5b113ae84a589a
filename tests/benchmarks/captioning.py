"""Captions of a batch against the same captioner and code one picture at a time.

Both sides are the stage that jobs.caption runs in its actors, over the same pictures; they take turns, and the medians
of the rounds' ratios count.

    python -m tests.benchmarks.captioning
"""

import json
import statistics
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import pyarrow as pa
import tyro

from jobs.caption.stages import WriteCaptions
from tests.benchmarks.common.rounds import take_turns, times_as_fast

ONE, MANY = "one at a time", "in batches"
SIDE_PX = 224


@dataclass(frozen=True)
class Args:
    """Compare ways of captioning."""

    captioner: str = "default"
    """What writes the captions."""
    rows: int = 64
    """Pictures that get a caption in each turn."""
    batch_size: int = 64
    """Pictures whose captions are written together."""
    rounds: int = 3
    """Measured turns of each way, after one that is not."""
    threads: int = 2
    """Torch threads."""


def main(args: Args) -> dict:
    """-> what the JSON line says."""
    common = {"captioner": args.captioner, "device": "cpu", "threads": args.threads, "sampling": {}}
    stage = WriteCaptions(**common, batch_size=args.batch_size)
    rows = pictures(args.rows)

    def write(batch_size: int) -> pa.Table:
        stage.batch_size = batch_size
        return stage(rows)

    ways = {ONE: lambda: write(1), MANY: lambda: write(args.batch_size)}
    take_turns(ways, rounds=1)
    seconds = take_turns(ways, rounds=args.rounds)
    for name, taken in seconds.items():
        print(f"{name:14} {args.rows / statistics.median(taken):8.2f} captions/s")
    figures = {"speedup_over_one_at_a_time": round(times_as_fast(seconds[ONE], seconds[MANY]), 2)}
    print(json.dumps(figures))
    return figures


def pictures(count: int) -> pa.Table:
    """Smooth random colours, as the stage before hands pictures on."""
    draws = np.random.default_rng(0)
    data = [
        np.kron(draws.integers(0, 255, (7, 7, 3), dtype=np.uint8), np.ones((32, 32, 1), np.uint8)).tobytes()
        for _ in range(count)
    ]
    sides = pa.array([SIDE_PX] * count, pa.int32())
    return pa.table(
        {
            "row": list(range(1, count + 1)),
            "id": [f"{number:08d}" for number in range(count)],
            "image_sha256": [sha256(one).hexdigest() for one in data],
            "width": sides,
            "height": sides,
            "rgb": pa.array(data, pa.large_binary()),
        }
    )


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
