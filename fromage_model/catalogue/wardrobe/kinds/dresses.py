"""Dresses and gowns."""

import random
from dataclasses import replace

from fromage_model.catalogue.wardrobe.draw.light import Fold
from fromage_model.catalogue.wardrobe.draw.outline import mirror, whole
from fromage_model.catalogue.wardrobe.draw.pen import Pen
from fromage_model.catalogue.wardrobe.look import Look
from fromage_model.catalogue.wardrobe.parts.skirts import Skirt, draw_skirt, skirt_of
from fromage_model.catalogue.wardrobe.parts.sleeves import SLEEVES, Sleeve, draw_sleeves
from fromage_model.catalogue.wardrobe.parts.torso import Torso, back_of_neck
from fromage_model.catalogue.wardrobe.parts.trims import (
    belt,
    buttons,
    neck_band,
    patch_pocket,
    placket,
    shirt_collar,
    slit_pocket,
    tied_bow,
)

WAIST_Y = 150.0
LENGTHS = {"mini": 236.0, "knee-length": 276.0, "midi": 320.0, "maxi": 374.0}
BODICE = Torso(
    top=44, neck=25, depth=20, shoulder=61, slope=13, chest=55, armpit=100, waist=43, waist_y=WAIST_Y - 8,
    hem=44, hem_y=WAIST_Y + 2, sag=3,
)  # fmt: skip
NECKS = {
    "crew neck": {"neckline": "crew", "depth": 17, "neck": 24},
    "V-neck": {"neckline": "v", "depth": 48, "neck": 28},
    "scoop neck": {"neckline": "scoop", "depth": 34, "neck": 34},
    "square neck": {"neckline": "square", "depth": 34, "neck": 36},
    "boat neck": {"neckline": "boat", "depth": 11, "neck": 40},
    "sweetheart neck": {"neckline": "sweetheart", "depth": 44, "neck": 40},
}
BODY_SCALE = 0.7


def frame_to(pen: Pen, bottom: float, *, top: float = 36, half: float = 0.0) -> None:
    """Show what is short larger, but not as large as what is long; `half` is how wide it is at its widest."""
    scale = min(1.36, 0.25 + 0.75 * 352 / (bottom - top), 186 / max(half, 100.0))
    pen.frame(round(scale, 2), (0, (top + bottom) / 2))


def smaller(sleeve: Sleeve, scale: float = BODY_SCALE) -> Sleeve:
    return replace(
        sleeve,
        length=sleeve.length * scale,
        wrist=sleeve.wrist * scale,
        puff=sleeve.puff * scale,
        cuff=sleeve.cuff * scale,
    )


def dress(pen: Pen, look: Look, dice: random.Random) -> None:
    cloth, cut = look.cloth, look.cut
    strapless = cut["sleeves"] == "straps"
    torso = replace(BODICE, **NECKS[cut["neckline"]])  # type: ignore[arg-type]
    bottom = LENGTHS[cut["length"]]
    frame_to(pen, bottom)
    skirt = skirt_of(cut["skirt"], waist=43, top=WAIST_Y, bottom=bottom, scale=0.72)
    if strapless:
        strappy_bodice(pen, look, dice)
    else:
        back_of_neck(pen, torso, look.lining, label=torso.depth > 16)
        if cut["sleeves"] != "sleeveless":
            sleeve = smaller(SLEEVES[cut["sleeves"]])
            draw_sleeves(pen, torso, sleeve, cloth, dice, cuff=look.trim if sleeve.cuff else None)
    draw_skirt(pen, skirt, cloth, cut["skirt"], dice)
    if not strapless:
        pen.piece(torso.outline(), cloth, folds=_bodice_folds(dice))
        neck_band(pen, torso, look.trim, width=3.4)
        if cut["sleeves"] == "sleeveless":
            for path in (torso.armhole(), mirror(torso.armhole())):
                pen.band(path, 2.6, look.trim.bare())
    _waist(pen, look)
    if look.has("buttons"):
        low = bottom - 14 if bottom < 300 else 262
        pen.seam(f"M0 {torso.top + torso.depth + 3}L0 {bottom}", cloth)
        buttons(pen, look.button, x=0, top=torso.top + max(torso.depth, 20) + 14, bottom=low, count=9, radius=2.5)
    if look.has("pockets"):
        for side in (1, -1):
            slit_pocket(pen, cloth, (side * 46, WAIST_Y + 16), (side * 58, WAIST_Y + 46))


def _bodice_folds(dice: random.Random) -> list[Fold]:
    folds = []
    for side in (-1, 1):
        x = side * dice.uniform(17, 25)
        folds.append(
            Fold(f"M{x:.1f} {WAIST_Y - 4}Q{x:.1f} {WAIST_Y - 24} {x + side * 5:.1f} {WAIST_Y - 42:.1f}", 0.3, 4)
        )
        folds.append(
            Fold(
                f"M{side * 52} 104Q{side * 44} 112 {side * dice.uniform(28, 36):.1f} {dice.uniform(114, 124):.1f}",
                0.24,
                4,
            )
        )
    return folds


