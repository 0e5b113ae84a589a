"""Pictures with captions, or with questions and answers -> a FROZEN model: the visual map and, where wished, stages of
the vision encoder, trained by Ray Train through a frozen LM.

A run that was stopped goes on from its last checkpoint when the same command is given again. What it makes is what
`FrozenModel.from_pretrained(folder)` opens.

    python -m jobs.finetune --model frozen --catalogue coco --visual-map duel --trained-stages -1 --out my-frozen
    python -m jobs.finetune --model frozen --data-root arrows --task vqa --start-from my-frozen --out my-vqa
"""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fromage_model.catalogue.table import FAILURES_FILE, write_failures
from fromage_model.errors import BundleError, CatalogueError
from fromage_model.storage.artefacts import check_replaceable, place
from jobs.common.reporting.phases import live_view, phases_in_words
from jobs.common.reporting.report import Report, Stopwatch, ray_session
from jobs.common.reporting.worker_lines import worker_lines
from jobs.common.stages.workers import name_for_workers
from jobs.finetune.frozen.settings import FrozenArgs
from jobs.finetune.job import RAY_S, check_compile, open_run, run_folder, write_run
from jobs.finetune.training import SCALARS, Trained, fit, place_bundle, versions

if TYPE_CHECKING:
    from jobs.finetune.checkpoints import Keeping
    from jobs.finetune.frozen.rows import TrainingRows

log = logging.getLogger(__name__)
MARKER = "frozen.json"


def main(args: FrozenArgs) -> Report:
    """Train, or find the run complete. Raises FromageError for what the user can put right."""
    from jobs.finetune.checkpoints import keeping_of
    from jobs.finetune.cut_texts import count_cut
    from jobs.finetune.frozen.fit import named
    from jobs.finetune.frozen.rows import select_rows
    from jobs.finetune.frozen.sampler import kinds_of
    from jobs.finetune.frozen.start import adopt_config, check_encoder, origin

    watch = Stopwatch()
    phases: dict[str, float] = {}
    check_compile(args)
    args = adopt_config(args)
    data = select_rows(args, check=args.check_pictures)
    decisive = args.decisive() | {"rows_fingerprint": data.fingerprint} | origin(args)
    folder, output = run_folder(args, decisive), place("bundle", args.out)
    _refuse(args, data, folder)
    check_encoder(args)
    if args.episode_batch_size:
        kinds_of(data.rows, at_least=max(args.episode_shots) + 1)
    if args.fit_prefix:
        named(data.rows)
    done = open_run(folder, decisive)
    write_failures(folder, data.failures)
    skipped = done is not None and holds_model_of(folder, output) and not args.force
    if not skipped:
        check_replaceable(output, marker=MARKER)
        keeping = keeping_of(folder, checkpoints=args.checkpoints, settings=decisive, fresh=args.force)
        cut = count_cut(
            ((row.id, text.text) for row in data.rows for text in row.texts),
            language_model=args.language_model,
            most=args.max_tokens,
            option="--max-tokens",
        )
        with live_view(), ray_session(), worker_lines() as lines:
            trained = _train(args, folder, output, data, decisive=decisive, keeping=keeping, lines=lines)
        done = trained.figures | {"texts_cut": cut}
        phases = trained.phases | {RAY_S: round(watch.seconds - sum(trained.phases.values()), 2)}
        log.info("%.1f s: %s", watch.seconds, phases_in_words(phases))
        write_run(folder, decisive, figures=done)
        _write_page(args, folder, output, data, trained, phases)
    else:
        log.info("the run %s is complete; --force trains again", folder.name)
    return Report(
        "finetune",
        rows_in=data.read,
        rows_out=len(data.rows),
        rows_failed=len(data.failures),
        seconds=watch.seconds,
        output=output,
        max_failed=args.max_failed,
        failures=None,
        run=str(folder),
        skipped=skipped,
        phases=phases,
        figures=done,
    )


def holds_model_of(folder: Path, output: Path) -> bool:
    """Whether what lies at `output` is the model of this run, and not of one on other data since then."""
    from fromage_model.frozen.storage import read_header

    try:
        return read_header(output).lineage.get("run") == folder.name
    except BundleError:
        return False


def _refuse(args: FrozenArgs, data: TrainingRows, folder: Path) -> None:
    """Raises CatalogueError, before any compute, where too many rows can't be used; the table then says which."""
    failed = len(data.failures)
    if failed <= args.max_failed * data.read:
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_failures(folder, data.failures)
    raise CatalogueError(
        f"{failed} of {data.read} rows of {data.source} have no text or no picture, more than --max-failed "
        f"{args.max_failed:g} allows; the first, {data.failures[0].id}: {data.failures[0].message}; "
        f"{folder / FAILURES_FILE} has all"
    )


def _train(
    args: FrozenArgs,
    folder: Path,
    output: Path,
    data: TrainingRows,
    *,
    decisive: dict[str, Any],
    keeping: Keeping,
    lines: str,
) -> Trained:
    """Raises NotFinite where a loss is no number; the step's rows then stand in failures.parquet in `folder`."""
    from jobs.finetune.frozen.start import origin
    from jobs.finetune.frozen.worker import RATES, train_loop
    from jobs.finetune.not_finite import NotFinite, write_stop

    lineage = {
        "job": "finetune",
        "run": folder.name,
        "settings": args.decisive(),
        "data": data.source,
        "rows_fingerprint": data.fingerprint,
        "rows": len(data.rows),
        "versions": versions(),
    } | origin(args)
    settings = dataclasses.asdict(_for_workers(args))
    told_with = {
        "lineage": lineage,
        "decisive": decisive,
        "scalars": str(folder / SCALARS),
        "lines": lines,
        "quiet": False,
        "broken": [failure.row for failure in data.failures],
    }
    try:
        fitted = fit(train_loop, settings | told_with, args, keeping)
    except NotFinite as error:
        write_stop(error.stop, [(row.id, row.image) for row in data.rows], folder, left_out=data.failures)
        raise NotFinite(error.stop, [row.id for row in data.rows], table=folder / FAILURES_FILE, rates=RATES) from error
    place_bundle(fitted.checkpoint, output, marker=MARKER)
    return fitted.trained


def _for_workers(args: FrozenArgs) -> FrozenArgs:
    """The same, with names that another process resolves to the same folders."""
    return dataclasses.replace(
        args,
        catalogue=args.catalogue if args.data_root else name_for_workers("catalogue", args.catalogue),
        data_root=str(Path(args.data_root).expanduser().resolve()) if args.data_root else None,
        start_from=name_for_workers("bundle", args.start_from) if args.start_from else None,
    )


def _write_page(
    args: FrozenArgs, folder: Path, output: Path, data: TrainingRows, trained: Trained, phases: dict[str, float]
) -> None:
    from fromage_model.frozen.storage import read_header
    from jobs.finetune.run_page import write_run_page
    from jobs.finetune.seen import Seen

    pictures = {row.id: row.bytes for row in [*data.rows, *data.validation]}
    path = write_run_page(
        folder,
        figures={"run": folder.name, "model": output} | trained.figures,
        phases=phases,
        scalars=folder / SCALARS,
        seen=[Seen(**one) for one in trained.seen],
        read=lambda id: pictures[id](),
        settings=args.decisive(),
        lineage={name: value for name, value in read_header(output).lineage.items() if name != "settings"},
    )
    log.info("%s shows the run", path)
