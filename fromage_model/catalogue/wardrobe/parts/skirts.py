"""Skirts, from a waist to a hem: straight, flared, pleated, in tiers. Used by skirts and by dresses."""

import random
from dataclasses import dataclass

from fromage_model.catalogue.wardrobe.draw.cloth import Cloth
from fromage_model.catalogue.wardrobe.draw.light import Fold
from fromage_model.catalogue.wardrobe.draw.outline import joined, wavy
from fromage_model.catalogue.wardrobe.draw.pen import Pen


@dataclass(frozen=True)
class Skirt:
    """Half widths at `waist`, `hip` and `hem`; `waves` of its hem, `depth` of each."""

    waist: float
    hip: float
    hip_y: float
    hem: float
    top: float
    bottom: float
    waves: int = 5
    depth: float = 6.0
    slit: bool = False

    def side(self) -> str:
        """The right side, downwards."""
        down = self.bottom - self.top
        return (
            f"C{self.waist + (self.hip - self.waist) * 0.5:.1f} {self.top + (self.hip_y - self.top) * 0.3:.1f} "
            f"{self.hip} {self.hip_y - (self.hip_y - self.top) * 0.3:.1f} {self.hip} {self.hip_y}"
            f"C{self.hip + (self.hem - self.hip) * 0.3:.1f} {self.hip_y + down * 0.22:.1f} "
            f"{self.hem - (self.hem - self.hip) * 0.25:.1f} {self.bottom - down * 0.25:.1f} {self.hem} {self.bottom}"
        )

    def outline(self) -> str:
        right = f"M{-self.waist} {self.top}Q0 {self.top + 5} {self.waist} {self.top}{self.side()}"
        hem = wavy(self.hem, -self.hem, self.bottom, waves=self.waves, depth=self.depth)
        left = (
            f"M{-self.hem} {self.bottom}C{-self.hem + (self.hem - self.hip) * 0.25:.1f} "
            f"{self.bottom - (self.bottom - self.top) * 0.25:.1f} {-self.hip - (self.hem - self.hip) * 0.3:.1f} "
            f"{self.hip_y + (self.bottom - self.top) * 0.22:.1f} {-self.hip} {self.hip_y}"
            f"C{-self.hip} {self.hip_y - (self.hip_y - self.top) * 0.3:.1f} "
            f"{-self.waist - (self.hip - self.waist) * 0.5:.1f} "
            f"{self.top + (self.hip_y - self.top) * 0.3:.1f} {-self.waist} {self.top}"
        )
        return joined(right + hem, left)

    def at(self, across: float, down: float) -> tuple[float, float]:
        """A point of it: `across` from -1 to 1, `down` from 0 to 1."""
        y = self.top + (self.bottom - self.top) * down
        if y < self.hip_y:
            half = self.waist + (self.hip - self.waist) * (y - self.top) / max(self.hip_y - self.top, 1)
        else:
            half = self.hip + (self.hem - self.hip) * (y - self.hip_y) / max(self.bottom - self.hip_y, 1)
        return across * half, y


def skirt_of(cut: str, *, waist: float, top: float, bottom: float, scale: float = 1.0) -> Skirt:
    """The shape of a cut at this length; `scale` of how wide it flares."""
    down = bottom - top
    hip_y = top + min(62 * scale, down * 0.4)
    if cut in ("straight", "pencil"):
        hip = waist + 15 * scale
        return Skirt(waist, hip, hip_y, hip - (6 if cut == "pencil" else 0) * scale, top, bottom, 1, 4)
    if cut == "a-line":
        return Skirt(waist, waist + 15 * scale, hip_y, waist + 12 * scale + down * 0.25, top, bottom, 3, 6)
    if cut == "pleated":
        return Skirt(waist, waist + 20 * scale, hip_y, waist + 18 * scale + down * 0.26, top, bottom, 1, 6)
    if cut == "ball":
        return Skirt(waist, waist + 46 * scale, top + 50 * scale, waist + 42 * scale + down * 0.27, top, bottom, 7, 8)
    if cut == "tiered":
        return Skirt(waist, waist + 20 * scale, hip_y, waist + 14 * scale + down * 0.27, top, bottom, 7, 7)
    return Skirt(waist, waist + 26 * scale, hip_y, waist + 22 * scale + down * 0.36, top, bottom, 7, 9)


