"""The whole chain from a feed to a served pair of bundle and index: ingest, embed, index (caption, finetune if asked).

Each stage is the job of that name, with its own options, and skips what is up to date; a stage that fails ends the run,
and the same command goes on from there. The reports of all stages are collected in one JSON, printed and written.

    python -m jobs.pipeline --config docs/pipeline.yaml
"""

import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from fromage_model.artefacts import home, place
from fromage_model.errors import FromageError
from jobs.pipeline_config import Pipeline, read_pipeline
from jobs.report import Report, Stopwatch, run

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PipelineArgs:
    """Run every stage of a pipeline."""

    config: Path
    """YAML file with a section for each job; docs/pipeline.yaml is an example."""
    out: Path | None = None
    """File for the stages' reports as JSON. Without it, one named after the pipeline under `pipelines` in the cache."""
    check: bool = False
    """Check the file, tell the stages, and run nothing."""


def main(args: PipelineArgs) -> Report:
    """Run the stages. Raises FromageError for what the user can put right; the report is written then too."""
    watch = Stopwatch()
    pipeline = read_pipeline(args.config.expanduser())
    out = args.out or home() / "pipelines" / f"{Path(pipeline.name).name}.json"
    for section, options in pipeline.stages.items():
        log.info("%s: %s", section, options)
    reports = [] if args.check else _run_stages(pipeline, out)
    if reports:
        log.info("serve run services.app:build_app bundle=%s index=%s", pipeline.bundle, pipeline.name)
    first, last = (reports[0], reports[-1]) if reports else ({}, {})
    return Report(
        "pipeline",
        rows_in=first.get("rows_in", 0),
        rows_out=last.get("rows_out", 0),
        rows_failed=first.get("rows_in", 0) - last.get("rows_out", 0),
        seconds=watch.seconds,
        output=place("index", pipeline.name),
        bundle=pipeline.bundle,
        index=pipeline.name,
        skipped=bool(reports) and all(report.get("skipped") for report in reports),
        stages=reports,
    )


def _run_stages(pipeline: Pipeline, out: Path) -> list[dict[str, Any]]:
    """The report of each stage, written to `out` after each of them."""
    reports: list[dict[str, Any]] = []
    for number, (section, options) in enumerate(pipeline.stages.items(), 1):
        log.info("[%d/%d] %s", number, len(pipeline.stages), section)
        job: Callable[[Any], Report] = import_module(f"jobs.{section}").main
        try:
            report = job(options)
        except FromageError as error:
            reports.append({"job": section, "error": str(error)})
            _write(out, pipeline, reports)
            raise FromageError(f"{section}: {error}") from error
        reports.append(report.as_dict())
        _write(out, pipeline, reports)
        if report.verdict:
            raise FromageError(f"{section}: {report.verdict}")
    return reports


def _write(path: Path, pipeline: Pipeline, reports: list[dict[str, Any]]) -> None:
    """The file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    content = {"name": pipeline.name, "bundle": pipeline.bundle, "stages": reports}
    partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)


if __name__ == "__main__":
    run(main, PipelineArgs)
