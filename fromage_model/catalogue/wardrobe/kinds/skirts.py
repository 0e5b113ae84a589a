"""Skirts with their waistbands."""

import random

from fromage_model.catalogue.wardrobe.draw.light import Fold
from fromage_model.catalogue.wardrobe.draw.pen import Pen
from fromage_model.catalogue.wardrobe.kinds.dresses import frame_to
from fromage_model.catalogue.wardrobe.look import Look
from fromage_model.catalogue.wardrobe.parts.skirts import draw_skirt, skirt_of
from fromage_model.catalogue.wardrobe.parts.trims import (
    belt,
    buttons,
    patch_pocket,
    zipper,
)


def skirt(pen: Pen, look: Look, dice: random.Random) -> None:
    """With its waistband, and what opens it."""
    cut, cloth = look.cut["shape"], look.cloth
    length = {"mini": 214.0, "knee-length": 256.0, "midi": 302.0, "maxi": 350.0}[look.cut["length"]]
    top, waist = 92.0, 54.0
    shape = skirt_of(cut, waist=waist + 1, top=top, bottom=length)
    frame_to(pen, length, top=74, half=shape.hem + 6)
    pen.flat(f"M{-waist + 2} 78Q0 84 {waist - 2} 78L{waist - 2} 90L{-waist + 2} 90Z", look.lining, line=1.2)
    draw_skirt(pen, shape, cloth, cut, dice)
    if look.has("front slit"):
        pen.edge(f"M{-shape.hem * 0.3:.1f} {length + 2}L{-shape.hem * 0.24:.1f} {length - 56}", cloth)
    if look.has("buttons"):
        pen.edge(f"M5 {top}L5 {length + 2}", cloth, width=1.2)
        pen.stitch(f"M-6 {top + 6}L-6 {length}", cloth)
        buttons(pen, look.button, x=-0.5, top=top + 16, bottom=length - 16, count=6, radius=3.6)
    if look.has("pockets"):
        for x in (22, -52):
            patch_pocket(pen, cloth, x=x, y=top + 26, width=30, height=34)
    if look.has("zip"):
        zipper(pen, cloth, look.metal_code, top=top + 2, bottom=length + 1)
    if cut in ("circle", "tiered") and look.has("drawstring"):
        pen.piece(
            f"M{-waist} 78Q0 90 {waist} 78L{waist + 1} 94Q0 102 {-waist - 1} 94Z",
            cloth,
            rim=0.5,
            folds=[Fold(f"M{x} 82L{x} 96", 0.4, 3) for x in range(-48, 52, 9)],
        )
        for side in (1, -1):
            pen.band(
                f"M0 90C{side * 6} 110 {side * 10} 120 {side * 8} {140 + side * 6}", 2.6, look.trim, round_ends=True
            )
    else:
        pen.piece(
            f"M{-waist} 77Q0 86 {waist} 77L{waist + 1} 93Q0 100 {-waist - 1} 93Z",
            look.trim if look.has("contrast trim") else cloth,
            rim=0.5,
        )
        if look.has("belt"):
            belt(pen, look.trim, half=waist + 1, y=78, width=13, buckle=look.metal_code, sag=6)
