"""Coats: wool coat, trench coat, puffer, raincoat, parka, cape, bathrobe."""

import math
import random
from dataclasses import replace

from fromage_model.catalogue.wardrobe.draw.cloth import Cloth
from fromage_model.catalogue.wardrobe.draw.light import Fold
from fromage_model.catalogue.wardrobe.draw.outline import box, mirror, whole
from fromage_model.catalogue.wardrobe.draw.pen import Pen
from fromage_model.catalogue.wardrobe.kinds.jackets import ARM, quilted, stand_collar
from fromage_model.catalogue.wardrobe.look import Look
from fromage_model.catalogue.wardrobe.parts.sleeves import (
    Sleeve,
    cuff_outline,
    draw_sleeves,
    sleeve_frame,
    sleeve_outline,
)
from fromage_model.catalogue.wardrobe.parts.torso import Torso, back_of_neck
from fromage_model.catalogue.wardrobe.parts.trims import (
    belt,
    buttons,
    collar_inside,
    flap_pocket,
    lapels,
    patch_pocket,
    slit_pocket,
    zipper,
)

LENGTHS = {"short": 268.0, "thigh-length": 304.0, "knee-length": 346.0, "long": 376.0}
ARM_C = replace(ARM, length=160, wrist=34, angle=73)


def body(look: Look, **changes: float | str) -> Torso:
    hem_y = LENGTHS[look.cut.get("length", "knee-length")]
    torso = Torso(
        top=40, neck=27, depth=84, neckline="v", shoulder=77, slope=15, chest=70, armpit=112, waist=66, waist_y=180,
        hem=68 + (hem_y - 180) * 0.13, hem_y=hem_y, sag=5,
    )  # fmt: skip
    return replace(torso, **changes)  # type: ignore[arg-type]


def _frame(pen: Pen, torso: Torso) -> None:
    pen.frame(round(min(1.2, 0.97 + 0.75 * (352 / (torso.hem_y - 24) - 1)), 2), (0, (24 + torso.hem_y + 6) / 2))


def coat(pen: Pen, look: Look, dice: random.Random) -> None:
    torso, cloth = body(look), look.cloth
    _frame(pen, torso)
    double = look.cut["front"] == "double-breasted"
    meet = torso.top + torso.depth
    collar_inside(pen, look.lining, top=torso.top, neck=torso.neck, meet=meet)
    draw_sleeves(pen, torso, ARM_C, cloth, dice, hem=False)
    pen.piece(torso.outline(), cloth, folds=torso.folds(dice, depth=0.24))
    x = 18 if double else 8
    pen.edge(f"M{x} {meet}L{x} {torso.hem_y + 4}", cloth)
    for side in (1, -1):
        flap_pocket(pen, cloth, x=22 if side == 1 else -56, y=216, width=34, height=12, tilt=-2 * side)
    lapels(
        pen,
        look.trim if look.has("contrast trim") else cloth,
        top=torso.top,
        neck=torso.neck,
        meet=meet,
        width=44,
        notch=look.cut["lapels"],
    )
    if look.has("belt"):
        belt(pen, cloth.plain(), half=torso.waist + 1, y=torso.waist_y - 8, width=13, bow=True)
    elif double:
        for y in (meet + 6, meet + 42, meet + 78):
            for side in (1, -1):
                pen.button(side * 13, y, look.button, radius=4.4)
    else:
        buttons(pen, look.button, x=0, top=meet + 8, bottom=meet + 84, count=3, radius=4.6)


