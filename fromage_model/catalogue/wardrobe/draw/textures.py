"""What a material looks like from near: tiles of light and shade that lie over colour and pattern.

`dark` and `light` are the colours of shadow and glow on the cloth; a tile is its width, height and content.
"""

import random
from collections.abc import Callable

Tile = tuple[float, float, str]


def knit(dark: str, light: str) -> Tile:
    """Stocking stitch: columns of V."""
    return 8, 7, (
        f'<path d="M0.4 0.6Q1.5 4.4 4 6.2Q6.5 4.4 7.6 0.6" fill="none" stroke="{dark}" '
        f'stroke-width="1.3" opacity="0.34"/>'
        f'<path d="M1.6 -0.6Q2.4 2.6 4 4Q5.6 2.6 6.4 -0.6" fill="none" stroke="{light}" '
        f'stroke-width="1" opacity="0.28"/>'
    )  # fmt: skip


def ribbed(dark: str, light: str) -> Tile:
    return 7, 7, (
        f'<rect width="1.7" height="7" x="0" fill="{dark}" opacity="0.36"/>'
        f'<rect width="2" height="7" x="3.2" fill="{light}" opacity="0.22"/>'
    )  # fmt: skip


def cable(dark: str, light: str) -> Tile:
    """Braids between columns of purl."""
    rope = "".join(
        f'<path d="M{x} {y}C{x} {y + 8} {x + 11} {y + 8} {x + 11} {y + 18}" stroke-width="6.5" '
        f'stroke="{dark}" opacity="0.3"/>'
        f'<path d="M{x} {y}C{x} {y + 8} {x + 11} {y + 8} {x + 11} {y + 18}" stroke-width="3" '
        f'stroke="{light}" opacity="0.3"/>'
        for x, y in ((8, -6), (8, 6), (8, 18), (8, -18))
    )
    sides = "".join(f'<path d="M{x} 0V24" stroke="{dark}" stroke-width="1.4" opacity="0.4"/>' for x in (2.5, 25.5, 31))
    bumps = "".join(
        f'<circle cx="{x}" cy="{y}" r="1" fill="{dark}" opacity="0.3"/>' for x in (28.2, 34) for y in (3, 9, 15, 21)
    )
    return 36, 24, f'<g fill="none" stroke-linecap="round">{rope}{sides}</g>{bumps}'


def denim(dark: str, light: str) -> Tile:
    """Twill: a diagonal, with threads that are paler."""
    dice = random.Random("denim")
    lines = "".join(f"M{x} 49L{x + 50} -1" for x in range(-50, 52, 5))
    pale = "".join(
        f"M{x:.1f} {y:.1f}l{size:.1f} {-size:.1f}"
        for x, y, size in ((dice.uniform(0, 46), dice.uniform(4, 48), dice.uniform(1.5, 4)) for _ in range(90))
    )
    return 50, 50, (
        f'<path d="{lines}" stroke="{dark}" stroke-width="1.3" stroke-opacity="0.22"/>'
        f'<path d="{pale}" stroke="{light}" stroke-width="0.9" stroke-opacity="0.4"/>'
    )  # fmt: skip


def corduroy(dark: str, light: str) -> Tile:
    return 6, 6, (
        f'<rect width="1.6" height="6" fill="{dark}" opacity="0.42"/>'
        f'<rect width="1.8" height="6" x="2.8" fill="{light}" opacity="0.26"/>'
    )  # fmt: skip


def tweed(dark: str, light: str) -> Tile:
    """Flecks of both shades over a herringbone."""
    dice = random.Random("tweed")
    flecks = "".join(
        f'<circle cx="{dice.uniform(0, 32):.1f}" cy="{dice.uniform(0, 32):.1f}" r="{dice.uniform(0.5, 1.1):.1f}" '
        f'fill="{dice.choice((dark, light))}" opacity="0.55"/>'
        for _ in range(46)
    )
    bones = (
        f'<path d="M0 8L8 0L16 8L24 0L32 8M0 16L8 8L16 16L24 8L32 16M0 24L8 16L16 24L24 16L32 24M0 32L8 '
        f'24L16 32L24 24L32 32" fill="none" stroke="{dark}" opacity="0.28" stroke-width="1.4"/>'
    )
    return 32, 32, bones + flecks


def linen(dark: str, light: str) -> Tile:
    dice = random.Random("linen")
    slubs = "".join(
        f'<path d="M{x:.1f} {y:.1f}h{dice.uniform(4, 12):.1f}" stroke="{dice.choice((dark, light))}" '
        f'stroke-width="0.7" opacity="0.28"/>'
        for x, y in ((dice.uniform(0, 28), dice.uniform(0, 28)) for _ in range(22))
    )
    return 28, 28, slubs + slubs.replace("h", "v")


