"""T-shirts, tops, shirts and blouses."""

import random
from dataclasses import replace

from fromage_model.catalogue.wardrobe.draw.light import Fold
from fromage_model.catalogue.wardrobe.draw.outline import box, joined, mirror, whole
from fromage_model.catalogue.wardrobe.draw.pen import Pen
from fromage_model.catalogue.wardrobe.look import Look
from fromage_model.catalogue.wardrobe.parts.sleeves import SLEEVES, draw_sleeves
from fromage_model.catalogue.wardrobe.parts.torso import Torso, back_of_neck
from fromage_model.catalogue.wardrobe.parts.trims import (
    buttons,
    hem_stitch,
    neck_band,
    patch_pocket,
    placket,
    shirt_collar,
    tied_bow,
)

FITS = {
    "fitted": {"chest": 70, "waist": 60, "hem": 68, "shoulder": 80},
    "regular": {"chest": 79, "waist": 75, "hem": 79, "shoulder": 87},
    "oversized": {"chest": 94, "waist": 94, "hem": 94, "shoulder": 104, "slope": 24, "armpit": 156},
}
NECKS = {
    "crew neck": {"neckline": "crew", "depth": 24, "neck": 32},
    "V-neck": {"neckline": "v", "depth": 62, "neck": 34},
    "scoop neck": {"neckline": "scoop", "depth": 46, "neck": 44},
    "boat neck": {"neckline": "boat", "depth": 15, "neck": 52},
    "square neck": {"neckline": "square", "depth": 40, "neck": 46},
}


def torso_of(look: Look, **changes: float | str) -> Torso:
    """The body that the look's fit, neck and length ask for."""
    torso = replace(Torso(), **FITS[look.cut.get("fit", "regular")])  # type: ignore[arg-type]
    torso = replace(torso, **NECKS.get(look.cut.get("neckline", ""), {}))  # type: ignore[arg-type]
    if look.cut.get("length") == "cropped":
        torso = replace(torso, hem_y=252, waist_y=205, hem=torso.waist + 2)
    if look.cut.get("length") == "long":
        torso = replace(torso, hem_y=338, waist_y=226)
    return replace(torso, **changes)  # type: ignore[arg-type]