def draw_skirt(pen: Pen, skirt: Skirt, cloth: Cloth, cut: str, dice: random.Random, *, hem: bool = True) -> None:
    """The skirt with the folds of its cut."""
    if cut == "tiered":
        _tiers(pen, skirt, cloth, dice)
        return
    pen.piece(skirt.outline(), cloth, folds=_folds(skirt, cut, dice))
    if cut == "pleated":
        count = 9
        for place in range(1, count):
            across = -1 + 2 * place / count
            (x1, y1), (x2, y2) = skirt.at(across * 0.98, 0.02), skirt.at(across, 0.995)
            xm, ym = skirt.at(across, 0.4)
            pen.seam(f"M{x1:.1f} {y1:.1f}Q{xm:.1f} {ym:.1f} {x2:.1f} {y2:.1f}", cloth, width=1.2)
    if hem:
        up = 7
        edge = wavy(skirt.hem - 1.5, -skirt.hem + 1.5, skirt.bottom - up, waves=skirt.waves, depth=skirt.depth)
        pen.stitch(f"M{skirt.hem - 1.5} {skirt.bottom - up}{edge}", cloth, opacity=0.6)


def _folds(skirt: Skirt, cut: str, dice: random.Random) -> list[Fold]:
    """Deep along the waves of a wide skirt, few on a narrow one."""
    folds = []
    if cut in ("straight", "pencil"):
        for side in (-1, 1):
            (x1, y1), (x2, y2) = (
                skirt.at(side * dice.uniform(0.8, 0.95), 0.3),
                skirt.at(side * dice.uniform(0.1, 0.4), dice.uniform(0.36, 0.44)),
            )
            folds.append(Fold(f"M{x1:.1f} {y1:.1f}Q{(x1 + x2) / 2:.1f} {y2 + 5:.1f} {x2:.1f} {y2:.1f}", 0.2, 6))
            (x1, y1), (x2, y2) = (
                skirt.at(side * dice.uniform(0.3, 0.6), 0.55),
                skirt.at(side * dice.uniform(0.3, 0.5), 0.93),
            )
            folds.append(Fold(f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}", 0.18, 7))
        return folds
    count = 9 if cut == "pleated" else skirt.waves + 2
    for place in range(count):
        across = -1 + 2 * (place + 0.5) / count + (0 if cut == "pleated" else dice.uniform(-0.06, 0.06))
        start = 0.04 if cut in ("pleated", "circle", "ball") else dice.uniform(0.12, 0.4)
        (x1, y1), (x2, y2) = skirt.at(across * 0.9, start), skirt.at(across, 1.02)
        xm, ym = skirt.at(across * 0.98, 0.55)
        depth = dice.uniform(0.22, 0.36)
        folds.append(
            Fold(
                f"M{x1:.1f} {y1:.1f}Q{xm:.1f} {ym:.1f} {x2:.1f} {y2:.1f}",
                depth,
                8 if cut != "a-line" else 10,
                opens=True,
            )
        )
    return folds


def _tiers(pen: Pen, skirt: Skirt, cloth: Cloth, dice: random.Random) -> None:
    """Three widths of cloth, each gathered into the one above; the lowest is drawn first."""
    marks = (0.0, 0.3, 0.62, 1.0)
    for place in (2, 1, 0):
        upper, lower = marks[place], marks[place + 1]
        (x1, y1), (x2, y2) = skirt.at(1, upper), skirt.at(1, lower)
        spread = 3 if place else 0
        tier = Skirt(
            x1 + spread, (x1 + x2) / 2 + spread + 2, (y1 + y2) / 2, x2 + spread, y1 - (4 if place else 0), y2, 7, 6
        )
        folds = []
        for number in range(9):
            across = -0.92 + 1.84 * number / 8 + dice.uniform(-0.04, 0.04)
            (ax, ay), (bx, by) = tier.at(across, 0.05), tier.at(across * 1.02, dice.uniform(0.6, 0.95))
            folds.append(Fold(f"M{ax:.1f} {ay:.1f}L{bx:.1f} {by:.1f}", dice.uniform(0.22, 0.36), 6))
        pen.piece(tier.outline(), cloth, folds=folds)
