"""Shards that this process does itself, without Ray. Knows nothing of what a stage does.

One shard is one worker's at a time, however many there are: what Ray would add are its own start and those of its
workers, which take longer than most shards do, and that a worker may die without the job.
"""

import os
import sys
from collections.abc import Generator, Sequence
from typing import Any

import pyarrow as pa

from jobs.common.durable.claims import claims_in
from jobs.common.durable.files import Files
from jobs.common.durable.guard import Guard, begun

SHARDS_HERE = 1


def done_here(files: Files, shards: Sequence[int], *, num_gpus: float) -> bool:
    """Whether there is nothing in these shards to be shared with workers.

    Where somebody chose a Ray, a cluster perhaps, it does the work; so does one where a process died over this shard
    before: workers find the row at which it did.
    """
    return len(shards) <= SHARDS_HERE and not num_gpus and not _ray_is_chosen() and not claims_in(files)


def do_here(files: Files, shards: Sequence[int], guards: Sequence[dict[str, Any]]) -> Generator[pa.Table, None, None]:
    """What the last of the guards made with these options gives of each shard."""
    made: list[Guard] = []
    try:
        for options in guards:
            made.append(Guard(**options))
        for shard in shards:
            block = begun(shard)
            for guard in made:
                block = guard(block)
            yield block
    finally:
        for guard in made:
            guard.close()
        # With an error, or ended by its user: nobody died at a row.
        for name in claims_in(files):
            files.remove(name)


def _ray_is_chosen() -> bool:
    ray = sys.modules.get("ray")
    return bool(os.environ.get("RAY_ADDRESS")) or (ray is not None and ray.is_initialized())
