"""Necklaces, earrings, rings, bracelets and watches."""

import math
import random

from fromage_model.catalogue.wardrobe.draw.cloth import Cloth
from fromage_model.catalogue.wardrobe.draw.outline import box, oval
from fromage_model.catalogue.wardrobe.draw.pen import Pen
from fromage_model.catalogue.wardrobe.draw.shades import toned
from fromage_model.catalogue.wardrobe.look import Look, colour_code

PEARL = "#f3ece0"


def gem_colour(look: Look) -> str:
    return colour_code(look.second) if look.second else PEARL


def gem(pen: Pen, x: float, y: float, r: float, colour: str, *, drop: bool = False) -> None:
    """A cut stone: table, facets, and a spark."""
    outline = (
        (
            f"M{x} {y - r * 1.5:.1f}C{x + r * 0.5:.1f} {y - r * 0.6:.1f} {x + r} {y} {x + r} {y + r * 0.4:.1f}"
            f"C{x + r} {y + r * 1.2:.1f} {x - r} {y + r * 1.2:.1f} {x - r} {y + r * 0.4:.1f}C{x - r} {y} "
            f"{x - r * 0.5:.1f} {y - r * 0.6:.1f} {x} {y - r * 1.5:.1f}Z"
        )
        if drop
        else oval(x, y, r, r)
    )
    pen.piece(outline, Cloth(colour, colour, sheen=2.2), rim=0.7, line=1.0)
    facets = "".join(
        f"M{x} {y}L{x + r * math.cos(a):.1f} {y + r * math.sin(a):.1f}" for a in (k * math.pi / 4 for k in range(8))
    )
    pen.ink(facets, toned(colour, 0.2), width=0.8, opacity=0.5)
    pen.flat(oval(x, y, r * 0.5, r * 0.5), toned(colour, 0.08), line=0.7, edge=toned(colour, 0.25), opacity=0.7)
    pen.gloss(oval(x - r * 0.35, y - r * 0.35, r * 0.2, r * 0.14), opacity=0.9)


def pearl(pen: Pen, x: float, y: float, r: float, colour: str = PEARL) -> None:
    pen.piece(oval(x, y, r, r), Cloth(colour, colour, sheen=1.5), rim=0.8, line=0.8)
    pen.gloss(oval(x - r * 0.32, y - r * 0.36, r * 0.24, r * 0.2), opacity=0.85)


def chain(pen: Pen, path: str, metal: str, *, width: float = 4.0) -> None:
    pen.band(path, width, Cloth(toned(metal, -0.16), metal), line=0.9)
    pen.ink(path, toned(metal, 0.14), width=width * 0.6, dashes=f"{width} {width * 0.7:.1f}")


def necklace(pen: Pen, look: Look, dice: random.Random) -> None:
    del dice
    metal, style = colour_code(look.colour), look.cut["style"]
    low = {"choker": 210.0, "princess": 268.0, "long": 316.0}[look.cut["length"]]
    pen.frame(1.06, (0, (40 + low + 30) / 2))
    curve = f"M-104 40C-140 {low * 0.5:.0f} -96 {low:.0f} 0 {low:.0f}C96 {low:.0f} 140 {low * 0.5:.0f} 104 40"
    if style in ("beads", "pearls"):
        colour = gem_colour(look) if style == "beads" else PEARL
        count = {"choker": 27, "princess": 33, "long": 38}[look.cut["length"]]
        for k in range(count):
            t = k / (count - 1)
            x, y = _along(low, t)
            pearl(pen, x, y, 7.2 + 3.4 * (1 - abs(2 * t - 1)), colour)
        pen.metal(box(-116, 34, 22, 10, 3), metal)
        return
    chain(pen, curve, metal)
    pen.metal(oval(0, low + 3, 5, 5) + oval(0, low + 3, 2.4, 2.4), metal)
    if style == "locket":
        pen.metal(
            (
                f"M0 {low + 14}C10 {low} 36 {low + 4} 34 {low + 28}C32 {low + 48} 12 {low + 58} 0 {low + 70}"
                f"C-12 {low + 58} -32 {low + 48} -34 {low + 28}C-36 {low + 4} -10 {low} 0 {low + 14}Z"
            ),
            metal,
        )
    elif style == "bar":
        pen.metal(box(-38, low + 6, 76, 10, 5), metal)
    else:
        pen.metal(
            (
                f"M0 {low + 2}C13 {low + 20} 24 {low + 28} 24 {low + 42}C24 {low + 70} -24 {low + 70} -24 "
                f"{low + 42}C-24 {low + 28} -13 {low + 20} 0 {low + 2}Z"
            ),
            metal,
        )
        gem(pen, 0, low + 42, 16, gem_colour(look))


