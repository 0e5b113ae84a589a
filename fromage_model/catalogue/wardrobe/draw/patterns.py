"""Printed and woven patterns as SVG tiles, drawn over the ground colour. Each takes what shows on that ground.

A tile is its width, its height and its content; what crosses an edge comes in again at the opposite one.
"""

import math
from collections.abc import Callable, Sequence

from fromage_model.catalogue.wardrobe.draw.shades import mixed, toned

Tile = tuple[float, float, str]

# Bands run over the whole canvas in one tile: where two tiles meet in the middle of a band, a hair of ground shows.
WIDE = 440


def striped(ground: str, ink: str) -> Tile:
    return WIDE, 20, f'<rect width="{WIDE}" height="8" y="6" fill="{ink}"/>'


def pinstriped(ground: str, ink: str) -> Tile:
    return 10, WIDE, f'<rect width="1.3" height="{WIDE}" x="4.3" fill="{ink}"/>'


def dotted(ground: str, ink: str) -> Tile:
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="4"/>' for x, y in ((6.5, 6.5), (19.5, 19.5)))
    return 26, 26, f'<g fill="{ink}">{dots}</g>'


def checked(ground: str, ink: str) -> Tile:
    """Gingham: where warp and weft of the second colour cross, it is full; elsewhere half."""
    return WIDE, WIDE, _both_ways(ink, 22, ((5.5, 11, 0.58),))


def tartan(ground: str, ink: str) -> Tile:
    """A sett of a wide and a narrow band both ways, with a fine line of a third shade."""
    fine = toned(ground, 0.3, 0.7)
    bands = _both_ways(ink, 50, ((13, 16, 0.6), (33, 3, 0.65), (39, 3, 0.65)))
    return WIDE, WIDE, bands + _both_ways(fine, 50, ((13, 1.4, 0.9),))


def chevron(ground: str, ink: str) -> Tile:
    return 22, 18, f'<path d="M-2 14L11 3L24 14" fill="none" stroke="{ink}" stroke-width="5.5"/>'


def argyle(ground: str, ink: str) -> Tile:
    fine = toned(mixed(ground, ink, 0.35), 0.22, 0.6)
    return 36, 54, (
        f'<path d="M18 0L36 27L18 54L0 27Z" fill="{ink}"/>'
        f'<path d="M0 0L36 54M36 0L0 54" stroke="{fine}" stroke-width="1.2" stroke-dasharray="3 2" fill="none"/>'
    )  # fmt: skip


def houndstooth(ground: str, ink: str) -> Tile:
    return 20, 20, (
        f'<path d="M0 0H10V10H0ZM10 10L20 0V5L15 10ZM10 0L15 0L10 5ZM0 10L0 15L5 10ZM5 20L10 '
        f'15V20ZM10 10V15L5 20H0L10 10Z'
        f'" fill="{ink}"/>'
    )  # fmt: skip


def floral(ground: str, ink: str) -> Tile:
    """Five-petalled flowers of two sizes with leaves between them."""
    leaf = mixed("#5f8a52", ground, 0.25)
    heart = "#e9b949" if ink not in ("#e9b949",) else "#fff4d6"
    pale = mixed(ink, "#ffffff", 0.28)
    flowers = (
        (14, 14, 9.0, 0, ink), (44, 38, 10.0, 30, ink), (44, 8, 6.0, 10, pale), (13, 46, 6.5, 50, pale),
    )  # fmt: skip
    leaves = ((28, 24, 35), (30, 50, -30), (57, 22, 80), (3, 30, -60))
    content = "".join(_leaf(x, y, 9, turn, leaf) for x, y, turn in leaves)
    content += "".join(_flower(x, y, size, turn, petal, heart) for x, y, size, turn, petal in flowers)
    return _wrapped(60, 60, content)


def leafy(ground: str, ink: str) -> Tile:
    """Large leaves with ribs."""
    other = mixed(ink, ground, 0.45)
    content = ""
    for x, y, turn, size, colour in (
        (17, 16, 35, 24, ink), (50, 12, -50, 19, other), (36, 46, -20, 23, ink), (8, 50, 100, 18, other),
        (62, 42, 70, 17, other),
    ):  # fmt: skip
        content += _leaf(x, y, size, turn, colour)
        ribs = "".join(
            f"M{k * size * 0.5:.1f} 0L{k * size * 0.5 + size * 0.2:.1f} {s * size * 0.22:.1f}"
            for k in (-0.8, -0.2, 0.4)
            for s in (-1, 1)
        )
        content += (
            f'<path d="M{-size * 0.7:.1f} 0H{size * 0.7:.1f}{ribs}" transform="translate({x} {y}) rotate({turn})" '
            f'stroke="{ground}" stroke-width="1.1" fill="none"/>'
        )
    return _wrapped(68, 66, content)


