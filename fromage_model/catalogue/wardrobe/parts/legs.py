"""Trousers from waistband to hem: two legs, laid flat, that meet at the crotch."""

import random
from dataclasses import dataclass

from fromage_model.catalogue.wardrobe.draw.cloth import Cloth
from fromage_model.catalogue.wardrobe.draw.light import Fold
from fromage_model.catalogue.wardrobe.draw.outline import mirror
from fromage_model.catalogue.wardrobe.draw.pen import Pen


@dataclass(frozen=True)
class Legs:
    """The right leg: half widths and heights. `foot` is where its middle ends, `open` half its width there."""

    top: float = 40
    waist: float = 53
    hip: float = 66
    hip_y: float = 104
    crotch: float = 132
    knee: float = 27
    knee_y: float = 232
    foot: float = 50
    open: float = 21
    bottom: float = 366

    def axis(self, y: float) -> float:
        """The middle of the leg at a height."""
        start = self.hip * 0.52
        return start + (self.foot - start) * (y - self.crotch) / (self.bottom - self.crotch)

    def leg(self) -> str:
        knee = self.axis(self.knee_y)
        return (
            f"M0 {self.top + 4}Q{self.waist * 0.5:.1f} {self.top + 4} {self.waist} {self.top}"
            f"C{self.waist + (self.hip - self.waist) * 0.4:.1f} {self.top + 22} {self.hip - 1} "
            f"{self.hip_y - 26} {self.hip} {self.hip_y}"
            f"C{self.hip + 2:.1f} {self.hip_y + 40} {knee + self.knee + 3:.1f} {self.knee_y - 50} "
            f"{knee + self.knee:.1f} {self.knee_y}"
            f"C{knee + self.knee - 1:.1f} {self.knee_y + 40} {self.foot + self.open:.1f} "
            f"{self.bottom - 50} {self.foot + self.open:.1f} {self.bottom}"
            f"Q{self.foot:.1f} {self.bottom + 4} {self.foot - self.open:.1f} {self.bottom}"
            f"C{self.foot - self.open:.1f} {self.bottom - 50} {knee - self.knee + 1:.1f} "
            f"{self.knee_y + 40} {knee - self.knee:.1f} {self.knee_y}"
            f"C{knee - self.knee - 2:.1f} {self.knee_y - 60} 4 {self.crotch + 20} 0 {self.crotch}Z"
        )


LEGS = {
    "skinny": Legs(knee=21, foot=44, open=14),
    "slim": Legs(knee=24, foot=46, open=17),
    "straight": Legs(knee=28, foot=50, open=25),
    "tapered": Legs(hip=69, knee=29, foot=48, open=18),
    "bootcut": Legs(knee=24, foot=54, open=30),
    "flared": Legs(knee=23, foot=60, open=40),
    "wide-leg": Legs(hip=69, knee=39, foot=62, open=46),
}


def short_legs(bottom: float, *, spread: float = 40.0) -> Legs:
    """Shorts that end at `bottom`."""
    knee_y = bottom - 16
    return Legs(
        waist=62, hip=76, hip_y=112, crotch=150, knee=spread - 1, knee_y=knee_y, foot=48, open=spread, bottom=bottom
    )


def draw_legs(
    pen: Pen, legs: Legs, cloth: Cloth, dice: random.Random, *, crease: bool = False, hem: bool = True, inside: str
) -> None:
    """Both legs, the seam of the fly between them, and the folds at hip and knee."""
    for side in (-1, 1):
        # One looks a little into the hem.
        pen.flat(_oval_hem(legs, side), inside, line=1.2)
    for side in (-1, 1):
        path = legs.leg() if side == 1 else mirror(legs.leg())
        middle = legs.axis(legs.knee_y) * side
        across = ((middle - legs.knee - 12, legs.knee_y), (middle + legs.knee + 12, legs.knee_y + 4))
        pen.piece(path, cloth, grain=-2.0 * side, across=across, folds=_folds(legs, dice, side))
        if crease:
            pen.seam(
                (
                    f"M{side * legs.hip * 0.5:.1f} {legs.top + 46}L{middle:.1f} {legs.knee_y}"
                    f"L{side * legs.foot:.1f} {legs.bottom}"
                ),
                cloth,
                opacity=0.6,
            )
        if hem:
            up = 8
            pen.stitch(
                (
                    f"M{side * (legs.foot - legs.open + 1)} {legs.bottom - up}Q{side * legs.foot} "
                    f"{legs.bottom - up + 4} {side * (legs.foot + legs.open - 1)} {legs.bottom - up}"
                ),
                cloth,
            )


def _oval_hem(legs: Legs, side: int) -> str:
    x, r, y = side * legs.foot, legs.open, legs.bottom
    return f"M{x - r} {y}Q{x} {y - 4} {x + r} {y}Q{x} {y + 5} {x - r} {y}Z"


def _folds(legs: Legs, dice: random.Random, side: int) -> list[Fold]:
    folds = [
        Fold(
            (
                f"M{side * 4} {legs.crotch - 8}Q{side * 20} {legs.crotch - 18} "
                f"{side * dice.uniform(34, 46):.1f} {legs.crotch - dice.uniform(20, 34):.1f}"
            ),
            0.32,
            5,
        ),
        Fold(
            (
                f"M{side * 6} {legs.crotch + 6}Q{side * 22} {legs.crotch + 2} "
                f"{side * dice.uniform(36, 50):.1f} {legs.crotch - dice.uniform(0, 8):.1f}"
            ),
            0.24,
            5,
        ),
    ]
    if legs.bottom - legs.crotch < 120:
        x = side * legs.foot
        folds.append(Fold(f"M{x - 8} {legs.crotch + 14}L{x + dice.uniform(-10, 6):.1f} {legs.bottom - 6}", 0.2, 7))
        return folds
    knee, half = legs.axis(legs.knee_y) * side, legs.knee
    for drop, depth in ((-14, 0.2), (2, 0.28), (16, 0.18)):
        y = legs.knee_y + drop + dice.uniform(-4, 4)
        folds.append(
            Fold(
                (
                    f"M{knee - side * half * 0.9:.1f} {y:.1f}Q{knee - side * half * 0.3:.1f} {y + 6:.1f} "
                    f"{knee + side * half * dice.uniform(0.1, 0.5):.1f} {y + dice.uniform(-2, 5):.1f}"
                ),
                depth,
                5,
            )
        )
    y = legs.bottom - dice.uniform(26, 40)
    folds.append(
        Fold(
            (
                f"M{side * (legs.foot + legs.open * 0.8):.1f} {y:.1f}Q{side * legs.foot:.1f} {y + 9:.1f} "
                f"{side * (legs.foot - legs.open * 0.5):.1f} {y + 6:.1f}"
            ),
            0.22,
            5,
        )
    )
    thigh = legs.axis((legs.crotch + legs.knee_y) / 2) * side
    folds.append(
        Fold(
            (
                f"M{thigh + dice.uniform(-6, 6):.1f} {legs.crotch + 24}L{knee + dice.uniform(-4, 4):.1f} "
                f"{legs.knee_y - 22}"
            ),
            -0.25,
            9,
        )
    )
    return folds
