"""Blazers, suits, waistcoats and short jackets."""

import random
from dataclasses import replace

from fromage_model.catalogue.wardrobe.draw.cloth import Cloth
from fromage_model.catalogue.wardrobe.draw.outline import box, mirror, whole
from fromage_model.catalogue.wardrobe.draw.pen import Fold, Pen
from fromage_model.catalogue.wardrobe.kinds.knits import rib
from fromage_model.catalogue.wardrobe.look import Look
from fromage_model.catalogue.wardrobe.parts.legs import LEGS, draw_legs
from fromage_model.catalogue.wardrobe.parts.sleeves import SLEEVES, Sleeve, draw_sleeves, sleeve_frame
from fromage_model.catalogue.wardrobe.parts.torso import Torso, back_of_neck
from fromage_model.catalogue.wardrobe.parts.trims import (
    buttons,
    collar_inside,
    flap_pocket,
    hem_band,
    lapels,
    patch_pocket,
    placket,
    shirt_collar,
    slit_pocket,
    zipper,
)

TAILORED = Torso(
    top=58, neck=30, depth=118, neckline="v", shoulder=88, slope=17, chest=79, armpit=138, waist=70, waist_y=208,
    hem=82, hem_y=306, sag=4,
)  # fmt: skip
STRAIGHT = Torso(
    top=58, neck=30, depth=16, neckline="crew", shoulder=90, slope=18, chest=82, armpit=142, waist=80, waist_y=214,
    hem=80, hem_y=268, sag=4,
)  # fmt: skip
ARM = replace(SLEEVES["long"], length=188, wrist=37, angle=73)


def rounded_front(torso: Torso) -> str:
    """Both fronts in one outline, cut away below the last button."""
    low = torso.hem_y + torso.sag
    return whole(f"{torso.neck_edge()}{torso.side()}Q{torso.hem * 0.6:.1f} {low + 3} 22 {low + 2}C10 {low} 4 {low - 14} 0 {low - 44}")


