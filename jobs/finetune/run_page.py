"""A run as one HTML page that needs nothing else: figures, curves, what the model says and finds, settings, lineage.

Everything that comes from a catalogue or a model is escaped. Knows no model.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jobs.common.reporting.page import PAGE_FILE, Sample, samples_of
from jobs.finetune.seen import Seen
from jobs.finetune.telling import read_lines

TEMPLATE = "run_page.html"
CHART, POINTS = (280, 120), 200
NOT_DRAWN = ("kind", "at", "skipped_steps", "loss_scale", "optimizer_steps")


@dataclass(frozen=True)
class Curve:
    """A figure over a run's steps or epochs; `points` are those of an SVG polyline that fills CHART."""

    name: str
    points: str
    first: float
    last: float
    low: float
    high: float


def write_run_page(
    folder: Path,
    *,
    figures: Mapping[str, Any],
    phases: Mapping[str, float],
    scalars: Path,
    seen: Sequence[Seen],
    read: Callable[[str], bytes],
    settings: Mapping[str, Any],
    lineage: Mapping[str, Any],
    trials: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Write report.html into `folder`, the run's -> its path. `scalars` is where its curves' figures lie; `trials` are
    a sweep's, the best first.

    `read` gives a picture's bytes by its item's id; small copies of them stand in the page.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    pictures = _pictures(seen, read)
    rows = [
        {"own": pictures[one.id], "says": one.says, "nearest": [pictures[id] for id, _ in one.nearest]} for one in seen
    ]
    html = environment.get_template(TEMPLATE).render(
        figures=figures,
        phases={name: f"{seconds:.1f} s" for name, seconds in phases.items()},
        curves=curves_of(list(read_lines(scalars))),
        chart=CHART,
        rows=rows,
        held_out=any(one.held_out for one in seen),
        settings=settings,
        lineage=lineage,
        trials=trials,
    )
    path = folder / PAGE_FILE
    path.write_text(html, encoding="utf-8")
    return path


def curves_of(lines: Sequence[Mapping[str, Any]]) -> list[Curve]:
    """Of what the lines of steps tell, then of what those of epochs tell beside it."""
    found: dict[str, Curve] = {}
    for kind in ("train", "epoch"):
        own = [line for line in lines if line["kind"] == kind]
        for name in dict.fromkeys(name for line in own for name in line if name not in NOT_DRAWN):
            values = [line[name] for line in own if name in line]
            if name not in found and len(values) > 1 and np.isfinite(values).all():
                found[name] = _curve(name.replace("_", " "), values)
    return list(found.values())


def _curve(name: str, values: Sequence[float]) -> Curve:
    """Means over at most POINTS equal parts."""
    parts = np.array([part.mean() for part in np.array_split(np.array(values), min(POINTS, len(values)))])
    low, high = float(parts.min()), float(parts.max())
    width, height = CHART
    across = np.linspace(0, width, len(parts))
    down = height * (1 - (parts - low) / ((high - low) or 1.0))
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, down, strict=True))
    return Curve(name, points, first=float(parts[0]), last=float(parts[-1]), low=low, high=high)


def _pictures(seen: Sequence[Seen], read: Callable[[str], bytes]) -> dict[str, Sample]:
    """Each picture once in memory, by its item's id."""
    captions = {one.id: one.caption for one in seen} | {id: caption for one in seen for id, caption in one.nearest}
    return {sample.id: sample for sample in samples_of([{"id": i, "caption": c} for i, c in captions.items()], read)}