def trench(pen: Pen, look: Look, dice: random.Random) -> None:
    torso, cloth = body(look, depth=58), look.cloth
    _frame(pen, torso)
    meet = torso.top + torso.depth
    collar_inside(pen, look.lining, top=torso.top, neck=torso.neck, meet=meet)
    draw_sleeves(pen, torso, ARM_C, cloth, dice)
    for side in (1, -1):
        strap = cuff_outline(torso, ARM_C, 9, narrow=-1, lap=28)
        pen.piece(strap if side == 1 else mirror(strap), cloth, rim=0.5, line=1.1)
    pen.piece(torso.outline(), cloth, folds=torso.folds(dice, depth=0.26))
    pen.edge(f"M20 {meet}L22 {torso.hem_y + 4}", cloth)
    flap = (
        f"M26 {torso.top + 16}L{torso.shoulder - 10} {torso.top + 22}C{torso.chest - 8} {torso.armpit - 8} "
        f"{torso.chest - 10} {torso.armpit + 6} {torso.chest - 8} {torso.armpit + 10}Q40 {torso.armpit + 18} "
        f"22 {torso.armpit + 4}Z"
    )
    pen.piece(flap, cloth, rim=0.5, line=1.1)
    lapels(pen, cloth, top=torso.top, neck=torso.neck, meet=meet + 12, width=48)
    for side in (1, -1):
        epaulette = (
            f"M{side * 40} {torso.top + 3}L{side * (torso.shoulder - 2)} {torso.top + 11}"
            f"L{side * (torso.shoulder - 3)} {torso.top + 20}L{side * 42} {torso.top + 12}Z"
        )
        pen.piece(epaulette, cloth, rim=0.5, line=1.1)
        pen.button(side * 47, torso.top + 9.5, look.button, radius=2)
        slit_pocket(pen, cloth, (side * 50, torso.waist_y + 18), (side * 58, torso.waist_y + 54))
    for y in (meet + 24, meet + 52, meet + 116, meet + 146):
        if y < torso.hem_y - 14:
            for side in (1, -1):
                pen.button(side * 15, y, look.button, radius=4)
    belt(
        pen,
        look.trim if look.has("contrast trim") else cloth,
        half=torso.waist + 1,
        y=torso.waist_y - 8,
        width=14,
        buckle="#8a6a45",
    )


def puffer(pen: Pen, look: Look, dice: random.Random) -> None:
    torso = body(look, neckline="crew", depth=15, shoulder=84, slope=17, chest=79, waist=78)
    torso = replace(torso, hem=78 if torso.hem_y < 300 else 82, waist_y=200)
    cloth = look.cloth
    _frame(pen, torso)
    if look.has("hood"):
        hood = whole("M0 2C24 2 46 12 48 34C48 44 44 52 40 58L0 60")
        pen.piece(hood, cloth, folds=[Fold("M-40 20Q0 10 40 22", 0.3, 7)])
        if look.has("fur trim"):
            _fur(pen)
        pen.flat(whole("M0 14C18 14 32 22 34 40C34 48 30 54 26 58L0 60"), look.lining, line=1.2)
    arm = replace(ARM_C, wrist=46, puff=5)
    draw_sleeves(pen, torso, arm, cloth, dice, cuff=look.trim, cuff_height=8)
    _sleeve_rows(pen, torso, arm, cloth)
    quilted(pen, torso, cloth, dice)
    stand_collar(pen, torso, look.trim if look.has("contrast trim") else cloth, height=28)
    zipper(pen, cloth, look.metal_code, top=torso.top - 14, bottom=torso.hem_y + 4)
    for side in (1, -1):
        slit_pocket(pen, cloth, (side * 60, torso.waist_y + 8), (side * 50, torso.waist_y + 42))
    if look.has("belt"):
        belt(pen, look.trim, half=79, y=torso.waist_y - 14, width=14, buckle=look.metal_code)


def _fur(pen: Pen) -> None:
    dice = random.Random("fur")
    for _ in range(90):
        turn = dice.uniform(-0.15, 3.3)
        x, y = 41 * -math.cos(turn), 52 - 44 * math.sin(turn)
        pen.ink(
            f"M{x:.1f} {y:.1f}L{x + dice.uniform(-7, 7):.1f} {y + dice.uniform(-7, 5):.1f}",
            dice.choice(("#cdb692", "#b39a76", "#e6d6ba")),
            width=3.2,
        )


