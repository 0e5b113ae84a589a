"""The upper body of a garment laid flat: its outline from neck to hem, and its folds.

Right half only, as the canvas has it; the left is its mirror.
"""

import random
from dataclasses import dataclass

from fromage_model.catalogue.wardrobe.draw.light import Fold
from fromage_model.catalogue.wardrobe.draw.outline import Point, mirror, whole
from fromage_model.catalogue.wardrobe.draw.pen import Pen


@dataclass(frozen=True)
class Torso:
    """Half widths and heights in canvas units. `neck` is where the shoulder begins, `shoulder` where
    the sleeve does."""

    top: float = 60
    neck: float = 32
    depth: float = 26
    neckline: str = "crew"
    shoulder: float = 86
    slope: float = 20
    chest: float = 78
    armpit: float = 142
    waist: float = 74
    waist_y: float = 220
    hem: float = 78
    hem_y: float = 310
    sag: float = 5

    @property
    def tip(self) -> Point:
        """Where the shoulder ends and the sleeve begins."""
        return self.shoulder, self.top + self.slope

    @property
    def pit(self) -> Point:
        return self.chest, self.armpit

    def neck_edge(self) -> str:
        """From the middle of the front up to the shoulder."""
        n, y, low = self.neck, self.top, self.top + self.depth
        edges = {
            "crew": f"M0 {low}C{n * 0.55:.1f} {low} {n * 0.98:.1f} {y + self.depth * 0.55:.1f} {n} {y}",
            "scoop": f"M0 {low}C{n * 0.75:.1f} {low} {n * 0.95:.1f} {y + self.depth * 0.6:.1f} {n} {y}",
            "v": (
                f"M0 {low}C{n * 0.35:.1f} {low - self.depth * 0.4:.1f} {n * 0.8:.1f} {y + self.depth * 0.3:.1f} {n} {y}"
            ),
            "square": f"M0 {low}L{n * 0.92:.1f} {low}L{n} {y}",
            "boat": f"M0 {low}C{n * 0.5:.1f} {low} {n * 0.8:.1f} {y + self.depth * 0.6:.1f} {n} {y}",
            "sweetheart": (
                f"M0 {low}C{n * 0.16:.1f} {low - self.depth * 0.36:.1f} {n * 0.62:.1f} {low - self.depth * 0.62:.1f} "
                f"{n * 0.86:.1f} {low - self.depth * 0.3:.1f}L{n} {y}"
            ),
        }
        return edges[self.neckline]

    def side(self) -> str:
        """From the neck over shoulder and armhole down to the hem at the side."""
        (sx, sy), (px, py) = self.tip, self.pit
        inward = min(sx, px) - 9
        return (
            f"L{sx - 8} {sy - 3}Q{sx} {sy - 1} {sx} {sy + 5}"
            f"C{inward:.1f} {sy + (py - sy) * 0.45:.1f} {inward + 1:.1f} {py - 10:.1f} {px} {py}"
            f"C{px - (px - self.waist) * 0.8:.1f} {py + (self.waist_y - py) * 0.5:.1f} {self.waist:.1f} "
            f"{self.waist_y - (self.waist_y - py) * 0.25:.1f} {self.waist:.1f} {self.waist_y}"
            f"C{self.waist:.1f} {self.waist_y + (self.hem_y - self.waist_y) * 0.3:.1f} {self.hem - 1:.1f} "
            f"{self.hem_y - (self.hem_y - self.waist_y) * 0.35:.1f} {self.hem} {self.hem_y}"
        )

    def outline(self) -> str:
        low = self.hem_y + self.sag
        return whole(f"{self.neck_edge()}{self.side()}Q{self.hem * 0.5:.1f} {low + 1:.1f} 0 {low}")

    def front(self, middle: float = 0.0) -> str:
        """The right front of an open or buttoned garment: its inner edge is at x = `middle`."""
        low = self.hem_y + self.sag
        return f"{self.neck_edge()}{self.side()}Q{self.hem * 0.5:.1f} {low + 1:.1f} {middle} {low}Z"

    def armhole(self) -> str:
        (sx, sy), (px, py) = self.tip, self.pit
        inward = min(sx, px) - 9
        return f"M{sx} {sy}C{inward:.1f} {sy + (py - sy) * 0.45:.1f} {inward + 1:.1f} {py - 10:.1f} {px} {py}"

    def back(self) -> str:
        """What shows of the back, inside the neck."""
        n, y = self.neck, self.top
        low = y + self.depth + 4
        return whole(f"M0 {y + 8}C{n * 0.5:.1f} {y + 8} {n * 0.8:.1f} {y + 5} {n} {y - 1}L{n} {low}L0 {low}")

    def folds(self, dice: random.Random, *, depth: float = 0.26) -> list[Fold]:
        """From the armpits inwards, and a few soft ones over the body; no two garments have the same."""
        px, py = self.pit
        found = []
        for sign in (-1, 1):
            reach = dice.uniform(26, 40)
            fall = dice.uniform(30, 52)
            found.append(
                Fold(
                    f"M{sign * (px - 3):.1f} {py + 4:.1f}Q{sign * (px - 16):.1f} {py + fall * 0.35:.1f} "
                    f"{sign * (px - reach):.1f} {py + fall:.1f}",
                    depth,
                    6,
                )
            )
            x = sign * dice.uniform(0.2, 0.7) * self.waist
            start = self.hem_y - (self.hem_y - self.waist_y) * dice.uniform(0.75, 1.15)
            drift = dice.uniform(-6, 6)
            found.append(
                Fold(
                    (
                        f"M{x:.1f} {start:.1f}Q{x + drift:.1f} {(start + self.hem_y) / 2:.1f} "
                        f"{x + drift * 0.6 + sign * 4:.1f} {self.hem_y + 8:.1f}"
                    ),
                    depth * 0.62,
                    8,
                    opens=True,
                )
            )
        lean = dice.choice((-1, 1))
        y = self.waist_y + dice.uniform(-24, 4)
        found.append(
            Fold(
                f"M{lean * (self.waist - 5):.1f} {y:.1f}Q{lean * self.waist * 0.5:.1f} {y + 14:.1f} "
                f"{lean * self.waist * 0.12:.1f} {y + dice.uniform(14, 30):.1f}",
                depth * 0.6,
                6,
            )
        )
        return found


def back_of_neck(pen: Pen, torso: Torso, lining: str, *, label: bool = True) -> None:
    """The inside of the back, with a label: what one sees through the neck of a garment laid flat."""
    pen.flat(torso.back(), lining, line=1.2)
    y = torso.top + 10
    if label and torso.depth > 16:
        pen.flat(f"M-8 {y}L8 {y}L8 {y + 8}L-8 {y + 8}Z", "#f3efe8", line=0.6, edge="#b8b0a4")


def both(path: str) -> tuple[str, str]:
    """A path on the right and its mirror on the left."""
    return path, mirror(path)
