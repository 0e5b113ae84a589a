"""Sleeves, laid flat beside the body: set in at the armhole, with a head, an elbow and a cuff."""

import math
import random
from dataclasses import dataclass

from fromage_model.catalogue.wardrobe.draw.cloth import Cloth
from fromage_model.catalogue.wardrobe.draw.light import Fold
from fromage_model.catalogue.wardrobe.draw.outline import Point, mirror
from fromage_model.catalogue.wardrobe.draw.pen import Pen
from fromage_model.catalogue.wardrobe.parts.torso import Torso


@dataclass(frozen=True)
class Sleeve:
    """`length` from the armhole's middle; `angle` in degrees below level; `wrist` the width at its end; `puff` how far
    it swells beyond a straight line; `cuff` the height of a band at its end."""

    length: float
    angle: float
    wrist: float
    puff: float = 0.0
    cuff: float = 0.0
    flare: bool = False


SLEEVES = {
    "cap": Sleeve(26, 30, 56),
    "short": Sleeve(56, 48, 54),
    "elbow": Sleeve(98, 60, 46),
    "three-quarter": Sleeve(138, 66, 40),
    "long": Sleeve(186, 71, 34),
    "puff": Sleeve(56, 46, 44, puff=20, cuff=8),
    "bell": Sleeve(150, 64, 74, flare=True),
    "balloon": Sleeve(176, 68, 28, puff=26, cuff=14),
}


def sleeve_frame(torso: Torso, sleeve: Sleeve) -> tuple[Point, Point, Point, Point]:
    """Its end at the outer and the inner side, the direction along it and the one outwards."""
    (sx, sy), (px, py) = torso.tip, torso.pit
    turn = math.radians(sleeve.angle)
    along, out = (math.cos(turn), math.sin(turn)), (math.sin(turn), -math.cos(turn))
    middle = ((sx + px) / 2 + along[0] * sleeve.length, (sy + py) / 2 + along[1] * sleeve.length)
    half = sleeve.wrist / 2
    outer = (middle[0] + out[0] * half, middle[1] + out[1] * half)
    inner = (middle[0] - out[0] * half, middle[1] - out[1] * half)
    return outer, inner, along, out


def sleeve_outline(torso: Torso, sleeve: Sleeve) -> str:
    """The right sleeve; it begins a little inside the body, which is drawn over it."""
    (sx, sy), (px, py) = torso.tip, torso.pit
    (ox, oy), (ix, iy), (ux, uy), (nx, ny) = sleeve_frame(torso, sleeve)
    reach, puff = sleeve.length, sleeve.puff
    head = 10 + puff * 0.9
    hang = reach * (0.62 if sleeve.flare else 0.5)
    swell = puff * 0.8
    side = 0.34 if sleeve.flare else 0.42
    return (
        f"M{sx - 16:.1f} {sy - 4:.1f}L{sx - 6:.1f} {sy - 2:.1f}"
        f"C{sx + head:.1f} {sy + 3 - puff * 0.5:.1f} {ox - ux * hang + nx * swell:.1f} "
        f"{oy - uy * hang + ny * swell:.1f} {ox:.1f} {oy:.1f}"
        f"Q{(ox + ix) / 2 + ux * 3:.1f} {(oy + iy) / 2 + uy * 3:.1f} {ix:.1f} {iy:.1f}"
        f"C{ix - ux * reach * side - nx * swell * 0.8:.1f} {iy - uy * reach * side - ny * swell * 0.8:.1f} "
        f"{px + 3:.1f} {py + 12 + reach * 0.04:.1f} {px - 1:.1f} {py:.1f}L{px - 20:.1f} {py - 14:.1f}Z"
    )


def cuff_outline(torso: Torso, sleeve: Sleeve, height: float, *, narrow: float = 1.5, lap: float = 1.0) -> str:
    """The band at the end of the right sleeve."""
    (ox, oy), (ix, iy), (ux, uy), (nx, ny) = sleeve_frame(torso, sleeve)
    ox, oy, ix, iy = ox - ux * lap, oy - uy * lap, ix - ux * lap, iy - uy * lap
    return (
        f"M{ox:.1f} {oy:.1f}Q{(ox + ix) / 2 + ux * 3:.1f} {(oy + iy) / 2 + uy * 3:.1f} {ix:.1f} {iy:.1f}"
        f"L{ix + ux * height + nx * narrow:.1f} {iy + uy * height + ny * narrow:.1f}"
        f"Q{(ox + ix) / 2 + ux * (height + 3):.1f} {(oy + iy) / 2 + uy * (height + 3):.1f} "
        f"{ox + ux * height - nx * narrow:.1f} {oy + uy * height - ny * narrow:.1f}Z"
    )