def _sleeve_rows(pen: Pen, torso: Torso, arm: Sleeve, cloth: Cloth) -> None:
    outer, inner, along, out = sleeve_frame(torso, arm)
    within = sleeve_outline(torso, arm)
    seams = []
    for back in range(22, int(arm.length), 25):
        widen = back * 0.06
        ax, ay = outer[0] - along[0] * back + out[0] * (widen + 8), outer[1] - along[1] * back + out[1] * (widen + 8)
        bx, by = inner[0] - along[0] * back - out[0] * (widen + 12), inner[1] - along[1] * back - out[1] * (widen + 12)
        seams.append(
            f"M{ax:.1f} {ay:.1f}Q{(ax + bx) / 2 + along[0] * 6:.1f} {(ay + by) / 2 + along[1] * 6:.1f} "
            f"{bx:.1f} {by:.1f}"
        )
    for side in (1, -1):
        lines = seams if side == 1 else [mirror(seam) for seam in seams]
        place = within if side == 1 else mirror(within)
        for line in lines:
            pen.shade(line, cloth, within=place, width=7, depth=0.4)
        pen.within(place, lines, cloth)


def raincoat(pen: Pen, look: Look, dice: random.Random) -> None:
    torso, cloth = body(look, neckline="crew", depth=16, chest=76, shoulder=80, waist=78), look.cloth
    torso = replace(torso, hem=torso.hem + 8)
    _frame(pen, torso)
    hood = whole("M0 0C26 0 47 12 50 36C50 46 46 54 40 60L0 62")
    pen.piece(hood, cloth, folds=[Fold("M-38 18Q-30 40 -34 56", 0.3, 6), Fold("M36 16Q32 40 34 56", 0.3, 6)])
    inside = whole("M0 14C18 14 33 24 34 42C34 50 30 56 24 60L0 62")
    pen.flat(inside, look.trim.colour if look.has("contrast trim") else look.lining, line=1.2)
    pen.shade("M-30 36C-26 18 -10 16 0 16C14 16 26 22 30 38", cloth, within=inside, width=14, depth=0.5)
    draw_sleeves(pen, torso, replace(ARM_C, wrist=42), cloth, dice)
    pen.piece(torso.outline(), cloth, folds=torso.folds(dice, depth=0.32))
    low = torso.hem_y + 4
    pen.piece(box(-9, torso.top + 14, 18, low - torso.top - 14), cloth, rim=0.3, line=1.2)
    for y in range(int(torso.top) + 26, int(low) - 10, 32):
        pen.dot(0, y, 3.2, look.metal_code)
    for side in (1, -1):
        patch_pocket(
            pen, cloth, x=24 if side == 1 else -62, y=torso.waist_y + 18, width=38, height=40, point=1, flap=14
        )
    _turned_collar(pen, torso, look)


def _turned_collar(pen: Pen, torso: Torso, look: Look) -> None:
    y, low = torso.top, torso.top + torso.depth
    leaf = (
        f"M1 {low + 2}C10 {low + 8} 22 {low + 8} 36 {y + 16}L{torso.neck + 7} {y}C{torso.neck + 2} {y - 4} "
        f"{torso.neck - 2} {y - 3} {torso.neck - 4} {y - 2}C20 {low - 6} 8 {low} 1 {low + 2}Z"
    )
    for path in (leaf, mirror(leaf)):
        pen.piece(path, look.cloth, rim=0.6)


