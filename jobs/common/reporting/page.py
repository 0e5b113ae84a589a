"""A job's report as JSON and as one HTML page that needs nothing else: counts, rows over time, pictures, failures.

Everything that comes from a feed or a model is escaped. Knows nothing of what a job does.
"""

import base64
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image

from fromage_model.errors import FromageError
from fromage_model.vision.images import decode_image

PAGE_FILE = "report.html"
JSON_FILE = "report.json"
TEMPLATE = "page.html"
PICTURES = 12
THUMBNAIL_PX = 160
CHART = (640, 160)


@dataclass(frozen=True)
class Sample:
    """A picture to be shown: a data: URI, or None where it can't be read. `note` stands below the caption."""

    id: str
    caption: str
    image: str | None
    note: str = ""


def write_page(
    folder: Path,
    *,
    figures: Mapping[str, Any],
    points: Sequence[tuple[float, int]],
    reasons: Mapping[str, int],
    samples: Sequence[Sample] = (),
) -> None:
    """Write report.html and report.json into `folder`. `points` are (seconds since the start, rows done so far)."""
    (folder / PAGE_FILE).write_text(page(figures=figures, points=points, reasons=reasons, samples=samples))
    told = {**figures, "failures": dict(reasons), "progress": [[round(at, 3), rows] for at, rows in points]}
    (folder / JSON_FILE).write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")


def page(
    *,
    figures: Mapping[str, Any],
    points: Sequence[tuple[float, int]],
    reasons: Mapping[str, int],
    samples: Sequence[Sample] = (),
) -> str:
    """The page as HTML."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    most = max(reasons.values(), default=1)
    bars = [(name, count, 100 * count / most) for name, count in sorted(reasons.items(), key=lambda pair: -pair[1])]
    rates = throughput(points)
    return environment.get_template(TEMPLATE).render(
        figures=figures,
        curve=polyline(rates),
        seconds=rates[-1][0] if rates else 0.0,
        fastest=max((rate for _, rate in rates), default=0.0),
        chart=CHART,
        bars=bars,
        samples=samples,
    )


def throughput(points: Sequence[tuple[float, int]], *, bins: int = 60) -> list[tuple[float, float]]:
    """(seconds, rows done so far) -> (seconds, rows per second) in equal slices of time."""
    if len(points) < 2 or points[-1][0] <= points[0][0]:
        return []
    end_s = points[-1][0]
    width_s = end_s / bins
    rows = [0] * bins
    for (_, before), (now_s, done) in pairwise(points):
        rows[min(bins - 1, int(now_s / width_s))] += done - before
    return [((place + 1) * width_s, count / width_s) for place, count in enumerate(rows)]


def polyline(rates: Sequence[tuple[float, float]]) -> str:
    """The points of an SVG polyline that fills CHART."""
    if not rates:
        return ""
    width, height = CHART
    end_s, top = rates[-1][0], max(rate for _, rate in rates) or 1.0
    return " ".join(f"{width * at / end_s:.1f},{height * (1 - rate / top):.1f}" for at, rate in rates)


def samples_of(rows: Iterable[Mapping[str, Any]], read: Callable[[str], bytes]) -> list[Sample]:
    """Samples of catalogue rows (id, caption), whose pictures `read` gives by id; `note` where a row has one."""
    return [
        Sample(
            str(row["id"]),
            str(row["caption"] or ""),
            thumbnail(partial(read, str(row["id"]))),
            str(row.get("note", "")),
        )
        for row in rows
    ]


def spread(count: int, *, most: int = PICTURES) -> list[int]:
    """At most `most` places among `count`, evenly spread."""
    return sorted({place * count // min(most, count) for place in range(min(most, count))}) if count else []


def thumbnail(read: Callable[[], bytes]) -> str | None:
    """The picture whose bytes `read` gives, made small, as a data: URI; None where it can't be read."""
    try:
        picture: Image.Image = decode_image(read(), target_px=THUMBNAIL_PX)
    except (OSError, FromageError):
        return None
    picture.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
