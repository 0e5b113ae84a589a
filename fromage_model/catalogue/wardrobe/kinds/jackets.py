"""Short jackets: denim, leather, bombers, quilted vests."""

import random
from dataclasses import replace

from fromage_model.catalogue.wardrobe.draw.cloth import Cloth
from fromage_model.catalogue.wardrobe.draw.light import Fold
from fromage_model.catalogue.wardrobe.draw.outline import box, mirror, whole
from fromage_model.catalogue.wardrobe.draw.pen import Pen
from fromage_model.catalogue.wardrobe.kinds.knits import rib
from fromage_model.catalogue.wardrobe.look import Look
from fromage_model.catalogue.wardrobe.parts.sleeves import SLEEVES, draw_sleeves
from fromage_model.catalogue.wardrobe.parts.torso import Torso, back_of_neck
from fromage_model.catalogue.wardrobe.parts.trims import (
    collar_inside,
    hem_band,
    lapels,
    placket,
    shirt_collar,
    slit_pocket,
    zipper,
)

STRAIGHT = Torso(
    top=58, neck=30, depth=16, neckline="crew", shoulder=90, slope=18, chest=82, armpit=142, waist=80, waist_y=214,
    hem=80, hem_y=268, sag=4,
)  # fmt: skip
ARM = replace(SLEEVES["long"], length=188, wrist=37, angle=73)


