"""What is told of a captioning run: the captions that were rejected, as failures, and the job's report."""

import logging
from datetime import UTC, datetime

import pyarrow as pa

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.schema import FAILURES_SCHEMA
from fromage_model.catalogue.table import FAILURES_FILE
from jobs.caption.captioned import figures_of
from jobs.caption.failures import CAPTIONS_FOLDER, Failures
from jobs.caption.gate import FEWEST_PICTURES, Judged
from jobs.common.reporting.report import Progress, Report
from jobs.common.stages.rows import MAX_MESSAGE_CHARS

LOW_SIMILARITY = "low_similarity"
SERVES = (
    "a captioner with a vision model that knows such pictures would serve, for example --captioner "
    "HuggingFaceTB/SmolVLM-256M-Instruct (0.5 GB from the hub, or a folder with it; docs/originals.md has others), or "
    "a bundle that jobs.finetune trained on such pictures"
)

log = logging.getLogger(__name__)


def rejections(judged: Judged, catalogue: Catalogue, *, quantile: float) -> pa.Table:
    """The rejected captions as rows of FAILURES_SCHEMA: the score first, and the text."""
    places = {id: row for row, id in enumerate(catalogue.table["id"].to_pylist())}
    images = catalogue.table["image"].to_pylist()
    now = datetime.now(UTC)
    rows = []
    for (id, _), found in judged.rejected.items():
        told = (
            f"above {100 * found.above:.1f} % of captions of other pictures, not {100 * quantile:g} % (similarity "
            f"{found.caption.similarity:.4f}): {found.caption.text}"
        )
        rows.append(
            {"row": places[id] + 1, "id": id, "image": images[places[id]], "stage": "gate", "error": LOW_SIMILARITY}
            | {"message": told[:MAX_MESSAGE_CHARS], "attempts": 1, "failed_at": now}
        )
    return pa.Table.from_pylist(rows, schema=FAILURES_SCHEMA)


def report_of(
    catalogue: Catalogue,
    progress: Progress,
    judged: Judged | None,
    failures: Failures,
    *,
    captioner: str,
    everything: bool,
    max_failed: float,
    max_rejected: float,
) -> Report:
    """The pictures that were to get a caption, those among them that failed before and were left alone.

    `judged` is None where nothing was left to do. Rejected captions have a limit of their own: they are many where the
    captioner is weak, and no damage to the feed, which `max_failed` guards against.
    """
    rejected = failures.reasons.get(LOW_SIMILARITY, 0)
    failed_before = len(failures.by_id) - progress.failed - (len(judged.rejected) if judged else 0)
    rows = failed_before + progress.total
    captions = list(judged.passed.values()) if judged else []
    before = 0 if everything else sum(by == captioner for by in catalogue.table["caption_by"].to_pylist())
    stood = before + len(captions)
    most = rejected > max_rejected * (rejected + stood)
    told = f"{rejected} of {rejected + stood} captions of {captioner} were rejected as unlike their pictures"
    if rejected > stood and not most:
        log.warning("%s; %s", told, SERVES)
    weighed = [caption for caption in captions if caption.vectors is not None]
    if judged and weighed and not judged.judged:
        log.warning("fewer than %d captions are too few to judge them by: all are accepted", FEWEST_PICTURES)
    output = catalogue.uri or catalogue.folder
    return Report(
        "caption",
        rows_in=rows,
        rows_out=rows - len(failures.by_id),
        rows_failed=len(failures.by_id),
        seconds=progress.seconds,
        output=output,
        max_failed=max_failed,
        judged_rows=len(catalogue),
        excused=rejected,
        failures=f"{CAPTIONS_FOLDER}/{FAILURES_FILE}",
        verdict=f"{told}, which {output}/{CAPTIONS_FOLDER}/{FAILURES_FILE} tells; {SERVES}" if most else None,
        captioner=captioner,
        **figures_of(captions),
        rejected=rejected,
        judged=judged is not None and judged.judged,
        peak_rss_mb=progress.peak_rss_mb,
        skipped=judged is None,
    )