def _along(low: float, t: float) -> tuple[float, float]:
    """A point of the necklace's curve, from the left end (0) to the right (1)."""
    left = ((-104, 40), (-140, low * 0.5), (-96, low), (0, low))
    right = ((0, low), (96, low), (140, low * 0.5), (104, 40))
    points, u = (left, t * 2) if t <= 0.5 else (right, t * 2 - 1)
    weights = ((1 - u) ** 3, 3 * u * (1 - u) ** 2, 3 * u * u * (1 - u), u**3)
    return tuple(sum(w * point[axis] for w, point in zip(weights, points, strict=True)) for axis in (0, 1))  # type: ignore[return-value]


def earrings(pen: Pen, look: Look, dice: random.Random) -> None:
    del dice
    pen.frame(1.1, (0, 200))
    metal, style = colour_code(look.colour), look.cut["style"]
    for x in (-68.0, 68.0):
        if style == "hoops":
            pen.metal(oval(x, 208, 58, 62) + oval(x, 211, 49, 51), metal)
            pen.metal(box(x - 3, 134, 6, 16, 3), metal)
            if look.second:
                gem(pen, x, 268, 9, gem_colour(look))
        elif style == "studs":
            pen.metal(oval(x, 200, 40, 40), metal)
            gem(pen, x, 200, 30, gem_colour(look))
            for turn in range(4):
                a = math.pi / 4 + turn * math.pi / 2
                pen.dot(x + 32 * math.cos(a), 200 + 32 * math.sin(a), 5, metal)
        elif style == "pearl drops":
            pen.band(f"M{x - 8} 128C{x - 18} 96 {x + 14} 96 {x} 132", 3.4, Cloth(metal, metal), line=0.9)
            chain(pen, f"M{x} 134L{x} 196", metal, width=4)
            pearl(pen, x, 228, 32)
        else:
            pen.band(f"M{x - 8} 112C{x - 18} 80 {x + 14} 80 {x} 116", 3.4, Cloth(metal, metal), line=0.9)
            gem(pen, x, 134, 15, gem_colour(look))
            pen.metal(
                (
                    f"M{x} 146C{x + 30} 190 {x + 42} 230 {x + 40} 256C{x + 36} 306 {x - 36} 306 {x - 40} 256"
                    f"C{x - 42} 230 {x - 30} 190 {x} 146Z"
                )
                + (
                    f"M{x} 176C{x - 20} 206 {x - 30} 234 {x - 29} 254C{x - 26} 290 {x + 26} 290 {x + 29} 254"
                    f"C{x + 30} 234 {x + 20} 206 {x} 176Z"
                ),
                metal,
            )
            gem(pen, x, 244, 19, gem_colour(look), drop=True)


def ring(pen: Pen, look: Look, dice: random.Random) -> None:
    del dice
    pen.frame(1.1, (0, 210))
    metal, style = colour_code(look.colour), look.cut["style"]
    wide = 30 if style in ("band", "signet") else 20
    pen.metal(oval(0, 236, 104, 104) + oval(0, 236 + (4 if style != "band" else 0), 104 - wide, 104 - wide), metal)
    pen.gloss("M-88 204C-80 176 -62 156 -40 146L-36 152C-56 164 -72 182 -80 208Z", opacity=0.5)
    if style == "signet":
        pen.metal("M-46 146C-44 112 44 112 46 146C44 168 -44 168 -46 146Z", metal)
    elif style == "solitaire":
        pen.metal("M-34 146L-24 116L24 116L34 146L18 158L-18 158Z", metal)
        gem(pen, 0, 112, 38, gem_colour(look))
        for x in (-30, 30):
            pen.dot(x, 98, 6, metal)
    elif style == "cluster":
        for turn in range(6):
            a = turn * math.pi / 3
            gem(pen, 34 * math.cos(a), 122 + 26 * math.sin(a), 15, PEARL)
        gem(pen, 0, 122, 20, gem_colour(look))
    else:
        for k in range(5):
            a = math.radians(-90 + (k - 2) * 20)
            if look.second:
                gem(pen, 90 * math.cos(a), 236 + 90 * math.sin(a), 9, gem_colour(look))