def denim_jacket(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(1.04, (0, 172))
    torso, cloth = replace(STRAIGHT, neckline="v", depth=18, neck=29), look.cloth
    if look.cut["length"] == "cropped":
        torso = replace(torso, hem_y=242, waist_y=206)
    thread = "#c98a3d" if look.material == "denim" else None
    back_of_neck(pen, torso, look.lining, label=False)
    draw_sleeves(pen, torso, replace(ARM, wrist=38), cloth, dice, cuff=cloth, cuff_height=15)
    pen.piece(torso.outline(), cloth, folds=torso.folds(dice))
    yoke = torso.armpit - 22
    for side in (1, -1):
        pen.edge(f"M0 {yoke}L{side * (torso.chest - 9)} {yoke}", cloth, width=1.2)
        pen.stitch(f"M0 {yoke + 4}L{side * (torso.chest - 9)} {yoke + 4}", cloth, colour=thread)
        for x1, x2 in ((20, 11), (52, 42)):
            pen.seam(f"M{side * x1} {yoke + 16}L{side * x2} {torso.hem_y}", cloth)
            pen.stitch(f"M{side * (x1 + 3)} {yoke + 16}L{side * (x2 + 3)} {torso.hem_y}", cloth, colour=thread)
        x = 22 if side == 1 else -52
        lid = f"M{x - 2} {yoke + 5}L{x + 32} {yoke + 5}L{x + 32} {yoke + 17}L{x + 15} {yoke + 23}L{x - 2} {yoke + 17}Z"
        pen.piece(lid, cloth, rim=0.5, line=1.1)
        pen.dot(x + 15, yoke + 17, 2.4, look.metal_code)
        slit_pocket(pen, cloth, (side * 60, torso.hem_y - 54), (side * 52, torso.hem_y - 18))
    hem_band(pen, torso, cloth, height=15, tuck=1)
    placket(pen, cloth, look.metal_code, top=torso.top + 17, bottom=torso.hem_y + torso.sag + 14, count=6, width=13)
    shirt_collar(
        pen,
        torso,
        replace(cloth, texture="fleece", colour="#efe6d6") if look.has("sherpa collar") else cloth,
        spread=31,
        point=37,
    )


def biker_jacket(pen: Pen, look: Look, dice: random.Random) -> None:
    """A zip across, wide lapels with studs, zips at pockets and cuffs."""
    pen.frame(1.06, (0, 172))
    torso, cloth, metal = (
        replace(STRAIGHT, neckline="v", depth=66, neck=29, waist=74, hem=74, hem_y=262),
        look.cloth,
        look.metal_code,
    )
    collar_inside(pen, look.lining, top=torso.top, neck=torso.neck, meet=torso.top + 66)
    draw_sleeves(pen, torso, replace(ARM, wrist=34), cloth, dice, hem=False)
    pen.piece(torso.outline(), cloth, folds=torso.folds(dice, depth=0.34))
    low = torso.hem_y + torso.sag
    for side in (1, -1):
        pen.seam(
            (
                f"M{side * (torso.neck + 18)} {torso.top + 10}C{side * 52} {torso.armpit - 20} {side * 46} "
                f"{torso.waist_y - 20} {side * 44} {low}"
            ),
            cloth,
        )
        pen.stitch(f"M{side * 72} {torso.top + 26}L{side * 84} {torso.top + 14}", cloth)
    zipper(pen, cloth, metal, top=torso.top + 74, bottom=low - 4, x=17)
    pen.edge(f"M22 {torso.top + 70}L22 {low}", cloth, width=1.2)
    lapels(pen, cloth, top=torso.top, neck=torso.neck, meet=torso.top + 92, width=52, notch="notched", middle=6)
    for side in (1, -1):
        pen.dot(side * 46, torso.top + 52, 2.4, metal)
        pen.dot(side * 43, torso.top + 24, 2.4, metal)
        pen.ink(
            f"M{side * 34} {torso.waist_y - 12}L{side * 58} {torso.waist_y - 32}", metal, width=3.4, dashes="1.4 1.2"
        )
        pen.metal(box(side * 34 - 2, torso.waist_y - 13, 4, 10, 1.5), metal)
    if look.has("belt"):
        pen.piece(f"M-75 {low - 17}Q0 {low - 11} 75 {low - 17}L74 {low - 3}Q0 {low + 2} -74 {low - 3}Z", cloth, rim=0.6)
        pen.metal(box(-18, low - 17, 22, 17, 3) + box(-14, low - 13, 14, 9, 2), metal)
    else:
        pen.stitch(f"M-73 {low - 14}Q0 {low - 8} 73 {low - 14}", cloth)


def bomber(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(1.04, (0, 174))
    torso, cloth, trim = replace(STRAIGHT, hem_y=258, neck=29, depth=16), look.cloth, rib(look.trim)
    body = look.trim if look.has("contrast sleeves") else cloth
    back_of_neck(pen, torso, look.lining, label=False)
    arm = replace(ARM, wrist=40, puff=8)
    draw_sleeves(
        pen, torso, arm, body.plain() if look.has("contrast sleeves") else cloth, dice, cuff=trim, cuff_height=20
    )
    pen.piece(torso.outline(), cloth, folds=torso.folds(dice, depth=0.34))
    hem_band(pen, torso, trim, height=22, tuck=8)
    for side in (1, -1):
        slit_pocket(pen, cloth, (side * 58, torso.hem_y - 62), (side * 42, torso.hem_y - 26))
    zipper(pen, cloth, look.metal_code, top=torso.top + 17, bottom=torso.hem_y + 24)
    n, y = torso.neck, torso.top
    collar = whole(
        f"M0 {y + 6}C{n * 0.5:.1f} {y + 6} {n * 0.8:.1f} {y} {n - 3} {y - 11}L{n + 8} {y}C{n} {y + 16} "
        f"{n * 0.5:.1f} {y + 24} 0 {y + 26}"
    )
    pen.piece(collar, trim, rim=0.7)
    pen.edge(f"M0 {y + 7}L0 {y + 25}", trim, width=1.2)


def gilet(pen: Pen, look: Look, dice: random.Random) -> None:
    """A quilted vest."""
    pen.frame(1.24, (0, 180))
    torso = replace(STRAIGHT, shoulder=68, slope=14, chest=78, waist=76, hem=76, hem_y=284)
    pen.flat(torso.back(), look.lining, line=1.3)
    quilted(pen, torso, look.cloth, dice)
    for path in (torso.armhole(), mirror(torso.armhole())):
        pen.band(path, 5, look.trim)
    stand_collar(pen, torso, look.trim if look.has("contrast trim") else look.cloth)
    zipper(pen, look.cloth, look.metal_code, top=torso.top - 6, bottom=torso.hem_y + 3)
    for side in (1, -1):
        slit_pocket(pen, look.cloth, (side * 62, torso.hem_y - 66), (side * 50, torso.hem_y - 28))


def quilted(pen: Pen, torso: Torso, cloth: Cloth, dice: random.Random, *, step: float = 31) -> None:
    """The body in puffed rows: light above, shadow below each seam."""
    rows = []
    y = torso.top + 38.0
    half = max(torso.chest, torso.hem, torso.shoulder) + 6
    folds, seams = [], []
    while y < torso.hem_y - 8:
        rows.append(y)
        bow = 5
        folds.append(Fold(f"M{-half} {y - 3}Q0 {y + bow * 2 - 3} {half} {y - 3}", 0.5, 7))
        folds.append(Fold(f"M{-half * 0.9:.1f} {y + 8}Q{-half * 0.2:.1f} {y + 16} {half * 0.4:.1f} {y + 11}", -0.4, 7))
        for x in range(-60, 70, 40):
            spot = x + dice.uniform(-6, 6)
            folds.append(
                Fold(f"M{spot:.1f} {y + 3:.1f}L{spot + dice.uniform(-4, 4):.1f} {y + dice.uniform(9, 13):.1f}", 0.2, 4)
            )
        seams.append(f"M{-half} {y}Q0 {y + bow * 2} {half} {y}")
        y += step
    pen.piece(torso.outline(), cloth, folds=folds)
    pen.within(torso.outline(), seams, cloth)


def stand_collar(pen: Pen, torso: Torso, cloth: Cloth, *, height: float = 24) -> None:
    n, y = torso.neck, torso.top
    pen.piece(
        whole(
            f"M0 {y - height + 9}Q{n * 0.6:.1f} {y - height + 8} {n - 1} {y - height + 1}C{n + 4} "
            f"{y - 10} {n + 6} {y - 2} {n + 8} {y + 6}C{n * 0.8:.1f} {y + 16} {n * 0.4:.1f} {y + 20} 0 "
            f"{y + 20}"
        ),
        cloth,
        folds=[Fold(f"M{-n} {y + 1}Q0 {y + 11} {n} {y}", 0.3, 6)],
    )
