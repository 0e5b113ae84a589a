"""Features and captions -> a bundle: the maps and [RET], trained by Ray Train on the training split alone.

The frozen parts never change; what is trained is a few MB. A run that was stopped goes on from its last epoch when the
same command is given again. TensorBoard's scalars lie in the run's folder.

    python -m jobs.finetune --catalogue openmoji --out tuned
    python -m jobs.finetune --catalogue shop --start-from tuned --lora-rank 8 --out tuned-for-shop
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fromage_model.catalogue import Catalogue
from fromage_model.errors import BundleError, ConfigError
from fromage_model.storage.artefacts import check_replaceable, home, place, writing
from jobs.common.reporting.report import Report, Stopwatch, ray_session
from jobs.common.reporting.worker_lines import worker_lines
from jobs.common.stages.workers import name_for_workers
from jobs.finetune.settings import FinetuneArgs

if TYPE_CHECKING:
    from jobs.finetune.data import TrainingItems

log = logging.getLogger(__name__)
RUN_FILE, BUNDLE_MARKER = "run.json", "bundle.json"


def main(args: FinetuneArgs) -> Report:
    """Train, or find the run complete. Raises FromageError for what the user can put right."""
    from jobs.finetune.data import select_items
    from jobs.finetune.model_config import choose_layers, config_of
    from jobs.finetune.start import adopt_config

    watch = Stopwatch()
    data = select_items(args)
    args = choose_layers(adopt_config(args, features=data.features.info))
    config_of(args, encoder=data.features.info.encoder)
    decisive = decisive_of(args, data)
    folder = run_folder(args, decisive)
    output = place("bundle", args.out)
    done = _open_run(folder, decisive)
    skipped = done is not None and holds_bundle_of(folder, output) and not args.force
    if not skipped:
        check_replaceable(output, marker=BUNDLE_MARKER)
        with ray_session(), worker_lines() as lines:
            done = _train(args, folder, output, data, lines=lines)
        _write_run(folder, decisive, figures=done)
    else:
        log.info("the run %s is complete; --force trains again", folder.name)
    return Report(
        "finetune",
        rows_in=len(data.items),
        rows_out=len(data.items),
        rows_failed=0,
        seconds=watch.seconds,
        output=output,
        run=str(folder),
        skipped=skipped,
        figures=done,
    )


def run_folder(args: FinetuneArgs, decisive: dict[str, Any]) -> Path:
    """Where the run's checkpoints, scalars and settings lie; without a name, what decides the run makes one."""
    digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:12]
    return home() / "runs" / (args.run or f"{Path(args.out).name}-{digest}")


def decisive_of(args: FinetuneArgs, data: TrainingItems) -> dict[str, Any]:
    """The settings that decide what is learned, and the state of what it is learned from."""
    from jobs.finetune.start import origin

    states = {
        "catalogue_fingerprints": data.catalogue_fingerprints,
        "encoder_fingerprint": data.features.encoder_fingerprint,
        "items_fingerprint": data.fingerprint,
    }
    return args.decisive() | states | origin(args)


def holds_bundle_of(folder: Path, output: Path) -> bool:
    """Whether what lies at `output` is the bundle of this run, and not of one on other data since then."""
    from fromage_model.bundle import read_header

    try:
        return read_header(output)[0].lineage.get("run") == folder.name
    except BundleError:
        return False


def _open_run(folder: Path, decisive: dict[str, Any]) -> dict[str, Any] | None:
    """The figures of a complete run, or None. Raises ConfigError where the run is another one's."""
    path = folder / RUN_FILE
    if not path.is_file():
        _write_run(folder, decisive, figures=None)
        return None
    known = json.loads(path.read_text())
    wanted = json.loads(json.dumps(decisive))
    differ = sorted(name for name in wanted if known["settings"].get(name) != wanted[name])
    if differ:
        raise ConfigError(
            f"the run {folder.name} was started with other settings: {', '.join(differ)}; give another --run"
        )
    return known["figures"]


def _write_run(folder: Path, decisive: dict[str, Any], *, figures: dict[str, Any] | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{RUN_FILE}.partial"
    partial.write_text(json.dumps({"settings": decisive, "figures": figures}, indent=2) + "\n")
    partial.replace(folder / RUN_FILE)


def _train(args: FinetuneArgs, folder: Path, output: Path, data: TrainingItems, *, lines: str) -> dict[str, Any]:
    """Run Ray Train, put the last epoch's bundle in its place -> the last epoch's figures. `lines` is for workers."""
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    from jobs.finetune.loop import BUNDLE_FOLDER, train_loop
    from jobs.finetune.start import origin

    lineage = {
        "job": "finetune",
        "run": folder.name,
        "settings": args.decisive(),
        "catalogue_fingerprints": data.catalogue_fingerprints,
        "split": "train",
        "items": data.own,
        "further_items": len(data.items) - data.own,
        "versions": _versions(),
    } | origin(args)
    attempt = _attempt(folder, fresh=args.force)
    trainer = TorchTrainer(
        train_loop,
        train_loop_config=dataclasses.asdict(_for_workers(args))
        | {"lineage": lineage, "scalars": str(folder / "scalars"), "lines": lines},
        torch_config=TorchConfig(backend="nccl" if args.use_gpu else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=args.workers,
            use_gpu=args.use_gpu,
            resources_per_worker={"CPU": args.cpus_per_worker} | ({"GPU": 1} if args.use_gpu else {}),
        ),
        run_config=RunConfig(
            name=attempt,
            storage_path=str(folder),
            failure_config=FailureConfig(max_failures=args.max_failures),
            checkpoint_config=CheckpointConfig(num_to_keep=2),
        ),
    )
    result = trainer.fit()
    with result.checkpoint.as_directory() as checkpoint, writing(output, marker=BUNDLE_MARKER) as bundle:
        for file in (Path(checkpoint) / BUNDLE_FOLDER).iterdir():
            (bundle / file.name).write_bytes(file.read_bytes())
    return {name: value for name, value in (result.metrics or {}).items() if isinstance(value, int | float)}


def _for_workers(args: FinetuneArgs) -> FinetuneArgs:
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


def _attempt(folder: Path, *, fresh: bool) -> str:
    """Ray Train resumes what bears the same name: a fresh start takes the next one."""
    numbers = [int(path.name.removeprefix("attempt-")) for path in folder.glob("attempt-*") if path.is_dir()]
    last = max(numbers, default=0)
    return f"attempt-{last + 1 if fresh or not numbers else last}"


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "transformers", "ray", "numpy")}
