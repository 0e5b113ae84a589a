"""Sweaters, cardigans, hoodies and what else is knitted."""

import random
from dataclasses import replace

from fromage_model.catalogue.wardrobe.draw.cloth import Cloth
from fromage_model.catalogue.wardrobe.draw.light import Fold
from fromage_model.catalogue.wardrobe.draw.outline import box, mirror, whole
from fromage_model.catalogue.wardrobe.draw.pen import Pen
from fromage_model.catalogue.wardrobe.kinds.tops import FITS
from fromage_model.catalogue.wardrobe.look import Look
from fromage_model.catalogue.wardrobe.parts.sleeves import SLEEVES, draw_sleeves
from fromage_model.catalogue.wardrobe.parts.torso import Torso, back_of_neck
from fromage_model.catalogue.wardrobe.parts.trims import buttons, hem_band, neck_band, patch_pocket, tied_bow, zipper

NECKS = {
    "crew neck": {"neckline": "crew", "depth": 22, "neck": 30},
    "V-neck": {"neckline": "v", "depth": 66, "neck": 32},
    "turtleneck": {"neckline": "crew", "depth": 10, "neck": 27},
    "boat neck": {"neckline": "boat", "depth": 13, "neck": 48},
}
MIDDLE = (0.0, 188.0)
SCALE = 1.05


def rib(cloth: Cloth) -> Cloth:
    return replace(cloth.plain(), texture="ribbed")


def torso_of(look: Look, **changes: float | str) -> Torso:
    torso = replace(Torso(), **FITS[look.cut.get("fit", "regular")])  # type: ignore[arg-type]
    torso = replace(torso, hem_y=296, **NECKS.get(look.cut.get("neckline", ""), {}))  # type: ignore[arg-type]
    if look.cut.get("length") == "cropped":
        torso = replace(torso, hem_y=246, waist_y=204)
    if look.cut.get("length") == "long":
        torso = replace(torso, hem_y=334)
    return replace(torso, **changes)  # type: ignore[arg-type]


