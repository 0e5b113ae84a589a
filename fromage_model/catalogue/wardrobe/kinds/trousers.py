"""Trousers, jeans, leggings, joggers, shorts, dungarees and jumpsuits."""

import random
from dataclasses import replace

from fromage_model.catalogue.wardrobe.draw.light import Fold
from fromage_model.catalogue.wardrobe.draw.outline import box, mirror, whole
from fromage_model.catalogue.wardrobe.draw.pen import Pen
from fromage_model.catalogue.wardrobe.kinds.dresses import BODICE, NECKS, smaller
from fromage_model.catalogue.wardrobe.look import Look
from fromage_model.catalogue.wardrobe.parts.legs import LEGS, Legs, draw_legs, short_legs
from fromage_model.catalogue.wardrobe.parts.sleeves import SLEEVES, draw_sleeves
from fromage_model.catalogue.wardrobe.parts.torso import back_of_neck
from fromage_model.catalogue.wardrobe.parts.trims import belt, flap_pocket, neck_band, patch_pocket, slit_pocket, zipper

THREAD = "#c98a3d"


def legs_of(look: Look) -> Legs:
    legs = LEGS[look.cut["leg"]]
    if look.cut.get("length") == "cropped":
        return replace(legs, bottom=320, knee_y=220)
    return legs


def _waistband(
    pen: Pen, look: Look, legs: Legs, *, height: float = 13, loops: bool = True, button: bool = True
) -> None:
    cloth, w, y = look.cloth, legs.waist, legs.top
    pen.flat(
        f"M{-w + 3} {y - height - 1}Q0 {y - height + 5} {w - 3} {y - height - 1}L{w - 3} {y}L{-w + 3} {y}Z",
        look.lining,
        line=1.2,
    )
    pen.piece(
        f"M{-w + 0.5} {y - height}Q0 {y - height + 9} {w - 0.5} {y - height}L{w} {y + 1}Q0 {y + 9} {-w} {y + 1}Z",
        cloth,
        rim=0.4,
    )
    if loops and look.has("belt"):
        belt(pen, look.trim, half=w, y=y - height + 1, width=height - 2, buckle=look.metal_code, sag=5)
    if loops:
        for x in (-w * 0.62, w * 0.62):
            pen.piece(box(x - 2.5, y - height + 3, 5, height + 3, 1), cloth, rim=0.3, line=1.0)
    if button and not look.has("belt"):
        pen.button(2, y - height / 2 + 4.5, look.metal_code if look.material == "denim" else look.button, radius=3)


def _fly(pen: Pen, look: Look, legs: Legs, thread: str | None = None) -> None:
    y, cloth = legs.top + 5, look.cloth
    pen.edge(f"M0 {y}L0 {legs.crotch}", cloth, width=1.2)
    pen.stitch(f"M11 {y}L11 {legs.crotch - 40}Q10 {legs.crotch - 24} 1 {legs.crotch - 20}", cloth, colour=thread)


def trousers(pen: Pen, look: Look, dice: random.Random) -> None:
    legs = legs_of(look)
    draw_legs(pen, legs, look.cloth, dice, crease=look.has("creases"), inside=look.lining, hem=not look.has("turn-ups"))
    _fly(pen, look, legs)
    for side in (1, -1):
        slit_pocket(pen, look.cloth, (side * (legs.waist - 12), legs.top + 5), (side * (legs.hip - 3), legs.hip_y - 16))
        if look.has("pleats"):
            pen.seam(f"M{side * 26} {legs.top + 5}L{side * 29} {legs.top + 40}", look.cloth, width=1.3)
        if look.has("turn-ups"):
            x, r, y = side * legs.foot, legs.open, legs.bottom
            pen.piece(
                f"M{x - r - 1} {y - 15}Q{x} {y - 11} {x + r + 1} {y - 15}L{x + r + 1} {y}Q{x} {y + 5} {x - r - 1} {y}Z",
                look.cloth,
                rim=0.6,
            )
    _waistband(pen, look, legs)


def jeans(pen: Pen, look: Look, dice: random.Random) -> None:
    legs, cloth = legs_of(look), look.cloth
    draw_legs(pen, legs, cloth, dice, inside=look.lining, hem=False)
    thread = THREAD if look.colour in ("blue", "navy", "black") else None
    for side in (1, -1):
        pen.stitch(
            (
                f"M{side * (legs.foot - legs.open + 1)} {legs.bottom - 8}Q{side * legs.foot} "
                f"{legs.bottom - 4} {side * (legs.foot + legs.open - 1)} {legs.bottom - 8}"
            ),
            cloth,
            colour=thread,
        )
        scoop = (
            f"M{side * 25} {legs.top + 5}C{side * 27} {legs.top + 26} {side * 46} {legs.top + 32} "
            f"{side * (legs.hip - 3)} {legs.top + 31}"
        )
        pen.edge(scoop, cloth, width=1.3)
        pen.stitch(
            scoop.replace(f"M{side * 25} {legs.top + 5}", f"M{side * 22} {legs.top + 5}").replace(
                f"{legs.top + 32}", f"{legs.top + 35}"
            ),
            cloth,
            colour=thread,
        )
        knee = legs.axis(legs.knee_y) * side
        if look.has("faded"):
            pen.shade(
                f"M{side * legs.hip * 0.55:.1f} {legs.crotch - 10}L{knee} {legs.knee_y + 20}",
                cloth.of("#ffffff"),
                within=legs.leg() if side == 1 else mirror(legs.leg()),
                width=1,
                depth=0.0,
            )
        if look.has("ripped knees"):
            _rip(pen, knee, legs.knee_y, legs.knee)
        for y in (legs.top + 8, legs.top + 29):
            pen.dot(side * (27 if y < legs.top + 20 else legs.hip - 9), y, 1.5, "#c08a4a")
    _fly(pen, look, legs, thread)
    _waistband(pen, look, legs)