def canvas(dark: str, light: str) -> Tile:
    return 4, 4, (
        f'<rect width="2" height="2" fill="{dark}" opacity="0.13"/><rect x="2" y="2" width="2" '
        f'height="2" fill="{light}" '
        f'opacity="0.15"/>'
    )  # fmt: skip


def straw(dark: str, light: str) -> Tile:
    """Plait: short strands one over the other."""
    return 12, 8, (
        f'<path d="M0 0L6 4L0 8M6 4L12 0M6 4L12 8" fill="none" stroke="{dark}" stroke-width="1.1" opacity="0.42"/>'
        f'<path d="M1.5 0.2L7 3.6M1.5 7.8L7 4.4" fill="none" stroke="{light}" stroke-width="1" opacity="0.5"/>'
    )  # fmt: skip


def fleece(dark: str, light: str) -> Tile:
    """Curls of pile."""
    dice = random.Random("fleece")
    curls = ""
    for _ in range(34):
        x, y, r = dice.uniform(0, 36), dice.uniform(0, 36), dice.uniform(1.6, 2.8)
        shade = dice.choice((dark, light))
        for dx in (-36, 0, 36):
            for dy in (-36, 0, 36):
                if -4 < x + dx < 40 and -4 < y + dy < 40:
                    curls += (
                        f'<path d="M{x + dx - r:.1f} {y + dy:.1f}q0 {-r:.1f} {r:.1f} {-r:.1f}q{r:.1f} '
                        f'0 {r:.1f} {r:.1f}" '
                        f'fill="none" stroke="{shade}" stroke-width="1.1" opacity="0.38"/>'
                    )
    return 36, 36, curls


def lace(dark: str, light: str) -> Tile:
    """Flowers of holes in a net."""
    petals = "".join(
        f'<ellipse cx="12" cy="6.5" rx="2" ry="3.4" transform="rotate({a} 12 12)"/>' for a in range(0, 360, 60)
    )
    small = "".join(
        f'<circle cx="{x}" cy="{y}" r="1.4"/>'
        for x, y in ((0, 0), (24, 0), (0, 24), (24, 24), (12, 0), (0, 12), (24, 12), (12, 24))
    )
    return 24, 24, (
        f'<g fill="{dark}" opacity="0.5">{petals}{small}</g>'
        f'<circle cx="12" cy="12" r="9.6" fill="none" stroke="{light}" stroke-width="1.3" opacity="0.65"/>'
    )  # fmt: skip


def sequins(dark: str, light: str) -> Tile:
    scales = "".join(
        f'<circle cx="{x}" cy="{y}" r="3.7" fill="{light}" opacity="{glow}" stroke="{dark}" stroke-width="0.9"/>'
        for x, y, glow in (
            (0, 0, 0.1),
            (8, 0, 0.5),
            (16, 0, 0.1),
            (4, 4, 0.25),
            (12, 4, 0.06),
            (0, 8, 0.4),
            (8, 8, 0.08),
            (16, 8, 0.4),
            (4, 12, 0.05),
            (12, 12, 0.6),
            (0, 16, 0.1),
            (8, 16, 0.5),
            (16, 16, 0.1),
        )
    )
    return 16, 16, scales


def suede(dark: str, light: str) -> Tile:
    dice = random.Random("suede")
    nap = "".join(
        f'<circle cx="{dice.uniform(0, 30):.1f}" cy="{dice.uniform(0, 30):.1f}" r="{dice.uniform(0.5, 0.9):.1f}" '
        f'fill="{dice.choice((dark, light))}" opacity="0.3"/>'
        for _ in range(60)
    )
    return 30, 30, nap


def woven(dark: str, light: str) -> Tile:
    """Basketry: strands over and under."""
    return 16, 16, (
        f'<g stroke="{dark}" stroke-width="0.9" stroke-opacity="0.6" fill="{light}" fill-opacity="0.16">'
        '<rect x="0.5" y="1" width="10" height="6" rx="2.5"/><rect x="8.5" y="9" width="10" height="6" rx="2.5"/>'
        '<rect x="-7.5" y="9" width="10" height="6" rx="2.5"/></g>'
        f'<g stroke="{dark}" stroke-width="0.9" stroke-opacity="0.6" fill="{dark}" fill-opacity="0.12">'
        '<rect x="11" y="0" width="4.5" height="8.6" rx="1.5"/><rect x="3" y="8" width="4.5" '
        'height="8.6" rx="1.5"/></g>'
    )  # fmt: skip


TEXTURES: dict[str, Callable[[str, str], Tile]] = {
    "knit": knit,
    "ribbed": ribbed,
    "cable": cable,
    "denim": denim,
    "corduroy": corduroy,
    "tweed": tweed,
    "linen": linen,
    "canvas": canvas,
    "straw": straw,
    "fleece": fleece,
    "lace": lace,
    "sequins": sequins,
    "suede": suede,
    "woven": woven,
}
