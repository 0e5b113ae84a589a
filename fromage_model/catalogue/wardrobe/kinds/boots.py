"""Boots, seen from the side, as pairs like shoes."""

import random

from fromage_model.catalogue.wardrobe.draw.cloth import Cloth
from fromage_model.catalogue.wardrobe.draw.light import Fold
from fromage_model.catalogue.wardrobe.draw.outline import box
from fromage_model.catalogue.wardrobe.draw.pen import Pen
from fromage_model.catalogue.wardrobe.draw.shades import toned
from fromage_model.catalogue.wardrobe.kinds.shoes import LEATHER_SOLE, pair
from fromage_model.catalogue.wardrobe.look import Look


def ankle_boots(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(1.06, (0, 206))
    del dice
    pair(pen, lambda: _boot(pen, look, shaft=104, wide=0))


def knee_boots(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(0.78, (-4, 128))
    del dice
    pair(pen, lambda: _boot(pen, look, shaft=-80, wide=-14), apart=(92, -34))


def rain_boots(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(0.94, (-6, 186))
    del dice

    def one() -> None:
        cloth = look.cloth
        top = 36 if look.cut["height"] == "tall" else 112
        upper = (
            f"M-142 262C-148 228 -120 212 -88 206C-62 200 -54 184 -54 160L-58 {top}Q8 {top + 12} 78 {top}"
            "L80 150C82 196 98 230 104 262Z"
        )
        pen.flat(f"M-58 {top}Q8 {top - 12} 78 {top}Q8 {top + 12} -58 {top}Z", toned(cloth.colour, -0.22), line=1.3)
        pen.piece(
            upper,
            cloth,
            across=((-60, 140), (84, 150)),
            folds=[
                Fold("M-50 176Q-20 196 30 190", 0.3, 7),
                Fold("M-44 160Q0 176 60 166", 0.2, 6),
                Fold(f"M-34 {top + 24}L-36 150", -0.7, 9),
                Fold("M-120 232Q-96 218 -74 214", -0.7, 8),
            ],
        )
        pen.band(f"M-57 {top + 16}Q8 {top + 28} 78 {top + 16}", 7, look.trim)
        dark = Cloth(toned(look.trim.colour, -0.12), look.trim.colour, sheen=0.8)
        pen.piece(
            (
                "M-148 254C-152 272 -148 284 -130 284L-20 284L-12 278L32 278L38 290L104 290C110 284 110 268 "
                "106 254C60 264 -90 264 -148 254Z"
            ),
            dark,
            rim=0.5,
        )
        if look.has("buckle"):
            pen.band(f"M50 {top + 44}L80 {top + 40}", 6, look.trim)
            pen.metal(box(50, top + 37, 10, 13, 2) + box(53, top + 40, 4, 7, 1), look.metal_code)

    pair(pen, one, apart=(78, -34))


def _boot(pen: Pen, look: Look, *, shaft: float, wide: float) -> None:
    cloth, heel = look.cloth, look.cut["heel"]
    rise = {"flat": 12, "block heel": 46, "stiletto heel": 62, "chunky sole": 22}[heel]
    ground = 292.0
    seat = ground - rise
    dark = LEATHER_SOLE if look.colour not in ("black", "brown", "navy", "burgundy") else "#1d1a1b"
    left, right = -50 - wide * 0.4, 82 + wide * 0.6
    low = ground - 12
    upper = (
        f"M-144 {low}C-150 {low - 22} -132 {low - 36} -104 {low - 44}C-72 {low - 54} -54 {low - 78} -50 {low - 110}"
        f"L{left} {shaft}Q16 {shaft + 10} {right} {shaft}L{86 + wide * 0.2:.1f} {low - 118}"
        f"C88 {seat - 60} 104 {seat - 36} 106 {seat}Q40 {seat + 4} 0 {low - 4 - rise * 0.18:.1f}Q-40 "
        f"{low + 4} -144 {low}Z"
    )
    pen.flat(
        f"M{left} {shaft}Q16 {shaft - 10} {right} {shaft}Q16 {shaft + 10} {left} {shaft}Z",
        toned(cloth.colour, -0.18),
        line=1.2,
    )
    if heel == "stiletto heel":
        pen.piece(
            (
                f"M70 {seat - 6}L108 {seat - 10}C108 {seat + 14} 100 {seat + 30} 98 {ground}L90 {ground}C88 "
                f"{seat + 26} 80 {seat + 14} 66 {seat + 8}Z"
            ),
            Cloth(dark, dark, sheen=1.3),
            rim=0.6,
        )
    elif heel != "chunky sole":
        pen.piece(f"M58 {seat - 6}L108 {seat - 8}L104 {ground}L62 {ground}Z", Cloth(dark, dark, sheen=1.2), rim=0.6)
    folds = [
        Fold(f"M-52 {low - 84}Q-20 {low - 66} 36 {low - 84}", 0.32, 7),
        Fold(f"M-50 {low - 104}Q0 {low - 90} 56 {low - 106}", 0.24, 6),
    ]
    if shaft < 60:
        folds += [
            Fold(f"M{left + 6} {low - 140}Q0 {low - 122} 60 {low - 134}", 0.26, 6),
            Fold(f"M{left + 24} {shaft + 20}L-26 {low - 150}", -0.5, 10),
        ]
    pen.piece(upper, cloth, across=((left - 4, 150), (right + 4, 156)), folds=folds)
    _boot_details(pen, look, shaft=shaft, low=low, left=left, right=right, seat=seat)
    if heel == "chunky sole":
        pen.piece(
            (
                f"M-150 {low - 6}C-156 {ground} -148 {ground + 6} -130 {ground + 6}L108 {ground + 6}L110 "
                f"{seat - 8}C60 {seat + 4} -60 {low + 6} -150 {low - 6}Z"
            ),
            Cloth(dark, dark),
            rim=0.5,
        )
        for x in range(-136, 104, 18):
            pen.seam(f"M{x} {ground - 6}L{x} {ground + 4}", Cloth(dark, dark))
    else:
        pen.piece(
            (
                f"M-148 {low - 4}C-152 {ground} -146 {ground} -134 {ground}L-44 {ground}C-10 {ground - 2} 30 "
                f"{seat + 12} 66 {seat + 4}L106 {seat - 2}L106 {seat - 8}C60 {seat - 4} 10 "
                f"{low - 10 - rise * 0.18:.1f} -40 {low}Q-100 {low + 2} -148 {low - 4}Z"
            ),
            Cloth(dark, dark),
            rim=0.4,
            line=1.2,
        )


def _boot_details(pen: Pen, look: Look, *, shaft: float, low: float, left: float, right: float, seat: float) -> None:
    cloth = look.cloth
    if look.has("elastic sides"):
        pen.piece(
            (
                f"M4 {shaft + 6}L40 {shaft + 5}C42 {low - 120} 36 {low - 92} 22 {low - 84}C8 {low - 92} 4 "
                f"{low - 120} 4 {shaft + 6}Z"
            ),
            Cloth(toned(cloth.colour, -0.12), cloth.colour, texture="ribbed"),
            rim=0.5,
            line=1.1,
        )
        pen.band(f"M{right - 8} {shaft + 3}L{right + 2} {shaft - 14}L{right + 6} {shaft + 2}", 4, cloth.bare())
    if look.has("laces"):
        lace = toned(cloth.colour, -0.28) if look.colour not in ("black", "navy", "brown") else "#d9c7a3"
        count = 8 if shaft < 60 else 5
        for k in range(count):
            y = low - 66 - (low - 74 - shaft) * k / count
            x = left + 4 + max(0, 22 - k * 14)
            pen.band(f"M{x - 2} {y:.1f}L{x + 24} {y - 6:.1f}", 3.2, Cloth(lace, lace), line=0.8, round_ends=True)
            pen.dot(x + 25, y - 6, 2, look.metal_code)
        pen.seam(
            (
                f"M{left + 32} {shaft + 4}L{left + 33} {low - 84}C{left + 30} {low - 64} {left} {low - 56} "
                f"{left - 20} {low - 46}"
            ),
            cloth,
        )
    if look.has("zip"):
        pen.ink(f"M30 {shaft + 8}L34 {seat - 26}", look.metal_code, width=3, dashes="1.4 1.2")
        pen.metal(box(28, shaft + 8, 4, 12, 2), look.metal_code)
    if look.has("buckle"):
        y = low - 96
        pen.band(f"M{left + 2} {y + 4}Q10 {y + 14} 86 {y - 6}", 9, cloth.bare())
        pen.metal(box(28, y, 14, 15, 2) + box(32, y + 4, 6, 7, 1), look.metal_code)
    pen.stitch(f"M{left + 3} {shaft + 8}Q16 {shaft + 18} {right - 3} {shaft + 8}", cloth)
