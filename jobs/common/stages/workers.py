"""What a Ray worker is told: where artefacts are, its device, and its threads. Knows nothing of Ray itself."""

import os

from fromage_model.storage.artefacts import Kind, is_uri, locate


def name_for_workers(kind: Kind, name: str) -> str:
    """What another process can open an artefact by, whatever its working directory and home: a URI or a whole path.

    Raises MissingArtefact here and now rather than in a worker.
    """
    return name if is_uri(name) else str(locate(kind, name).resolve())


def threads_each(workers: int, *, threads: int = 0) -> int:
    """Torch threads of each worker: `threads`, or for 0 an equal share of this machine's CPUs."""
    return threads or max(1, (os.cpu_count() or 1) // workers)


def device_for(num_gpus: float) -> str:
    """Where a worker that reserves so many GPUs, or such a share of one, computes."""
    return "cuda" if num_gpus > 0 else "cpu"