def leopard(ground: str, ink: str) -> Tile:
    """Rosettes: broken rings of several forms around a warmer middle, with single spots between them."""
    middle = mixed(ground, ink, 0.4)
    forms = (
        "M-6.5 -2Q-5 -7 0 -6.4Q3 -6.6 4 -4.4M6 -2.4Q8 1.5 5 4.6M2 6Q-3 7.6 -6 3.6",
        "M-5 -4.6Q-1 -7.4 4.4 -4.8Q6.6 -2.6 6 0M3 5Q-1 7 -4 4.6Q-6.6 2.6 -6.4 -0.6",
        "M-7 0Q-6 -5 -1.6 -4.8M2.4 -5Q7 -3 6.6 1Q5.6 5 1.4 4.8M-2.4 4.8Q-5 4.6 -5.6 3",
    )
    spots = (
        (11, 10, 20, 1.1), (37, 6, 140, 0.9), (60, 18, 70, 1.15), (24, 31, 250, 1.2), (48, 38, 10, 1.0),
        (6, 48, 100, 0.9), (32, 56, 200, 1.05), (59, 58, 320, 1.1),
    )  # fmt: skip
    content = ""
    for place, (x, y, turn, size) in enumerate(spots):
        content += (
            f'<g transform="translate({x} {y}) rotate({turn}) scale({size} {size * 0.86:.2f})">'
            f'<ellipse rx="5" ry="4.2" fill="{middle}"/><path d="{forms[place % 3]}" fill="none" stroke="{ink}" '
            f'stroke-width="3.8" stroke-linecap="round"/></g>'
        )
    small = "".join(
        f'<ellipse cx="{x}" cy="{y}" rx="2.2" ry="1.6"/>'
        for x, y in ((24, 14), (48, 22), (9, 30), (37, 44), (20, 46), (50, 3), (66, 40))
    )
    return _wrapped(70, 68, f'{content}<g fill="{ink}">{small}</g>')


def starry(ground: str, ink: str) -> Tile:
    content = "".join(
        f'<path d="{_star(x, y, size)}" fill="{ink}"/>'
        for x, y, size in ((10, 10, 6.5), (30, 27, 6.5), (31, 6, 3), (9, 30, 3))
    )
    return _wrapped(40, 40, content)


PATTERNS: dict[str, Callable[[str, str], Tile]] = {
    "striped": striped,
    "pinstriped": pinstriped,
    "dotted": dotted,
    "checked": checked,
    "tartan": tartan,
    "chevron": chevron,
    "argyle": argyle,
    "houndstooth": houndstooth,
    "floral": floral,
    "leafy": leafy,
    "leopard": leopard,
    "starry": starry,
}


def _both_ways(ink: str, period: float, bands: Sequence[tuple[float, float, float]]) -> str:
    """Bands across and down: of each where its middle is in the period, how wide it is, and how opaque."""
    content = ""
    for middle, width, opacity in bands:
        places = [middle + period * step for step in range(int(WIDE / period))]
        across = "".join(f"M0 {place:.1f}H{WIDE}" for place in places)
        down = "".join(f"M{place:.1f} 0V{WIDE}" for place in places)
        stroke = f'stroke="{ink}" stroke-width="{width}" stroke-opacity="{opacity}"'
        content += f'<path d="{across}" {stroke}/><path d="{down}" {stroke}/>'
    return content


def _flower(x: float, y: float, size: float, turn: float, petal: str, heart: str) -> str:
    petals = "".join(
        f'<ellipse cx="0" cy="{-size * 0.55:.1f}" rx="{size * 0.36:.1f}" ry="{size * 0.5:.1f}" '
        f'transform="rotate({angle})"/>'
        for angle in range(0, 360, 72)
    )
    return (
        f'<g transform="translate({x} {y}) rotate({turn})"><g fill="{petal}">{petals}</g>'
        f'<circle r="{size * 0.24:.1f}" fill="{heart}"/></g>'
    )


def _leaf(x: float, y: float, size: float, turn: float, colour: str) -> str:
    return (
        f'<path d="M{-size} 0Q0 {-size * 0.9:.1f} {size} 0Q0 {size * 0.9:.1f} {-size} 0Z" fill="{colour}" '
        f'transform="translate({x} {y}) rotate({turn}) scale(.8)"/>'
    )


def _star(x: float, y: float, size: float) -> str:
    points = []
    for place in range(10):
        radius = size if place % 2 == 0 else size * 0.42
        angle = math.radians(place * 36 - 90)
        points.append(f"{x + radius * math.cos(angle):.1f} {y + radius * math.sin(angle):.1f}")
    return "M" + "L".join(points) + "Z"


def _wrapped(width: float, height: float, content: str) -> Tile:
    shifts = [(x, y) for x in (-width, 0, width) for y in (-height, 0, height)]
    return width, height, "".join(f'<g transform="translate({x} {y})">{content}</g>' for x, y in shifts)
