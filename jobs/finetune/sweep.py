"""Runs that differ in learning rates, visual tokens, shared width and layers, of which the best is kept (Ray Tune).

ASHA (Li et al., 2020) ends a trial whose recall on the validation items lags behind others' at the same epoch. The
first trial has the settings as they were given. Trials keep their checkpoints: the same command goes on with them.
"""

import dataclasses
import json
import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import ray
from ray import tune

from fromage_model.catalogue.table import FAILURES_FILE
from fromage_model.errors import FromageError
from jobs.finetune.checkpoints import Keeping, attempt_of, newest_whole
from jobs.finetune.data import select_items
from jobs.finetune.model_config import depth_of
from jobs.finetune.reserved import give_back
from jobs.finetune.settings import FinetuneArgs
from jobs.finetune.training import SCALARS, Trained, for_workers, place_bundle, train_run
from jobs.finetune.worker import RECALL

RATES = ("ret_learning_rate", "prefix_learning_rate", "head_learning_rate", "lora_learning_rate")
SLOWEST, FASTEST = 1 / 3, 3.0
"""What all learning rates are multiplied by, together: drawn from between these, evenly in the logarithm."""
COORDINATING = 0.01
"""CPUs that Ray counts for whoever watches a trial; the work is done by the trial's own workers."""
VISUAL_TOKENS = (1, 2, 4)
TABLE, TRIALS, TOLD = "trials.parquet", "trials", "told.json"

log = logging.getLogger(__name__)


class NoTrial(FromageError):
    """No trial of a sweep came to a recall."""


@dataclass(frozen=True)
class Trial:
    """One run of a sweep. `rate` multiplied all learning rates; `recall`, in percent, and `loss` are the last epoch's.

    `ended` is `whole`, `stopped` by ASHA, or `failed`.
    """

    number: int
    rate: float
    visual_tokens: int
    shared_width: int | None
    text_layers: str
    epochs: int
    recall: float | None
    loss: float | None
    seconds: float | None
    ended: str


@dataclass(frozen=True)
class Swept:
    """All trials, the best first, and what there is to say of the best; `scalars` is where its curves' figures lie."""

    trials: list[Trial]
    best: Trained
    scalars: Path


@dataclass(frozen=True)
class Sweep:
    """What all trials have in common; `drawn` are each one's factor of the learning rates and its other settings."""

    args: FinetuneArgs
    folder: Path
    decisive: Mapping[str, Any]
    keeping: Keeping
    lines: str
    drawn: list[tuple[float, dict[str, Any]]]

    def args_of(self, number: int) -> FinetuneArgs:
        rate, settings = self.drawn[number]
        rates = {name: rate * getattr(self.args, name) for name in RATES}
        # Of trials that are stopped nothing but the last epoch matters.
        return dataclasses.replace(self.args, **rates, **settings, tune=0, checkpoint_every=0)

    def folder_of(self, number: int) -> Path:
        return self.folder / TRIALS / str(number)

    def keeping_of(self, number: int) -> Keeping:
        return dataclasses.replace(self.keeping, folder=f"{self.keeping.folder}/{TRIALS}/{number}")


def run_sweep(
    args: FinetuneArgs, folder: Path, output: Path, *, decisive: Mapping[str, Any], keeping: Keeping, lines: str
) -> Swept:
    """Run `args.tune` trials, write their table into `folder`, the run's, and the best one's bundle to `output`.

    Raises NoTrial where none came to a recall.
    """
    drawn = draw_settings(args, depth=depth_of(args.language_model))
    # Of all trials alike: what lies in the first one's folder says which attempt this is.
    attempt = attempt_of(keeping.filesystem, f"{keeping.folder}/{TRIALS}/0", fresh=args.force)
    keeping = dataclasses.replace(keeping, attempt=attempt)
    plan = Sweep(for_workers(args), folder, decisive, keeping, lines, drawn)
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(_run_trial, plan=plan), {"CPU": COORDINATING}),
        param_space={"number": tune.grid_search(list(range(args.tune)))},
        tune_config=tune.TuneConfig(
            metric=RECALL,
            mode="max",
            max_concurrent_trials=_side_by_side(args),
            scheduler=tune.schedulers.ASHAScheduler(
                time_attr="epoch", max_t=args.epochs, grace_period=1, stop_last_trials=False
            ),
        ),
        run_config=tune.RunConfig(
            name="tune", storage_path=str(folder), verbose=0, callbacks=[_Telling(args.tune), _GivingBack(plan)]
        ),
    )
    try:
        results = list(tuner.fit())
    finally:
        for number in range(args.tune):
            give_back(plan.folder_of(number))
    trials = sorted((_trial_of(plan, result) for result in results), key=lambda one: -(one.recall or -1.0))
    _write_table(trials, folder / TABLE)
    best = trials[0]
    if best.recall is None:
        reasons = {str(result.error) for result in results if result.error}
        raise NoTrial(f"none of {args.tune} trials came to a recall: {'; '.join(sorted(reasons))[:1000]}")
    place_of = best.number - 1
    kept = plan.keeping_of(place_of)
    place_bundle(newest_whole(kept.filesystem, f"{kept.folder}/{kept.attempt}", holding_a_bundle=True), output)
    figures = next(result.metrics for result in results if result.config["number"] == place_of)
    told = plan.folder_of(place_of) / TOLD
    own = json.loads(told.read_text()) if told.is_file() else {}
    return Swept(trials, Trained(_numbers(figures), **own), plan.folder_of(place_of) / SCALARS)