def _rip(pen: Pen, x: float, y: float, half: float) -> None:
    w = half * 0.62
    pen.flat(f"M{x - w} {y}Q{x} {y - 8} {x + w} {y - 1}Q{x} {y + 9} {x - w} {y}Z", "#e7ddd0", line=1.0, edge="#9fb0c4")
    for shift in (-3.2, -0.5, 2.2, 4.6):
        pen.ink(f"M{x - w * 0.8:.1f} {y + shift}L{x + w * 0.8:.1f} {y + shift - 0.6:.1f}", "#ffffff", width=1.0)


def leggings(pen: Pen, look: Look, dice: random.Random) -> None:
    legs = replace(
        LEGS["skinny"],
        hip=60,
        waist=47,
        knee=19,
        foot=40,
        open=12,
        bottom=346 if look.cut["length"] == "full length" else 300,
    )
    if look.cut["length"] != "full length":
        legs = replace(legs, knee_y=214, open=16)
    draw_legs(pen, legs, look.cloth, dice, inside=look.lining)
    pen.seam(f"M0 {legs.top + 4}L0 {legs.crotch}", look.cloth)
    if look.has("contrast trim"):
        for side in (1, -1):
            knee = legs.axis(legs.knee_y)
            pen.ink(
                (
                    f"M{side * (legs.waist - 2)} {legs.top + 8}C{side * (legs.hip - 4)} {legs.hip_y - 20} "
                    f"{side * (knee + legs.knee + 2):.1f} {legs.knee_y - 60} "
                    f"{side * (knee + legs.knee - 6):.1f} {legs.knee_y}L{side * (legs.foot + legs.open - 5)} "
                    f"{legs.bottom - 2}"
                ),
                look.trim.colour,
                width=5,
            )
    w, y = legs.waist, legs.top
    pen.piece(
        f"M{-w + 1} {y - 22}Q0 {y - 14} {w - 1} {y - 22}L{w} {y + 2}Q0 {y + 10} {-w} {y + 2}Z",
        look.trim if look.has("contrast trim") else look.cloth.plain(),
        rim=0.6,
    )


def joggers(pen: Pen, look: Look, dice: random.Random) -> None:
    legs = replace(LEGS["tapered"], hip=70, knee=31, open=22, bottom=344)
    draw_legs(pen, legs, look.cloth, dice, inside=look.lining, hem=False)
    pen.seam(f"M0 {legs.top + 4}L0 {legs.crotch}", look.cloth)
    ribbed = replace(look.trim, texture="ribbed")
    for side in (1, -1):
        slit_pocket(pen, look.cloth, (side * (legs.waist - 6), legs.top + 10), (side * (legs.hip - 2), legs.hip_y))
        x, r, y = side * legs.foot, legs.open, legs.bottom
        pen.piece(
            f"M{x - r} {y - 2}Q{x} {y + 3} {x + r} {y - 2}L{x + r - 5} {y + 20}Q{x} {y + 24} {x - r + 5} {y + 20}Z",
            ribbed,
            rim=0.6,
        )
    if look.has("side stripe"):
        for side in (1, -1):
            knee = legs.axis(legs.knee_y)
            pen.ink(
                (
                    f"M{side * (legs.waist - 1)} {legs.top + 20}C{side * (legs.hip - 3)} {legs.hip_y - 10} "
                    f"{side * (knee + legs.knee + 6):.1f} {legs.knee_y - 60} "
                    f"{side * (knee + legs.knee - 4):.1f} {legs.knee_y}L{side * (legs.foot + legs.open - 5)} "
                    f"{legs.bottom - 3}"
                ),
                look.trim.colour,
                width=5,
            )
    w, y = legs.waist, legs.top
    pen.piece(
        f"M{-w} {y - 15}Q0 {y - 7} {w} {y - 15}L{w + 1} {y + 3}Q0 {y + 11} {-w - 1} {y + 3}Z",
        ribbed,
        rim=0.5,
        folds=[Fold(f"M{x} {y - 9}L{x} {y + 6}", 0.35, 2.5) for x in range(-44, 48, 8)],
    )
    for side in (1, -1):
        pen.band(
            f"M{side * 5} {y}C{side * 8} {y + 18} {side * 12} {y + 28} {side * 9} {y + 42 + side * 4}",
            2.6,
            look.trim.of("#f1ece4") if look.colour != "white" else look.trim.of("#c9c3ba"),
            round_ends=True,
        )


