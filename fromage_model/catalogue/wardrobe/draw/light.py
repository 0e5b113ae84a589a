"""Light and shadow on cloth: how it is round, how it rises at its edges, how it falls in folds. From the upper left."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fromage_model.catalogue.wardrobe.draw.cloth import Cloth
from fromage_model.catalogue.wardrobe.draw.outline import Point, segments, written
from fromage_model.catalogue.wardrobe.draw.shades import glow_of, over, shadow_of

Parts = tuple[tuple[float, float], ...]

# A filter that blurs takes ten times as long as these: soft edges are strokes of falling width, one over the other.
# Each is a share of the width and of the strength.
SOFT = ((1.5, 0.28), (0.95, 0.36), (0.45, 0.38))
SOFT_LIGHT = ((1.3, 0.45), (0.6, 0.55))


@dataclass(frozen=True)
class Fold:
    """A soft crease along a path of one bow (`M`, then `Q` or `L`): pointed at both ends, or with `opens` widest at its
    end, as at a hem. With a negative `depth` it is light and not shadow."""

    path: str
    depth: float = 0.3
    width: float = 7.0
    opens: bool = False

    def outline(self, share: float) -> str:
        """What it covers at `share` of its width."""
        (_, [(x0, y0)]), (_, points) = segments(self.path)
        x1, y1 = points[-1]
        cx, cy = points[0] if len(points) == 2 else ((x0 + x1) / 2, (y0 + y1) / 2)
        length = max(math.hypot(x1 - x0, y1 - y0), 1.0)
        nx, ny = -(y1 - y0) / length * self.width * share, (x1 - x0) / length * self.width * share
        half = 0.55 if self.opens else 0.0
        return written(
            [
                ("M", [(x0, y0)]),
                ("Q", [(cx + nx * (1 - half), cy + ny * (1 - half)), (x1 + nx * half, y1 + ny * half)]),
                ("L", [(x1 - nx * half, y1 - ny * half)]),
                ("Q", [(cx - nx * (1 - half), cy - ny * (1 - half)), (x0, y0)]),
                ("Z", []),
            ]
        )


def relief(use: str, cloth: Cloth, folds: Sequence[Fold], rim: float) -> str:
    """Shadow inside the lower right edges, light inside the upper left ones, and folds; all blurred at once."""
    dark, light = shadow_of(cloth.colour), glow_of(cloth.colour)
    k = cloth.sheen
    lines = []
    if rim:
        lines.append(soft(f'{use} transform="translate(-2 -2.6)"', dark, 9, min(0.44 * rim, 0.9)))
        lines.append(
            soft(f'{use} transform="translate(2.6 3.4)"', light, 6, min(0.42 * rim * k, 0.9), parts=SOFT_LIGHT)
        )
    creases = []
    for fold in folds:
        strength = min(abs(fold.depth) * (0.6 + 0.4 * k), 0.9)
        creases.append(_crease(fold, dark if fold.depth > 0 else light, strength))
        if fold.depth > 0:
            beside = f' transform="translate({-fold.width * 0.75:.1f} {-fold.width * 0.35:.1f})"'
            creases.append(_crease(fold, light, min(fold.depth * 0.75 * k, 0.8), beside, parts=SOFT_LIGHT))
    if not lines and not creases:
        return ""
    rims = f'<g fill="none" stroke-linejoin="round">{"".join(lines)}</g>' if lines else ""
    return rims + "".join(creases)


def _crease(fold: Fold, colour: str, strength: float, more: str = "", *, parts: Parts = SOFT) -> str:
    return "".join(
        f'<path d="{fold.outline(share)}" fill="{colour}" fill-opacity="{strength * part:.3f}"{more}/>'
        for share, part in parts
    )


def soft(element: str, colour: str, width: float, strength: float, *, parts: Parts = SOFT) -> str:
    """A stroke with soft edges, of an element that is open at its end."""
    return "".join(
        f'{element} stroke="{colour}" stroke-width="{width * share:.1f}" stroke-opacity="{strength * part:.3f}"/>'
        for share, part in parts
    )


def roundness(name: str, cloth: Cloth, across: tuple[Point, Point] | None, *, solid: bool) -> str:
    """A gradient from light to shadow, named `name`, across a piece: between two points, or from its
    left to its right. A `solid` one has the cloth's colour below it; others are laid over what is there."""
    light, dark, k = glow_of(cloth.colour), shadow_of(cloth.colour), cloth.sheen
    shades = (
        (0, dark, 0.16),
        (0.14, light, 0.05),
        (0.3, light, 0.26),
        (0.5, light, 0.04),
        (0.75, dark, 0.12),
        (1, dark, 0.34),
    )
    listed = ""
    for at, shade, much in shades:
        share = min(much * k, 0.9)
        paint = (
            f'stop-color="{over(cloth.colour, shade, share)}"'
            if solid
            else f'stop-color="{shade}" stop-opacity="{share:.2f}"'
        )
        listed += f'<stop offset="{at}" {paint}/>'
    if across is None:
        return f'<linearGradient id="{name}" x1="0" y1="0.05" x2="1" y2="0.25">{listed}</linearGradient>'
    # The light comes from the left, whichever end is named first.
    (x1, y1), (x2, y2) = sorted(across)
    where = f'gradientUnits="userSpaceOnUse" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<linearGradient id="{name}" {where}>{listed}</linearGradient>'
