"""Swimsuits, bikinis, swimming trunks."""

import random
from dataclasses import replace

from fromage_model.catalogue.wardrobe.draw.light import Fold
from fromage_model.catalogue.wardrobe.draw.outline import mirror, whole
from fromage_model.catalogue.wardrobe.draw.pen import Pen
from fromage_model.catalogue.wardrobe.look import Look
from fromage_model.catalogue.wardrobe.parts.legs import draw_legs, short_legs
from fromage_model.catalogue.wardrobe.parts.trims import belt, patch_pocket, tied_bow


def swimsuit(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(1.12, (0, 198))
    cloth, trim, neck = look.cloth, look.trim, look.cut["neckline"]
    back = whole("M0 128C20 122 34 96 40 60L50 62C52 90 56 110 66 128L50 240L0 300")
    pen.flat(back, look.lining, line=1.2)
    if neck == "halter neck":
        front = "M0 150C8 120 14 90 16 50L27 47C34 84 48 110 68 138"
    elif neck == "strapless":
        front = "M0 124C14 112 34 106 48 112C56 116 62 124 67 136"
    elif neck == "V-neck":
        front = "M0 164C12 128 28 92 34 52L48 52C49 86 54 114 68 138"
    else:
        front = "M0 120C20 118 32 92 36 52L49 52C50 86 54 114 68 138"
    half = f"{front}C66 164 58 180 58 202C58 222 68 238 74 262C58 274 34 296 26 338Q12 344 0 344"
    folds = [
        Fold(f"M{s * 66} 140Q{s * 48} 152 {s * dice.uniform(26, 38):.0f} {dice.uniform(156, 170):.0f}", 0.26, 6)
        for s in (1, -1)
    ]
    folds += [Fold(f"M{s * 20} 330Q{s * 30} 290 {s * 60} 262", 0.24, 6) for s in (1, -1)]
    if look.has("ruching"):
        folds += [Fold(f"M-56 {y}Q0 {y + dice.uniform(5, 11):.0f} 56 {y}", 0.34, 5) for y in range(168, 262, 15)]
    pen.piece(whole(half), cloth, folds=folds)
    leg = "M74 262C58 274 34 296 26 338"
    for path in (leg, mirror(leg)):
        pen.stitch(path, cloth)
        if look.has("contrast trim"):
            pen.band(path, 4, trim)
    if look.has("contrast trim"):
        edge = front.rpartition("C")[0] if neck != "strapless" else front
        for path in (edge, mirror(edge)):
            pen.band(path, 4, trim)
    if look.has("belt"):
        belt(pen, trim, half=58, y=196, width=11, buckle=look.metal_code)
    if look.has("bow"):
        tied_bow(pen, trim, x=0, y=136 if neck != "V-neck" else 172, size=22)


def bikini(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(1.2, (0, 198))
    cloth, trim = look.cloth, look.trim.bare()
    style = look.cut["top"]
    if style == "triangle":
        for side in (1, -1):
            pen.band(f"M{side * 34} 104C{side * 38} 76 {side * 30} 56 {side * 14} 44", 3.4, trim)
            pen.band(f"M{side * 62} 162C{side * 84} 164 {side * 100} 168 {side * 112} 178", 3.4, trim)
        pen.band("M-12 164L12 164", 3.4, trim)
        cup = "M8 164C14 138 24 118 34 102C48 116 60 138 66 162Q38 172 8 164Z"
        for side, path in ((1, cup), (-1, mirror(cup))):
            pen.piece(path, cloth, folds=[Fold(f"M{side * 36} 164Q{side * 34} 148 {side * 38} 132", 0.3, 5)])
    else:
        straps = style == "balconette"
        for side in (1, -1):
            if straps:
                pen.band(f"M{side * 48} 122C{side * 50} 90 {side * 44} 68 {side * 38} 52", 4.5, trim)
            pen.band(f"M{side * 68} 148C{side * 86} 146 {side * 100} 148 {side * 114} 154", 8, trim)
        pen.piece(
            whole("M0 134C8 122 26 112 46 118C58 122 66 130 72 140L70 166Q34 176 0 168"),
            cloth,
            folds=[Fold(f"M{s * 40} 166Q{s * 36} 150 {s * 42} 134", 0.3, 5) for s in (1, -1)],
        )
        if look.has("bow"):
            tied_bow(pen, trim, x=0, y=148, size=20)
    tied = look.cut["bottom"] == "side-tie"
    top = 236 if look.cut["bottom"] == "high-waisted" else 254
    bottom = whole(
        f"M0 {top + 5}Q34 {top + 5} 66 {top}L{66 if tied else 72} {top + (12 if tied else 30)}C48 "
        f"{top + 42} 30 306 22 336Q10 341 0 341"
    )
    pen.piece(bottom, cloth, folds=[Fold(f"M{s * 18} 326Q{s * 28} 296 {s * 54} {top + 34}", 0.26, 6) for s in (1, -1)])
    if look.cut["bottom"] != "high-waisted" or look.has("contrast trim"):
        pen.band(f"M-67 {top}Q0 {top + 10} 67 {top}", 4, trim)
    if tied:
        for side in (1, -1):
            tied_bow(pen, trim, x=side * 70, y=top + 5, size=15, tails=34)


def trunks(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(1.25, (0, 142))
    legs = replace(short_legs(232 if look.cut["length"] == "long" else 204, spread=45), crotch=156)
    draw_legs(pen, legs, look.cloth, dice, inside=look.lining)
    pen.seam(f"M0 {legs.top + 6}L0 {legs.crotch}", look.cloth)
    if look.has("contrast trim"):
        for side in (1, -1):
            x, r, y = side * legs.foot, legs.open, legs.bottom
            pen.band(f"M{x - r} {y - 5}Q{x} {y} {x + r} {y - 5}", 7, look.trim)
    if look.has("pockets"):
        patch_pocket(pen, look.cloth, x=40, y=150, width=36, height=38, point=1, flap=13)
    w, y = legs.waist, legs.top
    pen.piece(
        f"M{-w} {y - 12}Q0 {y - 4} {w} {y - 12}L{w + 1} {y + 5}Q0 {y + 13} {-w - 1} {y + 5}Z",
        look.trim if look.has("contrast trim") else look.cloth.plain(),
        rim=0.5,
        folds=[Fold(f"M{x} {y - 6}L{x} {y + 8}", 0.4, 2.5) for x in range(-54, 58, 8)],
    )
    cord = look.trim.of("#f6f1e8") if look.colour != "white" else look.trim.of("#3f78c9")
    tied_bow(pen, cord, x=0, y=y + 4, size=13, tails=34)
