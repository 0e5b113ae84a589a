"""A benchmark's result as one HTML page that needs nothing else: figures, a plot, examples and differences by example.

Everything that comes from files or models is escaped. Knows no protocol.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.common.reporting.page import spread, thumbnail
from jobs.evaluate.benchmarks.task import PictureFile, Result, Shown, Task
from jobs.evaluate.metrics.resampling import Difference, Figure

TEMPLATE = "page.html"
EXAMPLES = 24
DIFFERENT = 24
"""Examples on which two models differ most, half of them in each direction."""
WIDTH, HEIGHT, ROW = 480, 240, 22
COLOURS = ("#24599b", "#b3423a", "#2f7d4f", "#8a5a9e", "#a8741a", "#5b6470")


@dataclass(frozen=True)
class Mark:
    """A figure in the plot: its place and its interval's, in pixels."""

    label: str
    text: str
    value: float
    low: float
    high: float
    y: float
    colour: str


@dataclass(frozen=True)
class Curve:
    """Figures over a number: the points of an SVG polyline, and their intervals as (x, low, high)."""

    label: str
    points: str
    bars: Sequence[tuple[float, float, float]]
    colour: str


@dataclass(frozen=True)
class Card:
    """An example with its pictures as data: URIs; `lines` are (label, text)."""

    id: str
    picture: str | None
    lines: Sequence[tuple[str, str]]
    others: Sequence[tuple[str, str]]


def page(
    benchmark: str,
    *,
    task: Task,
    results: Sequence[Result],
    differences: Mapping[str, Difference],
    reasons: Mapping[str, int],
) -> str:
    """The page as HTML."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    curves, ticks = _curves(results)
    return environment.get_template(TEMPLATE).render(
        benchmark=benchmark,
        task=task,
        results=results,
        differences=differences,
        reasons=reasons,
        marks=marks(results),
        curves=curves,
        ticks=ticks,
        x_label=results[0].measured.x_label,
        size=(WIDTH, HEIGHT, ROW),
        cards=_examples(results[0]) if len(results) == 1 else _different(results),
    )


def marks(results: Sequence[Result]) -> list[Mark]:
    """One row of the plot for each figure in percent and each model; ranks, which have another scale, are left out."""
    found: list[Mark] = []
    shown = [name for name, scores in results[0].measured.scores.items() if scores.scale == 100]
    most = max((result.figures[name].high for result in results for name in shown if name in result.figures), default=0)
    top = max(100.0, most)
    for name in shown:
        for number, result in enumerate(results):
            if name in result.figures:
                figure = result.figures[name]
                at, low, high = (WIDTH * one / top for one in (figure.value, figure.low, figure.high))
                label, y = name if number == 0 else "", ROW * len(found) + ROW / 2
                found.append(Mark(label, told(figure), at, low, high, y, COLOURS[number]))
    return found


def told(figure: Figure) -> str:
    return f"{figure.value:.2f} [{figure.low:.2f}, {figure.high:.2f}]"


def _curves(results: Sequence[Result]) -> tuple[list[Curve], list[tuple[float, str]]]:
    """Each model's curves, on an axis of equal steps from one x to the next, and that axis' ticks."""
    every = sorted({x for result in results for points in result.measured.curves.values() for x, _ in points})
    if len(every) < 2:
        return [], []
    place = {x: WIDTH * (0.5 + number) / len(every) for number, x in enumerate(every)}
    found: list[Curve] = []
    for result in results:
        for label, points in result.measured.curves.items():
            figures = [(place[x], result.figures[name]) for x, name in points]
            line = " ".join(f"{x:.1f},{_height(figure.value):.1f}" for x, figure in figures)
            bars = [(x, _height(figure.low), _height(figure.high)) for x, figure in figures]
            named = label if len(results) == 1 else f"{result.model}: {label}"
            found.append(Curve(named, line, bars, COLOURS[len(found) % len(COLOURS)]))
    return found, [(at, f"{x:g}") for x, at in place.items()]


def _height(percent: float) -> float:
    return HEIGHT * (1 - percent / 100)


def _examples(result: Result) -> list[Card]:
    return [_card(result.measured.shown[row]) for row in spread(len(result.measured.shown), most=EXAMPLES)]


def _card(shown: Shown) -> Card:
    lines = [("asked", shown.asked), ("expected", shown.expected), ("came", shown.got), ("score", f"{shown.score:.2f}")]
    other = _uri(shown.got_picture)
    return Card(shown.id, _uri(shown.picture), lines, [("came", other)] if other else [])


def _different(results: Sequence[Result]) -> list[Card]:
    """The examples where the second model gains most on the first, then those where it loses most."""
    first, second = results
    others = {shown.id: shown for shown in second.measured.shown}
    pairs = [(shown, others[shown.id]) for shown in first.measured.shown if shown.id in others]
    gains = sorted(pairs, key=lambda pair: pair[0].score - pair[1].score)
    half = DIFFERENT // 2
    losses = sorted(gains[half:], key=lambda pair: pair[1].score - pair[0].score)[:half]
    chosen = [pair for pair in [*gains[:half], *losses] if pair[0].score != pair[1].score]
    return [_difference(first.model, one, second.model, other) for one, other in chosen]


def _difference(first: str, one: Shown, second: str, other: Shown) -> Card:
    lines = [("asked", one.asked), ("expected", one.expected)]
    lines += [(f"{model} ({shown.score:.2f})", shown.got) for model, shown in ((first, one), (second, other))]
    pictures: list[tuple[str, Any]] = [(first, _uri(one.got_picture)), (second, _uri(other.got_picture))]
    return Card(one.id, _uri(one.picture), lines, [(model, uri) for model, uri in pictures if uri])


def _uri(picture: PictureFile | None) -> str | None:
    return thumbnail(picture.bytes) if picture is not None else None
