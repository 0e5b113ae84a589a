"""A benchmark from its files to its figures: read, checked, measured for one model or two, written and told.

Knows no protocol but by name, and no model but by what a protocol says of it.
"""

import logging
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fromage_model.catalogue.table import FAILURES_FILE, write_failures
from fromage_model.errors import ConfigError, InvalidInput
from fromage_model.storage.artefacts import home, is_uri
from jobs.common.durable.publish import check_target, publishing, write_json
from jobs.common.reporting.report import Report, Stopwatch
from jobs.evaluate.benchmarks import captioning, page, products, retrieval, visdial, vist, vqa
from jobs.evaluate.benchmarks.task import Failures, Result, Task
from jobs.evaluate.metrics.resampling import Difference, compare, estimate
from jobs.evaluate.options import EvaluateArgs

PROTOCOLS: dict[str, ModuleType] = {
    "retrieval": retrieval,
    "captioning": captioning,
    "vqa": vqa,
    "vist": vist,
    "visdial": visdial,
    "products": products,
}
"""Each has `fingerprint(model)`, `read(args) -> Task` and `measure(task, model, args) -> Measured`."""
METRICS_FILE, EXAMPLES_FILE, PAGE_FILE = "metrics.json", "examples.parquet", "report.html"

log = logging.getLogger(__name__)


def run_benchmark(args: EvaluateArgs) -> Report:
    """Measure and write a folder of metrics, page, examples and failures. Raises FromageError before computing."""
    watch = Stopwatch()
    protocol = PROTOCOLS[str(args.benchmark)]
    models = args.compare or (args.bundle,)
    if len(set(models)) < len(models):
        raise ConfigError(f"compare is {' '.join(models)}; expected two different models")
    fingerprints = [protocol.fingerprint(model) for model in models]
    task = _usable(protocol.read(args), args)
    out = _place(args, models, task)
    check_target(out, marker=METRICS_FILE)
    results = []
    for model, fingerprint in zip(models, fingerprints, strict=True):
        log.info("%s: %d examples of %s, measured of %s", args.benchmark, len(task.examples), task.source, model)
        measured = protocol.measure(task, model, args)
        figures = {name: estimate(scores) for name, scores in measured.scores.items()}
        results.append(Result(model, fingerprint, figures, measured))
    differences = _differences(results)
    task = replace(task, failures=_once(task.failures))
    metrics = _metrics(args, task, results, differences)
    print(table_of(results, differences))
    _write(out, args, task, results, differences, metrics)
    if args.record and len(results) == 1:
        from fromage_model.header import record_metrics

        record_metrics(args.bundle, {f"{args.benchmark}-{_plain(task.source)}": metrics})
    failed = len(task.failures.rows)
    return Report(
        "evaluate",
        rows_in=task.total,
        rows_out=len(results[0].measured.shown),
        rows_failed=failed,
        seconds=watch.seconds,
        output=out,
        **metrics,
    )


def table_of(results: Sequence[Result], differences: Mapping[str, Difference]) -> str:
    """The figures to read: each with its interval and n, and for two models the difference and its p."""
    lines = []
    for result in results:
        lines.append(f"{result.model}  ({result.fingerprint})")
        for name, figure in result.figures.items():
            interval = f"[{figure.low:.2f}, {figure.high:.2f}]"
            lines.append(f"  {name:<44}{figure.value:>9.2f}  {interval:<20}n={figure.n}")
    if differences:
        lines.append(f"{results[1].model} minus {results[0].model}, on the same examples")
        for name, told in differences.items():
            interval = f"[{told.low:.2f}, {told.high:.2f}]"
            lines.append(f"  {name:<44}{told.value:>+9.2f}  {interval:<20}p={told.p:.4f}")
    return "\n".join([*lines, "percent but for ranks, with 95 % bootstrap intervals"])