def bracelet(pen: Pen, look: Look, dice: random.Random) -> None:
    del dice
    pen.frame(1.08, (0, 202))
    metal, style = colour_code(look.colour), look.cut["style"]
    if style == "bangle":
        pen.metal(oval(0, 200, 138, 110) + oval(0, 203, 116, 88), metal)
        pen.gloss("M-118 160C-100 128 -70 108 -36 102L-34 108C-64 116 -92 134 -108 164Z", opacity=0.55)
        return
    if style == "beaded":
        count = 26
        for k in range(count):
            a = 2 * math.pi * k / count
            pearl(
                pen,
                126 * math.cos(a),
                202 + 98 * math.sin(a),
                15.5,
                gem_colour(look) if k % 4 else toned(gem_colour(look), -0.06),
            )
        pen.metal(oval(0, 300, 12, 12), metal)
        return
    chain(pen, oval(0, 196, 130, 98), metal, width=9)
    pen.metal(box(-16, 92, 32, 13, 5), metal)
    if style == "charm":
        for x, y, k in ((-78, 276, 0), (-28, 292, 1), (28, 292, 2), (78, 276, 0)):
            pen.metal(oval(x, y + 4, 5, 6) + oval(x, y + 4, 2.4, 3), metal)
            if k == 1:
                pen.metal(
                    (
                        f"M{x} {y + 16}C{x + 6} {y + 6} {x + 22} {y + 10} {x + 18} {y + 24}C{x + 14} {y + 34} "
                        f"{x + 4} {y + 38} {x} {y + 44}C{x - 4} {y + 38} {x - 14} {y + 34} {x - 18} {y + 24}"
                        f"C{x - 22} {y + 10} {x - 6} {y + 6} {x} {y + 16}Z"
                    ),
                    metal,
                )
            else:
                gem(pen, x, y + 24, 13, gem_colour(look), drop=k == 2)


def watch(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(1.0, (0, 200))
    metal = look.metal_code
    strap = look.cloth
    if look.material == "metal":
        metal = strap.colour
        for y in [*range(20, 128, 17), *range(274, 382, 17)]:
            inset = abs(200 - y) * 0.045
            for x0, x1 in ((-32 + inset, -11), (-10, 10), (11, 32 - inset)):
                pen.metal(box(x0, y, x1 - x0, 15.5, 3), metal)
    else:
        pen.piece("M-31 134L-25 24Q-24 14 -14 14L14 14Q24 14 25 24L31 134Z", strap, rim=0.9)
        pen.piece("M-31 266L-24 372Q-20 388 0 392Q20 388 24 372L31 266Z", strap, rim=0.9)
        pen.stitch("M-25 130L-20 26M25 130L20 26M-25 270L-19 370M25 270L19 370", strap)
        for y in (318, 334, 350, 366):
            pen.dot(0, y, 2.6, toned(strap.colour, -0.3))
        pen.metal(box(-31, 6, 62, 16, 4) + box(-23, 10, 46, 8, 2), metal)
        pen.piece(box(-29, 44, 58, 11, 3), strap, rim=0.5, line=1.1)
    square = look.cut["case"] == "square"
    for side in (-1, 1):
        pen.metal(box(side * 30 - 6, 126, 12, 24, 3), metal)
        pen.metal(box(side * 30 - 6, 250, 12, 24, 3), metal)
    pen.metal(box(62, 192, 12, 16, 3), metal)
    outer = box(-62, 136, 124, 128, 22) if square else oval(0, 200, 68, 68)
    inner = box(-52, 146, 104, 108, 15) if square else oval(0, 200, 57, 57)
    pen.metal(outer, metal)
    dial = colour_code(look.second) if look.second else "#f6f2ea"
    pen.piece(inner, Cloth(dial, dial, sheen=0.7), rim=1.0, line=1.0)
    mark = "#f6f2ea" if look.second in ("black", "navy", "green", "burgundy", "blue") else "#3b3634"
    for hour in range(12):
        a = math.radians(hour * 30)
        inner_end, outer_end = (40, 49) if hour % 3 else (36, 49)
        pen.ink(
            (
                f"M{inner_end * math.sin(a):.1f} {200 - inner_end * math.cos(a):.1f}"
                f"L{outer_end * math.sin(a):.1f} {200 - outer_end * math.cos(a):.1f}"
            ),
            mark,
            width=3 if hour % 3 == 0 else 1.6,
        )
    del dice
    for a, reach, width in ((math.radians(-52), 26, 4.4), (math.radians(54), 39, 3.0)):
        pen.ink(
            (
                f"M{-6 * math.sin(a):.1f} {200 + 6 * math.cos(a):.1f}L{reach * math.sin(a):.1f} "
                f"{200 - reach * math.cos(a):.1f}"
            ),
            mark,
            width=width,
        )
    pen.dot(0, 200, 4, metal)
    pen.gloss("M-44 172C-34 152 -14 146 4 148L-42 204C-48 194 -48 182 -44 172Z", opacity=0.16)
