"""What Ray Train runs on each worker: load, train, report, and resume. Knows nothing of the command line."""

import dataclasses
import logging
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from ray import train

from fromage_model.errors import FromageError
from jobs.common.reporting.phases import Phases
from jobs.common.reporting.worker_lines import send_lines
from jobs.finetune.checkpoints import newest_whole, seal
from jobs.finetune.epochs import EpochWorker
from jobs.finetune.reserved import note_reserved
from jobs.finetune.settings import FinetuneArgs
from jobs.finetune.telling import Scalars
from jobs.finetune.worker import Worker
from jobs.finetune.workers import from_first_worker, rank

log = logging.getLogger(__name__)
LOOKING = "looking at pictures"


def train_loop(settings: dict[str, Any]) -> dict[str, Any]:
    """What a worker that trains a FROMAGe does; `settings` are those of `live` and the fields of FinetuneArgs."""
    return live(settings, lambda fields, **place: Worker(FinetuneArgs(**fields), **place))


def live(settings: dict[str, Any], make: Callable[..., EpochWorker]) -> dict[str, Any]:
    """One worker's whole life: train, and send what there is to say to the driver.

    -> `phases`, seconds of each, and `seen`, for people. `make` makes the worker of the fields, `rank`, `world_size`
    and `phases`. `settings`: those fields, `lineage`, `decisive`, the settings by which a checkpoint is known,
    `scalars`, TensorBoard's folder, `lines`, of `worker_lines`, and `quiet`, whether warnings alone are told.
    """
    quiet = settings.pop("quiet")
    if quiet and train.get_context().get_world_rank() == 0:
        note_reserved(Path(settings["scalars"]).parent)
    # All workers say the same of their progress; of trials side by side, who runs them tells it.
    told = train.get_context().get_world_rank() == 0 and not quiet
    level = logging.INFO if told else logging.WARNING
    send_lines(settings.pop("lines"), level=level)
    phases = Phases()
    try:
        seen = run_epochs(settings, make, phases)
    except FromageError:  # the driver tells it, as the end of the run
        raise
    except Exception as error:  # told at once: Ray Train tells the driver when it has tried often enough
        log.error("a worker failed: %s: %s", type(error).__name__, error)
        raise
    return {"phases": phases.seconds, "seen": [dataclasses.asdict(one) for one in seen]}


def run_epochs(settings: dict[str, Any], make: Callable[..., EpochWorker], phases: Phases) -> list[Any]:
    """Load, go on where a worker before this one was, and report after each epoch -> what the first one looked at.

    In between, `checkpoint_every` steps after the last, a checkpoint without a bundle is reported.
    """
    lineage, decisive, scalars = settings.pop("lineage"), settings.pop("decisive"), settings.pop("scalars")
    context = train.get_context()
    if not settings["use_gpu"]:
        torch.set_num_threads(settings["threads"])
    worker = make(settings, rank=context.get_world_rank(), world_size=context.get_world_size(), phases=phases)
    args = worker.args
    start = resume(worker)
    if start is None:
        start = 0
        worker.warm_start()
    log.info("training: %d items, %d epochs of %d steps", worker.examples, args.epochs, worker.steps_per_epoch)
    writer = Scalars(scalars, epoch=start, step=worker.place.step) if worker.rank == 0 else None
    seen: list[Any] = []
    # Without epochs, one report of the warm start alone.
    for epoch in range(start, max(1, args.epochs)):

        def save(epoch: int = epoch) -> None:
            figures = {"epoch": epoch, "step": worker.place.step}
            _report(worker, figures, epochs_done=epoch, lineage=None, decisive=decisive)

        figures = worker.run_epoch(epoch, writer, save=save) if args.epochs else worker.validate()
        if writer is not None:
            phases.begin(LOOKING)
            seen = worker.look()
            worker.show(seen, writer, epoch)
            phases.end()
        done = min(epoch + 1, args.epochs)
        if done == args.epochs:
            worker.finish()
        told = figures | {"epoch": done}
        _report(worker, told, epochs_done=epoch + 1, lineage=lineage | {"epochs_done": done}, decisive=decisive)
    if writer is not None:
        writer.close()
        if start >= max(1, args.epochs):  # nothing was left to do but to look
            phases.begin(LOOKING)
            seen = worker.look()
    phases.end()
    return seen


def resume(worker: EpochWorker) -> int | None:
    """Lay the newest checkpoint that is whole over the worker -> epochs done, or None where all is new."""
    latest = train.get_checkpoint()
    if latest is None:
        return None
    # Reading what stands in a store may take different ways on two machines: the first worker decides for all.
    attempt = str(Path(latest.path).parent)
    chosen = from_first_worker(newest_whole(latest.filesystem, attempt) if rank() == 0 else None)
    if chosen is None:
        return None
    with chosen.as_directory() as folder:
        done = worker.load(Path(folder))
    log.info("resumed after step %d, %d epochs done", worker.place.step, done)
    return done


def _report(
    worker: EpochWorker,
    figures: Mapping[str, Any],
    *,
    epochs_done: int,
    lineage: dict[str, Any] | None,
    decisive: Mapping[str, Any],
) -> None:
    """Every worker tells Ray Train, and the first one brings the checkpoint; without `lineage` it holds no bundle."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = None
        if worker.save(Path(folder), epochs_done=epochs_done, lineage=lineage):
            seal(Path(folder), settings=decisive)
            checkpoint = train.Checkpoint.from_directory(folder)
        train.report(dict(figures), checkpoint=checkpoint)
