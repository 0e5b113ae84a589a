"""Blazers, suits and waistcoats."""

import random
from dataclasses import replace

from fromage_model.catalogue.wardrobe.draw.outline import mirror, whole
from fromage_model.catalogue.wardrobe.draw.pen import Pen
from fromage_model.catalogue.wardrobe.look import Look
from fromage_model.catalogue.wardrobe.parts.legs import LEGS, draw_legs
from fromage_model.catalogue.wardrobe.parts.sleeves import SLEEVES, Sleeve, draw_sleeves, sleeve_frame
from fromage_model.catalogue.wardrobe.parts.torso import Torso
from fromage_model.catalogue.wardrobe.parts.trims import (
    buttons,
    collar_inside,
    flap_pocket,
    lapels,
    patch_pocket,
)

TAILORED = Torso(
    top=58, neck=30, depth=118, neckline="v", shoulder=88, slope=17, chest=79, armpit=138, waist=70, waist_y=208,
    hem=82, hem_y=306, sag=4,
)  # fmt: skip
ARM = replace(SLEEVES["long"], length=188, wrist=37, angle=73)


def rounded_front(torso: Torso) -> str:
    """Both fronts in one outline, cut away below the last button."""
    low = torso.hem_y + torso.sag
    return whole(
        f"{torso.neck_edge()}{torso.side()}Q{torso.hem * 0.6:.1f} {low + 3} 22 {low + 2}C10 {low} 4 "
        f"{low - 14} 0 {low - 44}"
    )


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
    pen.piece(
        rounded_front(replace(torso, depth=meet - torso.top))
        if not double
        else replace(torso, depth=meet - torso.top).outline(),
        cloth,
        folds=torso.folds(dice, depth=0.2),
    )
    if double:
        pen.edge(f"M{x:.1f} {meet}L{x:.1f} {low + 1}", cloth)
    else:
        pen.edge(f"M0 {meet}L0 {low - 44}", cloth)
    for side in (1, -1):
        dart = (
            f"M{side * 40 * size:.1f} {torso.armpit + 14}Q{side * 36 * size:.1f} {torso.waist_y} "
            f"{side * 40 * size:.1f} {torso.hem_y - 48 * size:.1f}"
        )
        pen.seam(dart, cloth, opacity=0.5)
        at = 22 * size if side == 1 else -60 * size
        if look.cut.get("pockets") != "patch pockets":
            flap_pocket(
                pen, cloth, x=at, y=torso.hem_y - 62 * size, width=38 * size, height=13 * size, tilt=side * -1.5
            )
        else:
            patch_pocket(pen, cloth, x=at, y=torso.hem_y - 62 * size, width=38 * size, height=44 * size, point=2)
    lapels(
        pen,
        look.trim if look.has("contrast trim") else cloth,
        top=torso.top,
        neck=torso.neck,
        meet=meet,
        width=44 * size,
        notch=look.cut["lapels"],
        middle=0,
    )
    pocket = (
        f"M{24 * size:.1f} {torso.armpit + 3}L{50 * size:.1f} {torso.armpit}L{50 * size:.1f} "
        f"{torso.armpit + 8}L{24 * size:.1f} {torso.armpit + 11}Z"
    )
    if look.has("pocket square"):
        pen.flat(
            (
                f"M{28 * size:.1f} {torso.armpit + 4}L{32 * size:.1f} {torso.armpit - 11}L{38 * size:.1f} "
                f"{torso.armpit - 3}L{43 * size:.1f} {torso.armpit - 13}L{48 * size:.1f} {torso.armpit + 2}Z"
            ),
            "#faf7f2",
            line=1.0,
            edge="#b6aea2",
        )
    pen.piece(pocket, cloth, rim=0.4, line=1.1)
    if double:
        for row, y in enumerate((meet + 4, meet + 36 * size, meet + 68 * size)):
            spread = 27 * size if row == 0 else 19 * size
            for side in (1, -1):
                pen.button(side * spread, y, look.button, radius=3.8 * size)
    else:
        count = 1 if look.cut["lapels"] == "shawl" else 2
        buttons(
            pen,
            look.button,
            x=0,
            top=meet + 4,
            bottom=meet + (4 if count == 1 else 38 * size),
            count=count,
            radius=4 * size,
        )


def _cuff_buttons(pen: Pen, torso: Torso, arm: Sleeve, colour: str, side: int) -> None:
    _, inner, along, out = sleeve_frame(torso, arm)
    for step in (8, 16, 24):
        x = inner[0] - along[0] * step + out[0] * 6
        y = inner[1] - along[1] * step + out[1] * 6
        pen.button(side * x, y, colour, radius=2.2)


def suit(pen: Pen, look: Look, dice: random.Random) -> None:
    """Jacket and trousers of one cloth, the trousers below the jacket."""
    pen.frame(1.0, (0, 200))
    legs = replace(
        LEGS[look.cut["leg"]],
        top=168,
        waist=40,
        hip=52,
        hip_y=206,
        crotch=226,
        knee=21,
        knee_y=300,
        foot=37,
        open=17,
        bottom=390,
    )
    if look.cut["leg"] == "wide-leg":
        legs = replace(legs, knee=28, foot=42, open=31)
    draw_legs(pen, legs, look.cloth, dice, crease=True, inside=look.lining, hem=False)
    torso = Torso(
        top=24,
        neck=22,
        depth=86,
        neckline="v",
        shoulder=66,
        slope=13,
        chest=59,
        armpit=86,
        waist=52,
        waist_y=138,
        hem=60,
        hem_y=212,
        sag=3,
    )
    arm = replace(ARM, length=140, wrist=28)
    _tailored(pen, look, dice, torso, arm, size=0.74)


def waistcoat(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(1.34, (0, 180))
    cloth = look.cloth
    torso = Torso(
        top=62,
        neck=30,
        depth=86,
        neckline="v",
        shoulder=64,
        slope=13,
        chest=70,
        armpit=148,
        waist=62,
        waist_y=220,
        hem=66,
        hem_y=276,
        sag=2,
    )
    pen.flat(torso.back(), look.lining, line=1.3)
    front = whole(f"{torso.neck_edge()}{torso.side()}L34 {torso.hem_y + 26}L4 {torso.hem_y}L0 {torso.hem_y - 6}")
    pen.piece(front, cloth, folds=torso.folds(dice, depth=0.2))
    pen.edge(f"M0 {torso.top + torso.depth}L0 {torso.hem_y - 6}", cloth)
    for side in (1, -1):
        pen.stitch(mirror(torso.neck_edge()) if side == -1 else torso.neck_edge(), cloth)
        pen.seam(
            f"M{side * 36} {torso.armpit + 20}Q{side * 32} {torso.waist_y} {side * 34} {torso.hem_y + 22}",
            cloth,
            opacity=0.5,
        )
        pen.piece(
            (
                f"M{side * 20} {torso.hem_y - 42}L{side * 52} {torso.hem_y - 50}L{side * 52} "
                f"{torso.hem_y - 41}L{side * 20} {torso.hem_y - 33}Z"
            ),
            cloth,
            rim=0.4,
            line=1.1,
        )
    if look.cut["front"] == "double-breasted":
        for y in (torso.top + 96, torso.top + 128, torso.top + 160):
            for side in (1, -1):
                pen.button(side * 15, y, look.button, radius=3.6)
    else:
        buttons(pen, look.button, x=0, top=torso.top + 98, bottom=torso.hem_y - 18, count=5, radius=3.6)
