"""Shards that go through pools of Ray Data actors, one pool for each stage. Knows nothing of where shards end."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from jobs.common.durable.guard import Guard, begun

# What Ray Data may hold between stages, so that a fast decoder does not fill the memory in front of a slow encoder.
QUEUED_BYTES = 512 << 20


@dataclass(frozen=True)
class Stage:
    """One step of a run: `make(**options)` in each actor. `workers` are how many actors, the fewest and the most."""

    make: type
    options: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    num_cpus: float = 1.0
    num_gpus: float = 0.0
    workers: tuple[int, int] = (1, 1)


def stream(
    shards: list[int], stages: Sequence[Stage], guards: Sequence[dict[str, Any]]
) -> Generator[pa.Table, None, None]:
    """The blocks that the last stage gives, by Ray Data."""
    import ray
    from ray.data import DataContext

    context = DataContext.get_current().copy()
    # A shard is one block from end to end, and one that is done is told at once.
    context.target_max_block_size = None
    context.execution_options.preserve_order = False
    context.execution_options.resource_limits = ray.data.ExecutionResources(object_store_memory=QUEUED_BYTES)
    with DataContext.current(context):
        rows = ray.data.from_arrow([begun(shard) for shard in shards])
        for stage, options in zip(stages, guards, strict=True):
            # Not map_batches, which asks for a batch size where there is a GPU: here a batch is a block, one shard.
            rows = rows.map_batches_internal(
                Guard,
                fn_constructor_kwargs=options,
                batch_format="pyarrow",
                batch_size=None,
                num_cpus=stage.num_cpus,
                num_gpus=stage.num_gpus or None,
                compute=_pool(stage, len(shards)),
            )
        yield from rows.iter_batches(batch_format="pyarrow", batch_size=None)


def _pool(stage: Stage, shards: int) -> Any:
    from ray.data import ActorPoolStrategy

    fewest, most = (max(1, min(count, shards)) for count in stage.workers)
    return ActorPoolStrategy(size=fewest) if most <= fewest else ActorPoolStrategy(min_size=fewest, max_size=most)