def draw_sleeves(
    pen: Pen,
    torso: Torso,
    sleeve: Sleeve,
    cloth: Cloth,
    dice: random.Random,
    *,
    cuff: Cloth | None = None,
    cuff_height: float = 0.0,
    hem: bool = True,
) -> None:
    """Both sleeves, with folds at the elbow; draw the body over them. `cuff` is the cloth of a band at their ends."""
    outer, inner, along, out = sleeve_frame(torso, sleeve)
    path = sleeve_outline(torso, sleeve)
    height = cuff_height or sleeve.cuff
    for side in (1, -1):
        turn = (90 - sleeve.angle) * -side
        placed = path if side == 1 else mirror(path)
        middle = ((outer[0] + inner[0]) / 2, (outer[1] + inner[1]) / 2)
        back = sleeve.length * 0.5
        axis = (middle[0] - along[0] * back, middle[1] - along[1] * back)
        reach = sleeve.wrist / 2 + 8 + sleeve.puff * 0.8
        ends = [(side * (axis[0] + k * out[0] * reach), axis[1] + k * out[1] * reach) for k in (1, -1)]
        pen.piece(placed, cloth, grain=turn, across=(ends[0], ends[1]), folds=_folds(torso, sleeve, dice, side))
        if height and cuff is not None:
            band = cuff_outline(torso, sleeve, height, narrow=0.5)
            pen.piece(band if side == 1 else mirror(band), cuff, grain=turn, across=(ends[0], ends[1]), rim=0.6)
        elif hem:
            back = 5.0
            seam = (
                f"M{side * (outer[0] - along[0] * back):.1f} {outer[1] - along[1] * back:.1f}"
                f"Q{side * (middle[0] - along[0] * (back - 3)):.1f} {middle[1] - along[1] * (back - 3):.1f} "
                f"{side * (inner[0] - along[0] * back):.1f} {inner[1] - along[1] * back:.1f}"
            )
            pen.stitch(seam, cloth)


def _folds(torso: Torso, sleeve: Sleeve, dice: random.Random, side: int) -> list[Fold]:
    _, inner, along, out = sleeve_frame(torso, sleeve)
    px, py = torso.pit

    def at(back: float, across: float) -> str:
        """A point `back` of the way from the end to the armhole, `across` from the inner side (0) to the outer (1)."""
        width = sleeve.wrist + back * 16
        x = inner[0] - along[0] * sleeve.length * back + out[0] * (width * across - back * 8)
        y = inner[1] - along[1] * sleeve.length * back + out[1] * (width * across - back * 8)
        return f"{side * x:.1f} {y:.1f}"

    folds = []
    if sleeve.length > 90:
        elbow = dice.uniform(0.4, 0.52)
        folds.append(Fold(f"M{at(elbow, 0.02)}Q{at(elbow + 0.05, 0.4)} {at(elbow + 0.1, 0.75)}", 0.32, 6))
        folds.append(Fold(f"M{at(elbow - 0.12, 0.0)}Q{at(elbow - 0.09, 0.35)} {at(elbow - 0.02, 0.62)}", 0.26, 5))
        folds.append(Fold(f"M{at(0.12, 0.15)}Q{at(0.16, 0.4)} {at(0.2, 0.7)}", 0.2, 5))
    if sleeve.puff:
        for across in (0.2, 0.42, 0.62, 0.82):
            folds.append(
                Fold(f"M{at(0.0, across)}L{at(dice.uniform(0.2, 0.42), across + dice.uniform(-0.05, 0.05))}", 0.4, 4)
            )
    if sleeve.flare:
        for across in (0.22, 0.48, 0.76):
            folds.append(Fold(f"M{at(0.0, across)}L{at(dice.uniform(0.3, 0.5), 0.3 + across * 0.4)}", 0.34, 6))
    folds.append(
        Fold(
            (
                f"M{side * (px + 2):.1f} {py:.1f}Q{side * (px + 8):.1f} {py - 16:.1f} "
                f"{side * (torso.shoulder + 2):.1f} {torso.tip[1] + 20:.1f}"
            ),
            0.26,
            6,
        )
    )
    return folds
