"""Socks and tights."""

import random
from dataclasses import replace

from fromage_model.catalogue.wardrobe.draw.light import Fold
from fromage_model.catalogue.wardrobe.draw.pen import Pen
from fromage_model.catalogue.wardrobe.look import Look


def socks(pen: Pen, look: Look, dice: random.Random) -> None:
    """A pair laid flat, toes to the left, one over the other."""
    top = {"ankle": 150.0, "crew": 96.0, "knee-high": 20.0}[look.cut["length"]]
    pen.frame({"ankle": 1.32, "crew": 1.14, "knee-high": 0.95}[look.cut["length"]], (0, (top + 344) / 2))
    with pen.placed(58, -14, turn=4):
        _sock(pen, look, dice, top)
    with pen.placed(-14, 6, turn=-3):
        _sock(pen, look, dice, top)


def _sock(pen: Pen, look: Look, dice: random.Random, top: float) -> None:
    cloth, trim = replace(look.cloth, scale=0.75), look.trim
    path = (
        f"M-22 {top}L42 {top}L42 210C42 232 56 254 52 278C46 300 20 304 -4 308C-40 314 -66 330 -92 334C-116 "
        "334 -122 306 -106 292C-84 274 -44 268 -32 246C-24 230 -22 214 -22 200Z"
    )
    folds = [
        Fold("M-22 214Q0 226 26 220", 0.28, 6),
        Fold("M-28 236Q-8 246 16 240", 0.24, 5),
        Fold(f"M30 {top + 30}L32 196", 0.18, 8),
    ]
    pen.piece(path, cloth, folds=folds)
    contrast = trim if look.has("contrast trim") else cloth.plain()
    pen.piece("M46 236C52 252 56 264 52 278C46 296 30 301 14 304C12 278 22 250 46 236Z", contrast, rim=0.5, line=1.1)
    pen.piece(
        "M-76 327C-82 331 -88 333 -92 334C-116 334 -122 306 -106 292C-98 286 -90 282 -82 279C-68 290 -66 312 -76 327Z",
        contrast,
        rim=0.5,
        line=1.1,
    )
    pen.piece(f"M-24 {top}L44 {top}L43 {top + 26}L-23 {top + 26}Z", replace(contrast, texture="ribbed"), rim=0.6)