def tee(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(1.12, (0, 186))
    torso = torso_of(look)
    sleeve = SLEEVES[look.cut["sleeves"]]
    if look.cut.get("fit") == "oversized":
        sleeve = replace(sleeve, wrist=sleeve.wrist + 12, length=sleeve.length - 4)
    back_of_neck(pen, torso, look.lining)
    band = look.trim if look.has("contrast trim") else None
    draw_sleeves(pen, torso, sleeve, look.cloth, dice, cuff=band, cuff_height=7 if band else 0)
    pen.piece(torso.outline(), look.cloth, folds=torso.folds(dice))
    neck_band(pen, torso, look.trim)
    if look.has("chest pocket"):
        patch_pocket(pen, look.cloth, x=18, y=torso.armpit - 8, width=36, height=42)
    hem_stitch(pen, torso, look.cloth)


def tank(pen: Pen, look: Look, dice: random.Random) -> None:
    """Straps instead of sleeves: wide ones cut with the body, or thin ones sewn on."""
    cloth = look.cloth
    pen.frame(1.12, (0, 186))
    torso = torso_of(look, shoulder=58, slope=10, chest=72, waist=66, hem=72)
    if look.cut["straps"] == "thin":
        top = 118.0
        for side in (1, -1):
            pen.band(
                (
                    f"M{side * 44} {top}C{side * 46} 92 {side * 40} 72 {side * 36} 58C{side * 30} 72 "
                    f"{side * 30} 90 {side * 34} {top - 4}"
                ),
                3.4,
                look.trim.bare(),
            )
        half = (
            f"M0 {top + 12}C16 {top + 8} 30 {top - 2} 44 {top - 5}C50 {top + 10} 58 {torso.armpit - 10} "
            f"{torso.chest} {torso.armpit}"
            f"C{torso.waist + 1} {torso.armpit + 30} {torso.waist} {torso.waist_y - 20} {torso.waist} {torso.waist_y}"
            f"C{torso.waist} {torso.waist_y + 30} {torso.hem} {torso.hem_y - 30} {torso.hem} {torso.hem_y}"
            f"Q40 {torso.hem_y + 6} 0 {torso.hem_y + 5}"
        )
        pen.piece(whole(half), cloth, folds=torso.folds(dice))
        edge = f"M0 {top + 15}C16 {top + 11} 30 {top + 1} 44 {top - 1}"
        for path in (edge, mirror(edge)):
            pen.stitch(path, cloth)
    else:
        torso = replace(torso, neck=34, neckline="scoop", depth=54)
        back_of_neck(pen, torso, look.lining)
        pen.piece(torso.outline(), cloth, folds=torso.folds(dice))
        neck_band(pen, torso, look.trim, width=5)
        for path in (torso.armhole(), mirror(torso.armhole())):
            pen.band(path, 5, look.trim.bare())
    hem_stitch(pen, torso, cloth)


def polo(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(1.12, (0, 186))
    torso = torso_of(look, neckline="v", depth=20, neck=30)
    back_of_neck(pen, torso, look.lining, label=False)
    draw_sleeves(pen, torso, SLEEVES[look.cut["sleeves"]], look.cloth, dice, cuff=look.trim, cuff_height=9)
    pen.piece(torso.outline(), look.cloth, folds=torso.folds(dice))
    placket(pen, look.trim, look.button, top=torso.top + 16, bottom=torso.top + 84, count=3)
    pen.seam(box(-6, torso.top + 80, 12, 4), look.cloth)
    shirt_collar(pen, torso, look.trim, spread=24, point=38)
    if look.has("chest pocket"):
        patch_pocket(pen, look.cloth, x=20, y=torso.armpit, width=34, height=38)
    hem_stitch(pen, torso, look.cloth)


def shirt(pen: Pen, look: Look, dice: random.Random) -> None:
    cloth = look.cloth
    pen.frame(1.1, (0, 192))
    torso = torso_of(look, neckline="v", depth=20, neck=29, hem_y=306, sag=26)
    back_of_neck(pen, torso, look.lining, label=False)
    sleeve = SLEEVES[look.cut["sleeves"]]
    long = look.cut["sleeves"] == "long"
    draw_sleeves(
        pen,
        torso,
        sleeve,
        cloth,
        dice,
        cuff=(look.trim if look.has("contrast trim") else cloth) if long else None,
        cuff_height=18 if long else 0,
    )
    pen.piece(_tailed(torso), cloth, folds=torso.folds(dice))
    for side in (1, -1):
        pen.seam(
            f"M{side * (torso.neck + 6)} {torso.top + 12}L{side * (torso.shoulder - 4)} {torso.top + torso.slope + 10}",
            cloth,
        )
    if look.cut["collar"] == "grandad collar":
        pen.band(torso.neck_edge(), 8, look.trim)
        pen.band(mirror(torso.neck_edge()), 8, look.trim)
    placket(pen, cloth, look.button, top=torso.top + 16, bottom=torso.hem_y + 24, count=7)
    if look.cut["collar"] != "grandad collar":
        shirt_collar(
            pen,
            torso,
            look.trim if look.has("contrast trim") else cloth,
            spread=24 if look.cut["collar"] == "button-down collar" else 30,
        )
    if look.cut["collar"] == "button-down collar":
        for side in (1, -1):
            pen.button(side * 21.5, torso.top + 30, look.button, radius=1.7)
    if look.has("chest pocket"):
        patch_pocket(pen, cloth, x=20, y=torso.armpit - 6, width=38, height=44)
    if look.has("two chest pockets"):
        for x in (17, -53):
            patch_pocket(pen, cloth, x=x, y=torso.armpit - 8, width=36, height=42, flap=14, button=look.button)


def _tailed(torso: Torso) -> str:
    """A body whose hem is cut round, shorter at the sides."""
    hem, y, low = torso.hem, torso.hem_y, torso.hem_y + torso.sag
    side = replace(torso, hem_y=y - 18).side()
    return whole(f"{torso.neck_edge()}{side}C{hem - 4} {y + 8} {hem * 0.7:.1f} {low} 0 {low}")


def blouse(pen: Pen, look: Look, dice: random.Random) -> None:
    """Softer than a shirt: gathered, with a bow, ruffles or a small round collar."""
    cloth, neck = look.cloth, look.cut["neckline"]
    pen.frame(1.12, (0, 184))
    shape = {"V-neck": ("v", 66.0, 34.0), "pussy bow": ("v", 22.0, 28.0), "Peter Pan collar": ("crew", 18.0, 30.0)}
    line, depth, width = shape.get(neck, ("crew", 20.0, 32.0))
    torso = torso_of(look, neckline=line, depth=depth, neck=width, chest=74, waist=66, hem=78, hem_y=298, shoulder=80)
    back_of_neck(pen, torso, look.lining, label=depth > 30)
    sleeve = SLEEVES[look.cut["sleeves"]]
    draw_sleeves(pen, torso, sleeve, cloth, dice, cuff=look.trim if sleeve.cuff else None)
    folds = torso.folds(dice)
    for x in (-44, -30, 30, 44):
        folds.append(Fold(f"M{x} {torso.top + 34}L{x * 1.1:.1f} {torso.top + 34 + dice.uniform(26, 44):.1f}", 0.22, 4))
    pen.piece(torso.outline(), cloth, folds=folds)
    if look.has("ruffles"):
        _ruffles(pen, look, torso)
    elif neck != "V-neck":
        pen.seam(f"M0 {torso.top + depth}L0 {torso.hem_y + 4}", cloth)
        buttons(pen, look.button, x=0, top=torso.top + depth + 16, bottom=torso.hem_y - 18, count=6, radius=2.6)
    neck_band(pen, torso, look.trim, width=4)
    if neck == "Peter Pan collar":
        for side in (1, -1):
            leaf = (
                f"M{side * 1} {torso.top + depth - 2}C{side * 4} {torso.top + depth + 22} {side * 34} "
                f"{torso.top + depth + 24} "
                f"{side * 44} {torso.top + 12}L{side * 30} {torso.top - 3}C{side * 28} {torso.top + 10} "
                f"{side * 14} {torso.top + depth - 2} {side * 1} {torso.top + depth - 2}Z"
            )
            pen.piece(leaf, look.trim, rim=0.7)
    if neck == "pussy bow":
        pen.band(
            (
                f"M-26 {torso.top}C-22 {torso.top + 12} -8 {torso.top + 20} 0 {torso.top + 22}C8 "
                f"{torso.top + 20} 22 {torso.top + 12} 26 {torso.top}"
            ),
            10,
            look.trim,
        )
        tied_bow(pen, look.trim, x=0, y=torso.top + 26, size=30, tails=76)
    hem_stitch(pen, torso, cloth)


def _ruffles(pen: Pen, look: Look, torso: Torso) -> None:
    """Two frills down the front."""
    top, low = torso.top + torso.depth - 2, torso.hem_y - 40
    steps = 9
    for side in (1, -1):
        path = f"M{side * 2} {top}"
        for step in range(steps):
            y = top + (low - top) * (step + 1) / steps
            bulge = 34 * (1 - 0.45 * step / steps)
            path += f"Q{side * bulge:.1f} {y - (low - top) / steps * 0.6:.1f} {side * (bulge * 0.62):.1f} {y:.1f}"
        pen.piece(joined(path, f"M{side * 2} {low}L{side * 2} {top}"), look.trim, rim=1.0, line=1.1)
        for step in range(steps):
            y = top + (low - top) * (step + 0.9) / steps
            pen.seam(f"M{side * 3} {y - 4:.1f}L{side * 10:.1f} {y:.1f}", look.cloth, opacity=0.5)