def _usable(task: Task, args: EvaluateArgs) -> Task:
    """The task within --limit. Raises InvalidInput where too much of its file can't be used, with the first reasons."""
    failed = len(task.failures.rows)
    if failed:
        log.warning("%s: %d of %d can't be used: %s", task.source, failed, task.total, _reasons(task.failures))
    if not task.examples or failed > args.max_failed * task.total:
        first = "; ".join(failure.message for failure in task.failures.rows[:3]) or "it has none"
        raise InvalidInput(
            f"{task.source}: {failed} of {task.total} examples can't be used, more than "
            f"--max-failed {args.max_failed:g} allows ({_reasons(task.failures)}): {first}"
        )
    if args.limit is None or args.limit >= len(task.examples):
        return task
    drawn = sorted(random.Random(args.seed).sample(range(len(task.examples)), args.limit))
    return replace(task, examples=[task.examples[row] for row in drawn])


def _differences(results: Sequence[Result]) -> dict[str, Difference]:
    if len(results) < 2:
        return {}
    first, second = (result.measured.scores for result in results)
    return {name: compare(scores, second[name]) for name, scores in first.items() if name in second}


def _metrics(
    args: EvaluateArgs, task: Task, results: Sequence[Result], differences: Mapping[str, Difference]
) -> dict[str, Any]:
    told = [
        {
            "bundle": result.model,
            "fingerprint": result.fingerprint,
            "figures": {name: figure.to_json() for name, figure in result.figures.items()},
            **result.measured.notes,
        }
        for result in results
    ]
    asked: dict[str, Any] = {
        "benchmark": args.benchmark,
        "data": task.source,
        "data_fingerprint": task.fingerprint,
        "seed": args.seed,
        "failed_by": dict(Counter(failure.error for failure in task.failures.rows)),
    }
    if not differences:
        return {**asked, **told[0]}
    return {**asked, "models": told, "differences": {name: one.to_json() for name, one in differences.items()}}


def _write(
    out: Path | str,
    args: EvaluateArgs,
    task: Task,
    results: Sequence[Result],
    differences: Mapping[str, Difference],
    metrics: Mapping[str, Any],
) -> None:
    rows = [
        {
            "bundle": result.model,
            "id": one.id,
            "asked": one.asked,
            "expected": one.expected,
            "got": one.got,
            "image": one.picture.place if one.picture else None,
            "score": one.score,
        }
        for result in results
        for one in result.measured.shown
    ]
    reasons = metrics["failed_by"]
    with publishing(out, marker=METRICS_FILE) as folder:
        pq.write_table(pa.Table.from_pylist(rows, EXAMPLES), folder / EXAMPLES_FILE)
        write_failures(folder, task.failures.rows)
        html = page.page(str(args.benchmark), task=task, results=results, differences=differences, reasons=reasons)
        (folder / PAGE_FILE).write_text(html, encoding="utf-8")
        write_json(folder / METRICS_FILE, metrics)


EXAMPLES = pa.schema(
    [pa.field(name, pa.string()) for name in ("bundle", "id", "asked", "expected", "got", "image")]
    + [pa.field("score", pa.float64())]
)


def _place(args: EvaluateArgs, models: Sequence[str], task: Task) -> Path | str:
    if args.out:
        return args.out if is_uri(args.out) else Path(args.out).expanduser()
    names = "-".join(map(_plain, models))
    return home() / "evaluations" / f"{names}-{args.benchmark}-{_plain(task.source)}"


def _plain(name: str) -> str:
    """A name, folder or URI as part of a file's name."""
    return Path(name).stem.replace(":", "-").replace(",", "-")


def _reasons(failures: Failures) -> str:
    counts = Counter(failure.error for failure in failures.rows)
    return f"{', '.join(f'{count} {reason}' for reason, count in counts.most_common())}; {FAILURES_FILE} will have each"


def _once(failures: Failures) -> Failures:
    """Two models fail at the same picture."""
    kept = Failures()
    kept.rows = list({(failure.id, failure.row, failure.error): failure for failure in failures.rows}.values())
    return kept
