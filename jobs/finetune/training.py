"""One run through Ray Train, from the driver: workers that train, and a bundle in its place. Knows no command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fromage_model.catalogue import Catalogue
from fromage_model.storage.artefacts import writing
from jobs.common.stages.workers import name_for_workers
from jobs.finetune.run_settings import RunArgs
from jobs.finetune.settings import FinetuneArgs

if TYPE_CHECKING:
    from ray.train import Checkpoint

    from jobs.finetune.checkpoints import Keeping
    from jobs.finetune.data import TrainingItems

BUNDLE_MARKER, SCALARS = "bundle.json", "scalars"


@dataclass(frozen=True)
class Trained:
    """The last epoch's figures, and of the first worker the seconds of each phase and what it looked at."""

    figures: dict[str, Any]
    phases: dict[str, float] = field(default_factory=dict)
    seen: list[dict[str, Any]] = field(default_factory=list)


def train_run(
    args: FinetuneArgs,
    folder: Path,
    data: TrainingItems,
    *,
    run: str,
    decisive: Mapping[str, Any],
    keeping: Keeping,
    lines: str,
    callbacks: Sequence[Any] = (),
) -> Fitted:
    """Run Ray Train. `lines` is for workers; with `callbacks`, of Ray Train, they tell warnings alone. `run` is what
    the lineage names.

    Raises NotFinite where a loss is no number; the step's items then stand in failures.parquet in `folder`.
    """
    from jobs.finetune.loop import train_loop
    from jobs.finetune.not_finite import NotFinite, refused

    told_with = {
        "lineage": _lineage(args, data, run=run),
        "decisive": dict(decisive),
        "scalars": str(folder / SCALARS),
        "lines": lines,
        "quiet": bool(callbacks),
    }
    settings = dataclasses.asdict(for_workers(args)) | told_with
    try:
        return fit(train_loop, settings, args, keeping, callbacks=callbacks)
    except NotFinite as error:
        raise refused(error.stop, data.items, folder, left_out=data.left_out) from error


@dataclass(frozen=True)
class Fitted:
    """What Ray Train comes back with: what there is to say, and the last checkpoint."""

    trained: Trained
    checkpoint: Checkpoint


def fit(
    loop: Callable[[dict[str, Any]], dict[str, Any]],
    settings: dict[str, Any],
    args: RunArgs,
    keeping: Keeping,
    *,
    callbacks: Sequence[Any] = (),
) -> Fitted:
    """Run `loop` by Ray Train. Raises a worker's FromageError, at once; a worker that is lost is replaced."""
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig, WorkerGroupError
    from ray.train.torch import TorchConfig

    from jobs.finetune.refusal import refusal_in
    from jobs.finetune.trainer import Trainer

    trainer = Trainer(
        loop,
        train_loop_config=settings,
        torch_config=TorchConfig(backend="nccl" if args.use_gpu else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=args.workers,
            use_gpu=args.use_gpu,
            resources_per_worker={"CPU": args.cpus_per_worker} | ({"GPU": 1} if args.use_gpu else {}),
        ),
        run_config=RunConfig(
            name=keeping.attempt,
            storage_path=keeping.folder,
            storage_filesystem=keeping.filesystem,
            failure_config=FailureConfig(max_failures=args.max_failures),
            checkpoint_config=CheckpointConfig(num_to_keep=2),
            callbacks=list(callbacks) or None,
        ),
    )
    try:
        result = trainer.fit()
    except WorkerGroupError as error:
        refusal = refusal_in(error)
        if refusal is None:
            raise
        raise refusal from error
    told = result.return_value or {}
    figures = {name: value for name, value in (result.metrics or {}).items() if isinstance(value, int | float)}
    trained = Trained(figures, phases=told.get("phases", {}), seen=told.get("seen", []))
    return Fitted(trained, result.checkpoint)


def place_bundle(checkpoint: Checkpoint, output: Path, *, marker: str = BUNDLE_MARKER) -> None:
    """What the checkpoint holds for use becomes what lies at `output`, whole or not at all."""
    from jobs.finetune.checkpoints import BUNDLE_FOLDER

    with checkpoint.as_directory() as folder, writing(output, marker=marker) as bundle:
        for file in (Path(folder) / BUNDLE_FOLDER).iterdir():
            (bundle / file.name).write_bytes(file.read_bytes())


def _lineage(args: FinetuneArgs, data: TrainingItems, *, run: str) -> dict[str, Any]:
    from jobs.finetune.start import origin

    return {
        "job": "finetune",
        "run": run,
        "settings": args.decisive(),
        "catalogue_fingerprints": data.catalogue_fingerprints,
        "split": "train",
        "items": data.own,
        "further_items": len(data.items) - data.own,
        "versions": versions(),
    } | origin(args)


def for_workers(args: FinetuneArgs) -> FinetuneArgs:
    """The same, with names that another process resolves to the same folders."""
    features = name_for_workers("features", args.features or Catalogue.open(args.catalogue).name)
    glosses = str(Path(args.glosses).resolve()) if args.glosses else None
    catalogue = name_for_workers("catalogue", args.catalogue)
    further = [Catalogue.open(name) for name in args.further_catalogues]
    further_features = args.further_features or [one.name for one in further]
    return dataclasses.replace(
        args,
        catalogue=catalogue,
        features=features,
        glosses=glosses,
        further_catalogues=tuple(name_for_workers("catalogue", name) for name in args.further_catalogues),
        further_features=tuple(name_for_workers("features", name) for name in further_features),
        start_from=name_for_workers("bundle", args.start_from) if args.start_from else None,
    )


def versions() -> dict[str, str]:
    """Of what decides how a run computes."""
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "transformers", "ray", "numpy")}
