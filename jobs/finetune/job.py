"""Features and captions -> a bundle: the maps and [RET], trained by Ray Train on the training split alone.

The frozen parts never change; what is trained is a few MB. A run that was stopped goes on from its last epoch when the
same command is given again. TensorBoard's scalars lie in the run's folder.

    python -m jobs.finetune --catalogue wardrobe --out tuned
    python -m jobs.finetune --catalogue shop --start-from tuned --lora-rank 8 --out tuned-for-shop
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.table import FAILURES_FILE, write_failures
from fromage_model.errors import BundleError, ConfigError
from fromage_model.storage.artefacts import check_replaceable, home, place
from jobs.common.reporting.phases import live_view, phases_in_words
from jobs.common.reporting.report import Report, Stopwatch, ray_session
from jobs.common.reporting.worker_lines import worker_lines
from jobs.finetune.run_settings import RunArgs
from jobs.finetune.settings import FinetuneArgs
from jobs.finetune.training import BUNDLE_MARKER, SCALARS

if TYPE_CHECKING:
    from jobs.finetune.data import TrainingItems
    from jobs.finetune.sweep import Trial
    from jobs.finetune.training import Trained

log = logging.getLogger(__name__)
RUN_FILE = "run.json"
# What is left of the job's time when that of its workers' phases is taken away.
RAY_S = "starting and ending Ray"


def main(args: FinetuneArgs) -> Report:
    """Train, or find the run complete. Raises FromageError for what the user can put right."""
    from jobs.finetune.checkpoints import keeping_of
    from jobs.finetune.cut_texts import count_cut
    from jobs.finetune.data import select_items
    from jobs.finetune.examples.glosses import Glosses
    from jobs.finetune.model_config import check_room, choose_layers, config_of
    from jobs.finetune.start import adopt_config
    from jobs.finetune.sweep import run_sweep
    from jobs.finetune.training import place_bundle, train_run

    watch = Stopwatch()
    phases: dict[str, float] = {}
    check_compile(args)
    data = select_items(args)
    args = choose_layers(adopt_config(args, features=data.features.info))
    config_of(args, encoder=data.features.info.encoder)
    check_room(args)
    if args.glosses:
        Glosses(Path(args.glosses))
    decisive = decisive_of(args, data)
    folder = run_folder(args, decisive)
    output = place("bundle", args.out)
    done = open_run(folder, decisive)
    write_failures(folder, data.left_out)
    reasons = Counter(failure.error for failure in data.left_out)
    if reasons:
        told = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        log.warning("items that can't be trained on: %s; %s has each", told, folder / FAILURES_FILE)
    skipped = done is not None and holds_bundle_of(folder, output) and not args.force
    if not skipped:
        check_replaceable(output, marker=BUNDLE_MARKER)
        keeping = keeping_of(folder, checkpoints=args.checkpoints, settings=decisive, fresh=args.force)
        cut = count_cut(
            ((item.id, f" {item.caption}.") for item in data.items),
            language_model=args.language_model,
            most=args.caption_max_tokens,
            option="--caption-max-tokens",
        )
        with live_view(), ray_session(), worker_lines() as lines:
            if args.tune:
                swept = run_sweep(args, folder, output, decisive=decisive, keeping=keeping, lines=lines)
                trained, trials, scalars = swept.best, swept.trials, swept.scalars
            else:
                fitted = train_run(args, folder, data, run=folder.name, decisive=decisive, keeping=keeping, lines=lines)
                place_bundle(fitted.checkpoint, output)
                trained, trials, scalars = fitted.trained, [], folder / SCALARS
        done = trained.figures | {"captions_cut": cut}
        phases = trained.phases | {RAY_S: round(watch.seconds - sum(trained.phases.values()), 2)}
        log.info("%.1f s: %s", watch.seconds, phases_in_words(phases))
        write_run(folder, decisive, figures=done)
        _write_page(args, folder, output, trained, phases, scalars=scalars, trials=trials)
    else:
        log.info("the run %s is complete; --force trains again", folder.name)
    return Report(
        "finetune",
        rows_in=len(data.items) + len(data.left_out),
        rows_out=len(data.items),
        rows_failed=len(data.left_out),
        failures=None,
        failed_by=dict(reasons),
        seconds=watch.seconds,
        output=output,
        run=str(folder),
        skipped=skipped,
        phases=phases,
        figures=done,
    )


def check_compile(args: RunArgs) -> None:
    """Raises ConfigError where `compile` lacks what it needs of this machine; each worker tries it on its own."""
    if args.compile and not args.use_gpu:
        from fromage_model.language.compiling import check_compiler

        check_compiler()


def run_folder(args: RunArgs, decisive: dict[str, Any]) -> Path:
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
    from fromage_model.header import read_header

    try:
        return read_header(output)[0].lineage.get("run") == folder.name
    except BundleError:
        return False


def _write_page(
    args: FinetuneArgs,
    folder: Path,
    output: Path,
    trained: Trained,
    phases: dict[str, float],
    *,
    scalars: Path,
    trials: Sequence[Trial],
) -> None:
    from fromage_model.header import read_header
    from jobs.finetune.run_page import write_run_page
    from jobs.finetune.seen import Seen

    path = write_run_page(
        folder,
        figures={"run": folder.name, "bundle": output} | trained.figures,
        phases=phases,
        scalars=scalars,
        seen=[Seen(**one) for one in trained.seen],
        read=Catalogue.open(args.catalogue).image_bytes,
        settings=args.decisive(),
        lineage={name: value for name, value in read_header(output)[0].lineage.items() if name != "settings"},
        trials=[asdict(trial) for trial in trials],
    )
    log.info("%s shows the run", path)


def open_run(folder: Path, decisive: dict[str, Any]) -> dict[str, Any] | None:
    """The figures of a complete run, or None. Raises ConfigError where the run is another one's, or nobody's."""
    path = folder / RUN_FILE
    if not path.is_file():
        write_run(folder, decisive, figures=None)
        return None
    known = _run_of(path)
    wanted = json.loads(json.dumps(decisive))
    differ = sorted(name for name in wanted if known["settings"].get(name) != wanted[name])
    if differ:
        raise ConfigError(
            f"the run {folder.name} was started with other settings: {', '.join(differ)}; give another --run"
        )
    return known["figures"]


def _run_of(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} can't be read: {error}; remove it, or give another --run") from error
    if not (isinstance(known, dict) and isinstance(known.get("settings"), dict) and "figures" in known):
        raise ConfigError(f"{path}: expected an object with settings and figures; remove it, or give another --run")
    return known


def write_run(folder: Path, decisive: dict[str, Any], *, figures: dict[str, Any] | None) -> None:
    """What a run is known by, and its figures once it is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{RUN_FILE}.partial"
    partial.write_text(json.dumps({"settings": decisive, "figures": figures}, indent=2) + "\n")
    partial.replace(folder / RUN_FILE)
