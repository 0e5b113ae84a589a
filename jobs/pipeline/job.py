"""The whole chain from a feed to a served pair of bundle and index: ingest, embed, index (caption, finetune if asked).

Each stage is the job of that name, with its own options, and skips what is up to date; a stage that fails, or in which
more rows fail than it allows, ends the run, and the same command goes on from there. The reports of all stages are
collected in one JSON, printed and written.

    python -m jobs.pipeline --config docs/pipeline.yaml
"""

import dataclasses
import io
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from fromage_model.errors import FromageError
from fromage_model.storage.artefacts import home
from jobs.common.durable import Files
from jobs.common.durable.publish import target, write_json
from jobs.common.reporting.report import Report, Stopwatch
from jobs.pipeline.config import Pipeline, read_pipeline

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PipelineArgs:
    """Run every stage of a pipeline."""

    config: Path
    """YAML file with a section for each job; docs/pipeline.yaml is an example."""
    out: str | None = None
    """File or fsspec URI for the stages' reports as JSON. Without it, one of the pipeline's name in the cache."""
    check: bool = False
    """Check the file, tell the stages, and run nothing."""


def main(args: PipelineArgs) -> Report:
    """Run the stages. Raises FromageError for what the user can put right; the report is written then too."""
    watch = Stopwatch()
    pipeline = read_pipeline(args.config.expanduser())
    out = args.out or str(home() / "pipelines" / f"{Path(pipeline.name).name}.json")
    for section, options in pipeline.stages.items():
        log.info("%s: %s", section, in_words(options))
    reports = [] if args.check else _run_stages(pipeline, out)
    verdict = next((f"{report.job}: {report.verdict}" for report in reports if report.verdict), None)
    if reports and verdict is None:
        served = f"bundle={pipeline.bundle} index={pipeline.index} catalogue={pipeline.catalogue}"
        log.info("to serve it: serve run services.app:build_app %s", served)
    rows_in = reports[0].rows_in if reports else 0
    failed = rows_failed(reports)
    return Report(
        "pipeline",
        rows_in=rows_in,
        rows_out=rows_in - failed,
        rows_failed=failed,
        seconds=watch.seconds,
        output=target("index", pipeline.index),
        failures=None,
        verdict=verdict,
        bundle=pipeline.bundle,
        index=pipeline.index,
        catalogue=pipeline.catalogue,
        skipped=bool(reports) and all(report.extra.get("skipped") for report in reports),
        stopped=verdict,
        stages=[report.as_dict() for report in reports],
    )


def in_words(options: Any) -> str:
    """The options of a job that are not what they are by default."""
    given = {field.name: (getattr(options, field.name), field.default) for field in dataclasses.fields(options)}
    return ", ".join(f"{name} {value}" for name, (value, default) in given.items() if value != default) or "by default"


def rows_failed(reports: Sequence[Report]) -> int:
    """The rows that failed in any stage, each once: those of the feed that became no item, and items by their id."""
    if not reports:
        return 0
    ids = set[str]().union(*map(failed_ids, reports[1:]))
    return reports[0].rows_failed + len(ids)


def failed_ids(report: Report) -> set[str]:
    """The items in a stage's table of failures."""
    if not report.rows_failed or report.failures is None:
        return set()
    data = Files(report.output).read(report.failures)
    return set() if data is None else set(pq.read_table(io.BytesIO(data), columns=["id"])["id"].to_pylist())


def _run_stages(pipeline: Pipeline, out: str) -> list[Report]:
    """The report of each stage, written to `out` after each of them; the last one's may say that it did not go well."""
    reports: list[Report] = []
    for number, (section, options) in enumerate(pipeline.stages.items(), 1):
        log.info("[%d/%d] %s", number, len(pipeline.stages), section)
        job: Callable[[Any], Report] = import_module(f"jobs.{section}.job").main
        try:
            reports.append(job(options))
        except FromageError as error:
            told = [*(report.as_dict() for report in reports), {"job": section, "error": str(error)}]
            _tell(out, pipeline, told)
            raise FromageError(f"{section}: {error}") from error
        _tell(out, pipeline, [report.as_dict() for report in reports])
        if reports[-1].verdict:
            break
    return reports


def _tell(out: str, pipeline: Pipeline, reports: list[dict[str, Any]]) -> None:
    write_json(out, {"name": pipeline.name, "bundle": pipeline.bundle, "stages": reports})