def _waist(pen: Pen, look: Look) -> None:
    """The seam at the waist, or what lies over it."""
    if look.has("belt"):
        belt(pen, look.trim, half=44, y=WAIST_Y - 6, width=10, buckle=look.metal_code)
    elif look.has("sash"):
        belt(pen, look.trim, half=44, y=WAIST_Y - 7, width=11, bow=True)
    elif look.has("bow"):
        belt(pen, look.trim, half=44, y=WAIST_Y - 5, width=7)
        tied_bow(pen, look.trim, x=0, y=WAIST_Y + 1, size=26, tails=0)
    else:
        pen.seam(f"M-43.5 {WAIST_Y}Q0 {WAIST_Y + 5} 43.5 {WAIST_Y}", look.cloth, width=1.3)


def strappy_bodice(pen: Pen, look: Look, dice: random.Random, *, low: float = WAIST_Y + 3) -> None:
    """Thin straps over a bodice with two cups."""
    for side in (1, -1):
        pen.band(
            (
                f"M{side * 33} 88C{side * 35} 66 {side * 31} 52 {side * 27} 44C{side * 23} 54 {side * 23} 68 "
                f"{side * 26} 84"
            ),
            2.6,
            look.trim.bare(),
        )
    half = (
        f"M0 94C8 88 14 80 30 76C38 80 44 92 54 102C52 118 44 {WAIST_Y - 20} 43 {WAIST_Y - 6}L43.5 {low}Q20 "
        f"{low + 4} 0 {low + 3}"
    )
    pen.piece(whole(half), look.cloth, folds=_bodice_folds(dice))
    for side in (1, -1):
        pen.seam(f"M{side * 27} 79C{side * 25} 100 {side * 21} 120 {side * 21} {low}", look.cloth, opacity=0.5)


def gown(pen: Pen, look: Look, dice: random.Random) -> None:
    """To the floor, fitted above and full below."""
    cloth, cut = look.cloth, look.cut
    bottom, style = 376.0, cut["skirt"]
    if style == "mermaid":
        draw_skirt(pen, Skirt(41, 56, 320, 98, 276, bottom, 7, 9), cloth, "circle", dice, hem=False)
        skirt = Skirt(41, 55, 198, 41, WAIST_Y, 284, 1, 4)
    else:
        skirt = skirt_of(
            {"ball": "ball", "a-line": "circle", "column": "a-line"}[style],
            waist=41,
            top=WAIST_Y,
            bottom=bottom,
            scale=0.7,
        )
        if style == "column":
            skirt = replace(skirt, hem=66, hip=53)
    neck = cut["neckline"]
    if neck in ("sweetheart neck", "strapless", "off-shoulder"):
        if neck == "off-shoulder":
            for side in (1, -1):
                pen.piece(
                    _off_shoulder(side), cloth, folds=[Fold(f"M{side * 40} 84Q{side * 60} 84 {side * 72} 100", 0.3, 4)]
                )
        _corset(pen, look, dice, straps=neck == "sweetheart neck")
    else:
        torso = replace(BODICE, chest=53, waist=41, hem=42, **NECKS[neck])  # type: ignore[arg-type]
        back_of_neck(pen, torso, look.lining, label=False)
        if cut["sleeves"] != "sleeveless":
            draw_sleeves(pen, torso, smaller(SLEEVES[cut["sleeves"]]), cloth, dice, hem=False)
        pen.piece(torso.outline(), cloth, folds=_bodice_folds(dice))
        neck_band(pen, torso, look.trim, width=2.6)
    _gown_skirt(pen, look, skirt, style, dice)
    if look.has("bow"):
        tied_bow(pen, look.trim, x=-22, y=WAIST_Y + 3, size=27, tails=70)
    elif look.has("sash"):
        belt(pen, look.trim, half=42, y=WAIST_Y - 6, width=11)


def _gown_skirt(pen: Pen, look: Look, skirt: Skirt, style: str, dice: random.Random) -> None:
    draw_skirt(pen, skirt, look.cloth, {"column": "a-line", "mermaid": "pencil"}.get(style, "circle"), dice, hem=False)
    if look.has("slit"):
        x, top, low = 26, 228, skirt.bottom + 6
        pen.flat(
            (
                f"M{x} {top}C{x + 4} {top + 50} {x + 10} {low - 40} {x + 22} {low}L{x + 2} {low}C{x} "
                f"{low - 50} {x} {top + 40} {x} {top}Z"
            ),
            look.lining,
            line=1.2,
        )
    pen.seam(f"M-42 {WAIST_Y}Q0 {WAIST_Y + 5} 42 {WAIST_Y}", look.cloth, width=1.2)