def blazer(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(1.1, (0, 190))
    _tailored(pen, look, dice, TAILORED)


def _tailored(pen: Pen, look: Look, dice: random.Random, torso: Torso, arm: Sleeve = ARM, *, size: float = 1.0) -> None:
    """A jacket with lapels: one row of buttons, or two."""
    cloth, double = look.cloth, look.cut["front"] == "double-breasted"
    meet = torso.top + torso.depth * (0.86 if double else 1.0)
    collar_inside(pen, look.lining, top=torso.top, neck=torso.neck, meet=meet)
    draw_sleeves(pen, torso, arm, cloth, dice, hem=False)
    for side in (1, -1):
        _cuff_buttons(pen, torso, arm, look.button, side)
    x = 20 * size if double else 0.0
    low = torso.hem_y + torso.sag
    pen.piece(rounded_front(replace(torso, depth=meet - torso.top)) if not double else replace(torso, depth=meet - torso.top).outline(), cloth, folds=torso.folds(dice, depth=0.2))
    if double:
        pen.edge(f"M{x:.1f} {meet}L{x:.1f} {low + 1}", cloth)
    else:
        pen.edge(f"M0 {meet}L0 {low - 44}", cloth)
    for side in (1, -1):
        dart = f"M{side * 40 * size:.1f} {torso.armpit + 14}Q{side * 36 * size:.1f} {torso.waist_y} {side * 40 * size:.1f} {torso.hem_y - 48 * size:.1f}"
        pen.seam(dart, cloth, opacity=0.5)
        at = 22 * size if side == 1 else -60 * size
        if look.cut.get("pockets") != "patch pockets":
            flap_pocket(pen, cloth, x=at, y=torso.hem_y - 62 * size, width=38 * size, height=13 * size, tilt=side * -1.5)
        else:
            patch_pocket(pen, cloth, x=at, y=torso.hem_y - 62 * size, width=38 * size, height=44 * size, point=2)
    lapels(pen, look.trim if look.has("contrast trim") else cloth, top=torso.top, neck=torso.neck, meet=meet, width=44 * size, notch=look.cut["lapels"], middle=0)
    pocket = f"M{24 * size:.1f} {torso.armpit + 3}L{50 * size:.1f} {torso.armpit}L{50 * size:.1f} {torso.armpit + 8}L{24 * size:.1f} {torso.armpit + 11}Z"
    if look.has("pocket square"):
        pen.flat(f"M{28 * size:.1f} {torso.armpit + 4}L{32 * size:.1f} {torso.armpit - 11}L{38 * size:.1f} {torso.armpit - 3}L{43 * size:.1f} {torso.armpit - 13}L{48 * size:.1f} {torso.armpit + 2}Z", "#faf7f2", line=1.0, edge="#b6aea2")
    pen.piece(pocket, cloth, rim=0.4, line=1.1)
    if double:
        for row, y in enumerate((meet + 4, meet + 36 * size, meet + 68 * size)):
            spread = 27 * size if row == 0 else 19 * size
            for side in (1, -1):
                pen.button(side * spread, y, look.button, radius=3.8 * size)
    else:
        count = 1 if look.cut["lapels"] == "shawl" else 2
        buttons(pen, look.button, x=0, top=meet + 4, bottom=meet + (4 if count == 1 else 38 * size), count=count, radius=4 * size)


def _cuff_buttons(pen: Pen, torso: Torso, arm: Sleeve, colour: str, side: int) -> None:
    _, inner, along, out = sleeve_frame(torso, arm)
    for step in (8, 16, 24):
        x = inner[0] - along[0] * step + out[0] * 6
        y = inner[1] - along[1] * step + out[1] * 6
        pen.button(side * x, y, colour, radius=2.2)


def suit(pen: Pen, look: Look, dice: random.Random) -> None:
    """Jacket and trousers of one cloth, the trousers below the jacket."""
    pen.frame(1.0, (0, 200))
    legs = replace(LEGS[look.cut["leg"]], top=168, waist=40, hip=52, hip_y=206, crotch=226, knee=21, knee_y=300, foot=37, open=17, bottom=390)
    if look.cut["leg"] == "wide-leg":
        legs = replace(legs, knee=28, foot=42, open=31)
    draw_legs(pen, legs, look.cloth, dice, crease=True, inside=look.lining, hem=False)
    torso = Torso(top=24, neck=22, depth=86, neckline="v", shoulder=66, slope=13, chest=59, armpit=86, waist=52, waist_y=138, hem=60, hem_y=212, sag=3)
    arm = replace(ARM, length=140, wrist=28)
    _tailored(pen, look, dice, torso, arm, size=0.74)


def waistcoat(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(1.34, (0, 180))
    cloth = look.cloth
    torso = Torso(top=62, neck=30, depth=86, neckline="v", shoulder=64, slope=13, chest=70, armpit=148, waist=62, waist_y=220, hem=66, hem_y=276, sag=2)
    pen.flat(torso.back(), look.lining, line=1.3)
    front = whole(f"{torso.neck_edge()}{torso.side()}L34 {torso.hem_y + 26}L4 {torso.hem_y}L0 {torso.hem_y - 6}")
    pen.piece(front, cloth, folds=torso.folds(dice, depth=0.2))
    pen.edge(f"M0 {torso.top + torso.depth}L0 {torso.hem_y - 6}", cloth)
    for side in (1, -1):
        pen.stitch(mirror(torso.neck_edge()) if side == -1 else torso.neck_edge(), cloth)
        pen.seam(f"M{side * 36} {torso.armpit + 20}Q{side * 32} {torso.waist_y} {side * 34} {torso.hem_y + 22}", cloth, opacity=0.5)
        pen.piece(f"M{side * 20} {torso.hem_y - 42}L{side * 52} {torso.hem_y - 50}L{side * 52} {torso.hem_y - 41}L{side * 20} {torso.hem_y - 33}Z", cloth, rim=0.4, line=1.1)
    if look.cut["front"] == "double-breasted":
        for y in (torso.top + 96, torso.top + 128, torso.top + 160):
            for side in (1, -1):
                pen.button(side * 15, y, look.button, radius=3.6)
    else:
        buttons(pen, look.button, x=0, top=torso.top + 98, bottom=torso.hem_y - 18, count=5, radius=3.6)


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
    shirt_collar(pen, torso, replace(cloth, texture="fleece", colour="#efe6d6") if look.has("sherpa collar") else cloth, spread=31, point=37)


def biker_jacket(pen: Pen, look: Look, dice: random.Random) -> None:
    """A zip across, wide lapels with studs, zips at pockets and cuffs."""
    pen.frame(1.06, (0, 172))
    torso, cloth, metal = replace(STRAIGHT, neckline="v", depth=66, neck=29, waist=74, hem=74, hem_y=262), look.cloth, look.metal_code
    collar_inside(pen, look.lining, top=torso.top, neck=torso.neck, meet=torso.top + 66)
    draw_sleeves(pen, torso, replace(ARM, wrist=34), cloth, dice, hem=False)
    pen.piece(torso.outline(), cloth, folds=torso.folds(dice, depth=0.34))
    low = torso.hem_y + torso.sag
    for side in (1, -1):
        pen.seam(f"M{side * (torso.neck + 18)} {torso.top + 10}C{side * 52} {torso.armpit - 20} {side * 46} {torso.waist_y - 20} {side * 44} {low}", cloth)
        pen.stitch(f"M{side * 72} {torso.top + 26}L{side * 84} {torso.top + 14}", cloth)
    zipper(pen, cloth, metal, top=torso.top + 74, bottom=low - 4, x=17)
    pen.edge(f"M22 {torso.top + 70}L22 {low}", cloth, width=1.2)
    lapels(pen, cloth, top=torso.top, neck=torso.neck, meet=torso.top + 92, width=52, notch="notched", middle=6)
    for side in (1, -1):
        pen.dot(side * 46, torso.top + 52, 2.4, metal)
        pen.dot(side * 43, torso.top + 24, 2.4, metal)
        pen.ink(f"M{side * 34} {torso.waist_y - 12}L{side * 58} {torso.waist_y - 32}", metal, width=3.4, dashes="1.4 1.2")
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
    draw_sleeves(pen, torso, arm, body.plain() if look.has("contrast sleeves") else cloth, dice, cuff=trim, cuff_height=20)
    pen.piece(torso.outline(), cloth, folds=torso.folds(dice, depth=0.34))
    hem_band(pen, torso, trim, height=22, tuck=8)
    for side in (1, -1):
        slit_pocket(pen, cloth, (side * 58, torso.hem_y - 62), (side * 42, torso.hem_y - 26))
    zipper(pen, cloth, look.metal_code, top=torso.top + 17, bottom=torso.hem_y + 24)
    n, y = torso.neck, torso.top
    collar = whole(f"M0 {y + 6}C{n * 0.5:.1f} {y + 6} {n * 0.8:.1f} {y} {n - 3} {y - 11}L{n + 8} {y}C{n} {y + 16} {n * 0.5:.1f} {y + 24} 0 {y + 26}")
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
            folds.append(Fold(f"M{spot:.1f} {y + 3:.1f}L{spot + dice.uniform(-4, 4):.1f} {y + dice.uniform(9, 13):.1f}", 0.2, 4))
        seams.append(f"M{-half} {y}Q0 {y + bow * 2} {half} {y}")
        y += step
    pen.piece(torso.outline(), cloth, folds=folds)
    pen.within(torso.outline(), seams, cloth)


def stand_collar(pen: Pen, torso: Torso, cloth: Cloth, *, height: float = 24) -> None:
    n, y = torso.neck, torso.top
    pen.piece(
        whole(f"M0 {y - height + 9}Q{n * 0.6:.1f} {y - height + 8} {n - 1} {y - height + 1}C{n + 4} {y - 10} {n + 6} {y - 2} {n + 8} {y + 6}C{n * 0.8:.1f} {y + 16} {n * 0.4:.1f} {y + 20} 0 {y + 20}"),
        cloth,
        folds=[Fold(f"M{-n} {y + 1}Q0 {y + 11} {n} {y}", 0.3, 6)],
    )