def sweater(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(SCALE, MIDDLE)
    torso, cloth, trim = torso_of(look), look.cloth, rib(look.trim)
    if look.cut["neckline"] != "turtleneck":
        back_of_neck(pen, torso, look.lining)
    sleeve = replace(SLEEVES[look.cut["sleeves"]], wrist=38)
    if look.cut["sleeves"] == "balloon":
        sleeve = replace(sleeve, wrist=30)
    draw_sleeves(pen, torso, sleeve, cloth, dice, cuff=trim, cuff_height=17)
    pen.piece(torso.outline(), cloth, folds=torso.folds(dice))
    hem_band(pen, torso, trim, height=16)
    if look.cut["neckline"] == "turtleneck":
        _roll_neck(pen, torso, trim)
    else:
        neck_band(pen, torso, trim, width=9)
    if look.has("elbow patches"):
        for side in (1, -1):
            patch = "M118 206C126 204 134 212 136 226C136 238 130 244 124 240C118 232 114 214 118 206Z"
            pen.piece(patch if side == 1 else mirror(patch), cloth.of("#8a5a38"), rim=0.4)


def _roll_neck(pen: Pen, torso: Torso, cloth: Cloth) -> None:
    n, y = torso.neck, torso.top
    pen.piece(
        whole(
            f"M0 {y - 24}Q{n * 0.6:.1f} {y - 25} {n - 5} {y - 26}C{n - 1} {y - 14} {n + 1} {y - 6} "
            f"{n + 4} {y + 4}C{n * 0.8:.1f} {y + 16} {n * 0.4:.1f} {y + 20} 0 {y + 20}"
        ),
        cloth,
        folds=[Fold(f"M{-n + 2} {y + 2}Q0 {y + 12} {n - 2} {y}", 0.3, 5)],
    )
    pen.flat(
        f"M{-n + 6} {y - 25}Q0 {y - 30} {n - 6} {y - 25}Q0 {y - 20} {-n + 6} {y - 25}Z", "#2a211d", line=0, opacity=0.28
    )


def sweatshirt(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(SCALE, MIDDLE)
    torso, trim = torso_of(look, neckline="crew", depth=22, neck=31), rib(look.trim)
    back_of_neck(pen, torso, look.lining)
    draw_sleeves(pen, torso, replace(SLEEVES["long"], wrist=40), look.cloth, dice, cuff=trim, cuff_height=18)
    pen.piece(torso.outline(), look.cloth, folds=torso.folds(dice))
    pen.seam(f"M-7 {torso.top + 27}L0 {torso.top + 42}L7 {torso.top + 27}", look.cloth)
    hem_band(pen, torso, trim, height=18)
    neck_band(pen, torso, trim, width=8)


def hoodie(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(1.04, (0, 168))
    torso = torso_of(look, neckline="v", depth=30, neck=33, top=66)
    cloth, trim = look.cloth, rib(look.trim)
    hood = whole("M0 6C26 6 50 18 53 44C54 62 48 76 40 86L0 110")
    pen.piece(hood, cloth, folds=[Fold("M-44 38Q-36 66 -30 84", 0.26, 6), Fold("M44 34Q38 62 32 82", 0.3, 6)])
    inside = whole("M0 26C18 26 32 38 33 56C33 72 22 88 0 106")
    pen.flat(inside, look.lining, line=1.3)
    pen.shade("M-30 50C-26 30 -12 28 0 28C14 28 26 34 30 52", cloth, within=inside, width=16, depth=0.5)
    draw_sleeves(pen, torso, replace(SLEEVES["long"], wrist=42), cloth, dice, cuff=trim, cuff_height=18)
    pen.piece(torso.outline(), cloth, folds=torso.folds(dice))
    leaf = "M0 104C12 98 30 84 33 56C40 60 46 72 45 84C36 98 20 108 2 120Z"
    for path in (leaf, mirror(leaf)):
        pen.piece(path, cloth, rim=0.8)
    low = torso.hem_y - 2
    pouch = f"M-46 {low - 50}L-34 {low - 76}L34 {low - 76}L46 {low - 50}L50 {low + 2}Q0 {low + 6} -50 {low + 2}Z"
    if look.cut["opening"] == "zip":
        for side in (1, -1):
            half = (
                f"M{side * 4} {low - 76}L{side * 34} {low - 76}L{side * 48} {low - 44}L{side * 52} {low + 3}"
                f"L{side * 4} {low + 5}Z"
            )
            pen.piece(half, cloth, rim=0.4, line=1.2)
            pen.stitch(f"M{side * 36} {low - 72}L{side * 49} {low - 44}", cloth)
    else:
        pen.piece(pouch, cloth, rim=0.4, line=1.2)
        for side in (1, -1):
            pen.stitch(f"M{side * 31} {low - 72}L{side * 42} {low - 49}L{side * 46} {low}", cloth)
    hem_band(pen, torso, trim, height=18)
    if look.cut["opening"] == "zip":
        zipper(pen, cloth, look.metal_code, top=112, bottom=torso.hem_y + 22)
    cord = look.trim.of("#f4efe6") if look.colour not in ("white", "beige") else look.trim.of("#8d857a")
    for side in (1, -1):
        pen.band(
            f"M{side * 15} 106C{side * 18} 124 {side * 15} 140 {side * 18} {158 + side * 5}", 3, cord, round_ends=True
        )
        pen.dot(side * 15, 105, 2.6, look.metal_code)


def cardigan(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(SCALE, MIDDLE)
    round_neck = look.cut["neckline"] == "crew neck"
    torso = torso_of(look, neckline="crew" if round_neck else "v", depth=24 if round_neck else 96, neck=31)
    cloth, trim = look.cloth, rib(look.trim)
    back_of_neck(pen, torso, look.lining)
    draw_sleeves(pen, torso, replace(SLEEVES["long"], wrist=38), cloth, dice, cuff=trim, cuff_height=17)
    pen.piece(torso.outline(), cloth, folds=torso.folds(dice))
    if look.has("pockets"):
        for x in (20, -58):
            patch_pocket(pen, cloth, x=x, y=torso.hem_y - 62, width=38, height=46, point=1)
    hem_band(pen, torso, trim, height=16)
    low = torso.hem_y + torso.sag + 15
    top = torso.top + torso.depth
    neck_band(pen, torso, trim, width=10)
    pen.piece(box(-6, top - 2, 12, low - top + 1), trim, rim=0.3, line=1.2)
    if look.has("sash"):
        tied_bow(pen, trim, x=0, y=228, size=28, tails=60)
    else:
        buttons(pen, look.button, x=0, top=top + 10, bottom=low - 10, count=6 if round_neck else 5, radius=4)


def knit_vest(pen: Pen, look: Look, dice: random.Random) -> None:
    """Without sleeves: ribs around neck and armholes."""
    pen.frame(1.22, (0, 184))
    torso = torso_of(look, shoulder=68, slope=15, chest=74, waist=72, hem=74, armpit=150)
    cloth, trim = look.cloth, rib(look.trim)
    back_of_neck(pen, torso, look.lining)
    pen.piece(torso.outline(), cloth, folds=torso.folds(dice))
    for path in (torso.armhole(), mirror(torso.armhole())):
        pen.band(path, 9, trim)
    hem_band(pen, torso, trim, height=17)
    neck_band(pen, torso, trim, width=9)


def poncho(pen: Pen, look: Look, dice: random.Random) -> None:
    """One wide cloth with a hole for the head, fringed at its edge."""
    pen.frame(1.0, (0, 196))
    cloth = look.cloth
    half = "M0 68C14 68 24 62 30 56C60 66 120 150 176 262C150 292 70 326 0 334"
    edge = [(176 - 176 * k / 26, 262 + 72 * (1 - (1 - k / 26) ** 1.7)) for k in range(27)]
    threads = "".join(f"M{s * x:.1f} {y - 3:.1f}L{s * x + s * 2:.1f} {y + 15:.1f}" for x, y in edge for s in (1, -1))
    if look.has("fringe"):
        pen.ink(threads, cloth.second if look.pattern != "plain" else cloth.colour, width=2.6)
    folds = [
        Fold(f"M{x * 0.25:.0f} 96Q{x * 0.6:.0f} 190 {x} {y}", 0.3, 10, opens=True)
        for x, y in ((-120, 306), (-60, 330), (10, 340), (70, 328), (128, 300))
    ]
    pen.flat("M-30 56Q0 48 30 56Q14 70 0 69Q-14 70 -30 56Z", look.lining, line=1.3)
    pen.piece(whole(half), cloth, folds=folds)
    _roll_neck(pen, Torso(top=60, neck=29), rib(look.trim))