def parka(pen: Pen, look: Look, dice: random.Random) -> None:
    torso, cloth = body(look, neckline="crew", depth=16, chest=78, shoulder=82, waist=74), look.cloth
    torso = replace(torso, hem=80)
    _frame(pen, torso)
    pen.piece(whole("M0 2C24 2 46 12 48 34C48 44 44 52 40 58L0 60"), cloth)
    if look.has("fur trim"):
        _fur(pen)
    pen.flat(whole("M0 16C16 16 29 26 30 42C30 50 28 54 24 58L0 60"), look.lining, line=1.2)
    draw_sleeves(pen, torso, replace(ARM_C, wrist=42), cloth, dice, cuff=cloth, cuff_height=12)
    pen.piece(torso.outline(), cloth, folds=torso.folds(dice, depth=0.3))
    low = torso.hem_y + 4
    pen.piece(box(-11, torso.top + 14, 22, low - torso.top - 14), cloth, rim=0.4, line=1.2)
    pen.stitch(f"M-8 {torso.top + 18}L-8 {low}M8 {torso.top + 18}L8 {low}", cloth)
    for y in range(int(torso.top) + 28, int(low) - 12, 36):
        pen.dot(0, y, 3, look.metal_code)
    pen.seam(f"M-74 {torso.waist_y}Q0 {torso.waist_y + 6} 74 {torso.waist_y}", cloth, width=1.3)
    for side in (1, -1):
        patch_pocket(
            pen,
            cloth,
            x=22 if side == 1 else -62,
            y=torso.waist_y + 24,
            width=40,
            height=44,
            point=1,
            flap=15,
            button=look.button,
        )
        flap_pocket(pen, cloth, x=22 if side == 1 else -54, y=torso.armpit + 2, width=32, height=12)
        pen.band(
            (
                f"M{side * 4} {torso.waist_y + 4}C{side * 8} {torso.waist_y + 16} {side * 14} "
                f"{torso.waist_y + 22} {side * 12} {torso.waist_y + 34}"
            ),
            2.4,
            cloth.bare(),
            round_ends=True,
        )
    _turned_collar(pen, torso, look)


def cape(pen: Pen, look: Look, dice: random.Random) -> None:
    """Hangs from the shoulders, with slits for the arms."""
    pen.frame(1.1, (0, 190))
    cloth = look.cloth
    half = "M0 62C12 62 22 56 28 48C70 58 104 96 124 176C136 232 142 274 146 306Q76 330 0 334"
    folds = [
        Fold(f"M{x * 0.5:.0f} 110Q{x * 0.85:.0f} 210 {x} {y}", 0.3, 12, opens=True)
        for x, y in ((-110, 326), (-58, 334), (30, 338), (78, 334), (122, 320))
    ]
    back_of_neck(pen, Torso(top=48, neck=28, depth=18), look.lining)
    pen.piece(whole(half), cloth, folds=folds)
    pen.edge("M0 64L0 334", cloth)
    for side in (1, -1):
        pen.edge(f"M{side * 66} 196Q{side * 72} 224 {side * 74} 262", cloth, width=1.8)
        leaf = (
            f"M{side * 1} 66C{side * 12} 84 {side * 30} 88 {side * 44} 70L{side * 30} 46C{side * 24} 56 "
            f"{side * 12} 62 {side * 1} 66Z"
        )
        pen.piece(leaf, look.trim, rim=0.8)
    buttons(pen, look.button, x=-6, top=102, bottom=206, count=4, radius=4.6)


def bathrobe(pen: Pen, look: Look, dice: random.Random) -> None:
    torso, cloth = body(look, depth=104, chest=74, waist=66, shoulder=80, hem=82), look.cloth
    _frame(pen, torso)
    meet = torso.top + torso.depth
    collar_inside(pen, look.lining, top=torso.top, neck=torso.neck, meet=meet)
    arm = replace(ARM_C, wrist=50, length=140)
    draw_sleeves(pen, torso, arm, cloth, dice, cuff=look.trim, cuff_height=18)
    pen.piece(torso.outline(), cloth, folds=torso.folds(dice, depth=0.28))
    pen.edge(f"M16 {meet}L28 {torso.hem_y + 4}", cloth)
    for side in (1, -1):
        patch_pocket(pen, cloth, x=26 if side == 1 else -64, y=214, width=38, height=42, point=1)
    lapels(pen, look.trim, top=torso.top, neck=torso.neck, meet=meet, width=34, notch="shawl")
    belt(pen, look.trim, half=torso.waist + 1, y=torso.waist_y - 8, width=14, bow=True)
