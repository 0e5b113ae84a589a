"""Outlines as SVG path data, over a canvas whose middle is x = 0, so that the other half of a garment is a mirror.

Paths are written with absolute `M`, `L`, `C`, `Q` and `Z` alone.
"""

import re
from collections.abc import Sequence

TOKEN = re.compile(r"[MLCQZ]|-?\d+(?:\.\d+)?(?:e-?\d+)?")
POINTS_OF = {"M": 1, "L": 1, "Q": 2, "C": 3, "Z": 0}

Point = tuple[float, float]
Segment = tuple[str, list[Point]]
Box = tuple[float, float, float, float]


def segments(path: str) -> list[Segment]:
    """The commands of a path, each with its points; points that follow without a command are of the one before."""
    tokens = TOKEN.findall(path)
    found: list[Segment] = []
    place, command = 0, "L"
    while place < len(tokens):
        if tokens[place] in POINTS_OF:
            command = tokens[place]
            place += 1
        count = POINTS_OF[command] * 2
        values = [float(token) for token in tokens[place : place + count]]
        found.append((command, list(zip(values[::2], values[1::2], strict=True))))
        place += count
        command = "L" if command == "M" else command
    return found


def written(parts: Sequence[Segment]) -> str:
    """Path data with one decimal, so that the same outline is the same text everywhere."""
    return "".join(command + " ".join(f"{number(x)} {number(y)}" for x, y in points) for command, points in parts)


def number(value: float) -> str:
    """A coordinate as short as a tenth can be written."""
    text = f"{value:.1f}"
    text = text.removesuffix(".0")
    return "0" if text == "-0" else text


def bounds(path: str) -> Box:
    """The least and largest x and y that a path comes to, to a unit or so: left, top, right, bottom."""
    reached: list[Point] = []
    for _, points in segments(path):
        if len(points) > 1:
            start = reached[-1]
            reached += [_on_curve((start, *points), share) for share in (0.25, 0.5, 0.75)]
        reached += points[-1:]
    across, down = zip(*reached, strict=True)
    return min(across), min(down), max(across), max(down)


def _on_curve(points: Sequence[Point], share: float) -> Point:
    """The point at a share of a quadratic or cubic curve (Bernstein's form)."""
    rest = 1 - share
    if len(points) == 3:
        weights: tuple[float, ...] = (rest * rest, 2 * rest * share, share * share)
    else:
        weights = (rest**3, 3 * rest * rest * share, 3 * rest * share * share, share**3)
    x = y = 0.0
    for weight, (px, py) in zip(weights, points, strict=True):
        x += weight * px
        y += weight * py
    return x, y


def mirror(path: str) -> str:
    """The same outline on the other side of x = 0."""
    return written([(command, [(-x, y) for x, y in points]) for command, points in segments(path)])


def backwards(path: str) -> str:
    """An open path from its end to its start."""
    parts = segments(path)
    ends = [points[-1] for _, points in parts]
    turned: list[Segment] = [("M", [ends[-1]])]
    for place in range(len(parts) - 1, 0, -1):
        command, points = parts[place]
        turned.append((command, [*reversed(points[:-1]), ends[place - 1]]))
    return written(turned)


def whole(half: str) -> str:
    """The closed outline whose right half runs from the top of the middle line to its bottom."""
    return joined(half, backwards(mirror(half)))


def joined(*paths: str) -> str:
    """Open paths one after the other as one closed outline."""
    parts = segments(paths[0])
    for path in paths[1:]:
        (_, first), *rest = segments(path)
        if first[-1] != parts[-1][1][-1]:
            parts.append(("L", first))
        parts += rest
    return written(parts) + "Z"


def box(x: float, y: float, width: float, height: float, radius: float = 0.0) -> str:
    """A rectangle by its upper left corner, with round corners."""
    r = min(radius, width / 2, height / 2)
    right, low = x + width, y + height
    if r <= 0:
        return f"M{x:.1f} {y:.1f}L{right:.1f} {y:.1f}L{right:.1f} {low:.1f}L{x:.1f} {low:.1f}Z"
    return (
        f"M{x + r:.1f} {y:.1f}L{right - r:.1f} {y:.1f}Q{right:.1f} {y:.1f} {right:.1f} {y + r:.1f}"
        f"L{right:.1f} {low - r:.1f}Q{right:.1f} {low:.1f} {right - r:.1f} {low:.1f}"
        f"L{x + r:.1f} {low:.1f}Q{x:.1f} {low:.1f} {x:.1f} {low - r:.1f}L{x:.1f} {y + r:.1f}Q{x:.1f} "
        f"{y:.1f} {x + r:.1f} {y:.1f}Z"
    )


def oval(x: float, y: float, rx: float, ry: float) -> str:
    """An ellipse about its middle."""
    k = 0.5523
    return (
        f"M{x - rx:.1f} {y:.1f}C{x - rx:.1f} {y - k * ry:.1f} {x - k * rx:.1f} {y - ry:.1f} {x:.1f} {y - ry:.1f}"
        f"C{x + k * rx:.1f} {y - ry:.1f} {x + rx:.1f} {y - k * ry:.1f} {x + rx:.1f} {y:.1f}"
        f"C{x + rx:.1f} {y + k * ry:.1f} {x + k * rx:.1f} {y + ry:.1f} {x:.1f} {y + ry:.1f}"
        f"C{x - k * rx:.1f} {y + ry:.1f} {x - rx:.1f} {y + k * ry:.1f} {x - rx:.1f} {y:.1f}Z"
    )


def wavy(x0: float, x1: float, y: float, *, waves: int, depth: float) -> str:
    """The hem of a wide skirt, from `x0` to `x1`: `waves` bows that sag by `depth`, as path data without an `M`."""
    step = (x1 - x0) / waves
    bows = (
        f"Q{x0 + step * (wave + 0.5):.1f} {y + depth * (1 if wave % 2 == 0 else -0.4):.1f} "
        f"{x0 + step * (wave + 1):.1f} {y:.1f}"
        for wave in range(waves)
    )
    return "".join(bows)