def _corset(pen: Pen, look: Look, dice: random.Random, *, straps: bool) -> None:
    if straps:
        for side in (1, -1):
            pen.band(f"M{side * 36} 86C{side * 37} 64 {side * 33} 52 {side * 29} 44", 4, look.trim.bare())
    half = (
        f"M0 90C6 82 18 74 32 75C42 78 48 84 54 98C53 118 44 {WAIST_Y - 18} 41 {WAIST_Y - 4}L42 {WAIST_Y + 4}"
        f"Q20 {WAIST_Y + 8} 0 {WAIST_Y + 8}"
    )
    pen.piece(whole(half), look.cloth, folds=_bodice_folds(dice))
    for side in (1, -1):
        pen.seam(f"M{side * 31} 77C{side * 27} 100 {side * 19} 122 {side * 18} {WAIST_Y + 5}", look.cloth, opacity=0.6)


def _off_shoulder(side: int) -> str:
    path = "M34 76C52 66 70 68 82 84C84 96 80 108 74 114C64 104 54 100 44 102Z"
    return path if side == 1 else mirror(path)


def shirt_dress(pen: Pen, look: Look, dice: random.Random) -> None:
    """A shirt down to the knee, buttoned all the way and tied at the waist."""
    cloth = look.cloth
    torso = replace(BODICE, neckline="v", depth=17, neck=22, shoulder=62, chest=56)
    back_of_neck(pen, torso, look.lining, label=False)
    sleeve = smaller(SLEEVES[look.cut["sleeves"]])
    long = look.cut["sleeves"] == "long"
    draw_sleeves(
        pen,
        torso,
        sleeve,
        cloth,
        dice,
        cuff=look.trim if long and look.has("contrast trim") else cloth,
        cuff_height=13 if long else 0,
    )
    bottom = LENGTHS[look.cut["length"]]
    frame_to(pen, bottom)
    draw_skirt(pen, skirt_of("a-line", waist=44, top=WAIST_Y, bottom=bottom, scale=0.72), cloth, "a-line", dice)
    pen.piece(torso.outline(), cloth, folds=_bodice_folds(dice))
    placket(pen, cloth, look.button, top=torso.top + 15, bottom=bottom + 3, count=9, width=10)
    shirt_collar(pen, torso, look.trim if look.has("contrast trim") else cloth, spread=21, point=27)
    patch_pocket(pen, cloth, x=12, y=96, width=27, height=30)
    belt(pen, look.trim if look.has("contrast trim") else cloth, half=45, y=WAIST_Y - 7, width=11, bow=True)


def slip_dress(pen: Pen, look: Look, dice: random.Random) -> None:
    """Cut on the bias: falls from thin straps without a seam at the waist."""
    bottom = LENGTHS[look.cut["length"]]
    frame_to(pen, bottom)
    for side in (1, -1):
        pen.band(
            (
                f"M{side * 34} 86C{side * 36} 64 {side * 32} 52 {side * 28} 42C{side * 24} 54 {side * 24} 68 "
                f"{side * 27} 82"
            ),
            2.2,
            look.cloth.bare(),
        )
    hem = 46 + (bottom - WAIST_Y) * 0.19
    half = (
        f"M0 98C10 96 18 80 31 74C40 80 45 92 54 104C51 124 43 136 43 {WAIST_Y}C47 184 54 196 56 212"
        f"C{hem - 4} {bottom - 60} {hem - 2} {bottom - 20} {hem} {bottom}Q{hem * 0.5} {bottom + 9} 0 {bottom + 7}"
    )
    folds = [
        Fold(f"M{x} {y}Q{x * 1.2:.1f} {(y + bottom) / 2} {x * 1.15 + dice.uniform(-6, 6):.1f} {bottom - 6}", 0.28, 8)
        for x, y in ((-26, 190), (4, 210), (30, 180))
    ]
    folds += [
        Fold(f"M{-44} 148Q{-20} {dice.uniform(160, 168):.0f} 8 {dice.uniform(156, 162):.0f}", 0.2, 6),
        Fold("M-16 100Q0 112 16 100", 0.3, 5),
    ]
    pen.piece(whole(half), look.cloth, folds=folds)
    if look.has("lace trim"):
        lace = replace(look.cloth, texture="lace")
        pen.piece(
            whole(
                f"M0 {bottom - 8}Q{hem * 0.5} {bottom - 6} {hem - 1.6} {bottom - 15}L{hem + 1} "
                f"{bottom + 3}Q{hem * 0.5} {bottom + 13} 0 {bottom + 11}"
            ),
            lace,
            rim=0.4,
        )
    pen.stitch("M0 101C10 99 18 84 31 78", look.cloth)
    pen.stitch("M0 101C-10 99 -18 84 -31 78", look.cloth)