def shorts(pen: Pen, look: Look, dice: random.Random) -> None:
    long = look.cut["length"] == "Bermuda"
    legs = short_legs(246 if long else 206, spread=42 if long else 44)
    pen.frame(1.25, (0, 150))
    draw_legs(pen, legs, look.cloth, dice, inside=look.lining, hem=not look.has("turn-ups"), crease=False)
    thread = THREAD if look.material == "denim" and look.colour in ("blue", "navy", "black") else None
    _fly(pen, look, legs, thread)
    for side in (1, -1):
        slit_pocket(pen, look.cloth, (side * (legs.waist - 14), legs.top + 6), (side * (legs.hip - 4), legs.hip_y - 20))
        if look.has("turn-ups"):
            x, r, y = side * legs.foot, legs.open, legs.bottom
            pen.piece(
                f"M{x - r - 1} {y - 15}Q{x} {y - 11} {x + r + 1} {y - 15}L{x + r + 1} {y}Q{x} {y + 5} {x - r - 1} {y}Z",
                look.cloth,
                rim=0.6,
            )
        if look.has("cargo pockets") and long:
            flap_pocket(pen, look.cloth, x=36 if side == 1 else -80, y=172, width=44, height=14)
    _waistband(pen, look, legs)


def dungarees(pen: Pen, look: Look, dice: random.Random) -> None:
    cloth = look.cloth
    legs = replace(LEGS[look.cut["leg"]], top=140, waist=56, hip=66, hip_y=180, crotch=210, knee_y=286, bottom=374)
    for side in (1, -1):
        pen.band(f"M{side * 38} 92C{side * 40} 60 {side * 34} 34 {side * 22} 24", 11, cloth.plain())
        pen.band(f"M{side * 20} 24C{side * 28} 50 {side * 30} 90 {side * 34} 134", 9, cloth.plain())
    draw_legs(pen, legs, cloth, dice, inside=look.lining)
    thread = THREAD if look.material == "denim" and look.colour in ("blue", "navy", "black") else None
    pen.seam("M0 150L0 210", cloth)
    bib = whole("M0 88Q22 88 44 86Q42 116 58 146Q30 150 0 150")
    pen.piece(bib, cloth, folds=[Fold("M-50 142Q-38 128 -34 112", 0.25, 5)])
    pen.stitch("M-40 92Q0 94 40 92", cloth, colour=thread)
    patch_pocket(pen, cloth, x=-20, y=98, width=40, height=36)
    pen.piece("M-57 138Q0 147 57 138L58 152Q0 160 -58 152Z", cloth, rim=0.4)
    for side in (1, -1):
        pen.metal(box(side * 37 - 7, 82, 14, 13, 3) + box(side * 37 - 4, 85, 8, 6, 2), look.metal_code)
        pen.dot(side * 37, 97, 3, look.metal_code)
        for y in (158, 168):
            pen.dot(side * 56, y, 2.4, look.metal_code)
        slit_pocket(pen, cloth, (side * 44, 156), (side * 63, 184))


def jumpsuit(pen: Pen, look: Look, dice: random.Random) -> None:
    """Bodice and trousers in one."""
    cloth = look.cloth
    torso = replace(BODICE, top=22, armpit=76, waist_y=118, hem_y=130, **NECKS[look.cut["neckline"]])  # type: ignore[arg-type]
    legs = replace(LEGS[look.cut["leg"]], top=126, waist=44, hip=58, hip_y=176, crotch=206, knee_y=280, bottom=378)
    legs = replace(legs, knee=legs.knee * 0.86, foot=legs.foot * 0.88, open=legs.open * 0.88)
    back_of_neck(pen, torso, look.lining, label=False)
    if look.cut["sleeves"] != "sleeveless":
        draw_sleeves(pen, torso, smaller(SLEEVES[look.cut["sleeves"]]), cloth, dice)
    draw_legs(pen, legs, cloth, dice, inside=look.lining, crease=False)
    pen.piece(
        torso.outline(),
        cloth,
        folds=[Fold(f"M{s * 50} 82Q{s * 40} 92 {s * 30} {dice.uniform(98, 108):.0f}", 0.28, 4) for s in (1, -1)],
    )
    pen.seam("M0 134L0 206", cloth)
    neck_band(pen, torso, look.trim, width=3.2)
    if look.has("zip"):
        zipper(pen, cloth, look.metal_code, top=torso.top + torso.depth + 1, bottom=186)
    for side in (1, -1):
        slit_pocket(pen, cloth, (side * 40, 140), (side * 54, 168))
    belt(
        pen,
        look.trim if look.has("contrast trim") else cloth,
        half=45,
        y=121,
        width=11,
        bow=look.has("sash"),
        buckle=None if look.has("sash") else look.metal_code,
    )