def draw_settings(args: FinetuneArgs, *, depth: int) -> list[tuple[float, dict[str, Any]]]:
    """`args.tune` factors of the learning rates, each with other settings; the first are those that were given.

    A bundle that is started from decides all but the rates. `depth`: the LM's layers.
    """
    draw = random.Random(args.seed)
    width = args.shared_width
    choices: dict[str, list[Any]] = {
        "visual_tokens": sorted({*VISUAL_TOKENS, args.visual_tokens}),
        "shared_width": [width] if width is None else sorted({max(1, width // 2), width, 2 * width}),
        "text_layers": sorted({(-1,), (-1, 4 * depth // 5), (-1, depth // 2), args.text_layers or (-1,)}),
    }
    drawn: list[tuple[float, dict[str, Any]]] = [(1.0, {})]
    while len(drawn) < args.tune:
        rate = SLOWEST * (FASTEST / SLOWEST) ** draw.random()
        drawn.append((rate, {} if args.start_from else {name: draw.choice(some) for name, some in choices.items()}))
    return drawn


def _run_trial(config: dict[str, int], plan: Sweep) -> None:
    """One trial, in a process of its own that Ray Tune started."""
    from ray.tune.integration.ray_train import TuneReportCallback

    number = config["number"]
    args, folder = plan.args_of(number), plan.folder_of(number)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FAILURES_FILE).unlink(missing_ok=True)
    fitted = train_run(
        args,
        folder,
        select_items(args),
        run=plan.folder.name,
        decisive=plan.decisive,
        keeping=plan.keeping_of(number),
        lines=plan.lines,
        callbacks=[TuneReportCallback()],
    )
    (folder / TOLD).write_text(json.dumps({"phases": fitted.trained.phases, "seen": fitted.trained.seen}))
    tune.report(fitted.trained.figures)


class _Telling(tune.Callback):
    """A line for each epoch of a trial."""

    def __init__(self, trials: int):
        self._trials = trials

    def on_trial_result(self, iteration: int, trials: list, trial: Any, result: dict[str, Any], **info: Any) -> None:
        number = trial.config["number"]
        log.info("trial %d of %d: epoch %d, recall %.1f %%", number + 1, self._trials, result["epoch"], result[RECALL])


class _GivingBack(tune.Callback):
    """What the workers of a trial reserved is free as soon as it has ended: the next one may be waiting for it."""

    def __init__(self, plan: Sweep):
        self._plan = plan
        self._given: set[int] = set()

    def on_step_end(self, iteration: int, trials: list, **info: Any) -> None:
        ended = {trial.config["number"] for trial in trials if trial.is_finished()}
        for number in ended - self._given:
            give_back(self._plan.folder_of(number))
        self._given |= ended


def _side_by_side(args: FinetuneArgs) -> int:
    """How many trials the cluster has room for: a trial whose workers find none would wait for ever."""
    have = ray.cluster_resources()
    needed = {"CPU": args.cpus_per_worker * args.workers} | ({"GPU": float(args.workers)} if args.use_gpu else {})
    return max(1, min(int(have.get(name, 0.0) // amount) for name, amount in needed.items()))


def _trial_of(plan: Sweep, result: Any) -> Trial:
    number, figures = result.config["number"], result.metrics or {}
    args = plan.args_of(number)
    epochs = figures.get("epoch", 0)
    return Trial(
        number=number + 1,
        rate=plan.drawn[number][0],
        visual_tokens=args.visual_tokens,
        shared_width=args.shared_width,
        text_layers=", ".join(map(str, args.text_layers or ())),
        epochs=epochs,
        recall=figures.get(RECALL),
        loss=figures.get("loss"),
        seconds=figures.get("time_total_s"),
        ended="failed" if result.error else "whole" if epochs == args.epochs else "stopped",
    )


def _write_table(trials: Sequence[Trial], path: Path) -> None:
    """As Parquet and, for people, as lines of the log."""
    rows = [dataclasses.asdict(trial) for trial in trials]
    pq.write_table(pa.Table.from_pylist(rows), path)
    log.info("%6s %7s %7s %6s %12s %7s %8s %8s %8s  ended", *list(rows[0])[:-1])
    for row in rows:
        log.info("%6s %7s %7s %6s %12s %7s %8s %8s %8s  %s", *(_short(value) for value in row.values()))


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)


def _numbers(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Those of training alone; Ray Tune adds some of its own."""
    own = ("loss", "epoch", "accuracy", "optimizer_steps", "examples_per_second", "skipped_steps")
    return {name: value for name, value in figures.items() if name in own or name.startswith("validation_")}
