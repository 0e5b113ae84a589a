"""Ballet flats and sandals, seen from above, side by side."""

import random

from fromage_model.catalogue.wardrobe.draw.cloth import Cloth
from fromage_model.catalogue.wardrobe.draw.light import Fold
from fromage_model.catalogue.wardrobe.draw.outline import box
from fromage_model.catalogue.wardrobe.draw.pen import Pen
from fromage_model.catalogue.wardrobe.draw.shades import toned
from fromage_model.catalogue.wardrobe.look import Look
from fromage_model.catalogue.wardrobe.parts.trims import tied_bow


def ballet_flats(pen: Pen, look: Look, dice: random.Random) -> None:
    """From above, side by side."""
    pen.frame(1.12, (0, 200))
    del dice
    for side in (-1, 1):
        with pen.placed(side * 62, 0, turn=side * 5, flip=side < 0):
            toe = (
                "M-6 62C26 62 46 96 46 150C46 196 38 222 37 262C36 304 24 334 2 334C-20 334 -33 304 -34 262"
                "C-35 222 -46 196 -46 150C-46 96 -32 62 -6 62Z"
            )
            if look.cut["toe"] == "pointed toe":
                toe = (
                    "M-10 50C18 66 45 104 46 156C46 196 38 222 37 262C36 304 24 334 2 334C-20 334 -33 304 "
                    "-34 262C-35 222 -46 196 -46 156C-45 104 -34 72 -10 50Z"
                )
            pen.piece(toe, look.cloth, folds=[Fold("M-30 110Q-20 84 0 76", -0.5, 9)])
            opening = (
                "M0 134C22 134 34 154 33 186C32 214 28 236 28 262C28 296 18 320 2 320C-14 320 -25 296 -25 262"
                "C-25 236 -33 214 -34 186C-34 154 -22 134 0 134Z"
            )
            pen.piece(opening, Cloth("#d9c5aa", "#d9c5aa"), rim=1.4, line=1.4)
            pen.flat(box(-9, 276, 22, 14, 3), "#f3eadb", line=0.6, edge="#b9a98f")
            if look.has("ankle strap"):
                pen.band("M-44 196Q0 178 44 194", 6, look.trim)
                pen.metal(box(34, 188, 9, 11, 2), look.metal_code)
            else:
                tied_bow(pen, look.trim, x=0, y=126, size=19)


def sandals(pen: Pen, look: Look, dice: random.Random) -> None:
    """Flat ones, from above: a footbed and straps."""
    pen.frame(1.12, (0, 200))
    del dice
    style = look.cut["style"]
    bed = "#c79a6b" if look.colour not in ("brown", "orange", "beige") else "#efe2cd"
    for side in (-1, 1):
        with pen.placed(side * 72, 0, turn=side * 5, flip=side < 0):
            sole = (
                "M-8 54C28 54 52 84 52 134C52 176 40 204 40 252C40 304 26 342 2 342C-22 342 -38 304 -38 252"
                "C-38 204 -50 176 -50 134C-50 84 -38 54 -8 54Z"
            )
            pen.piece(sole, Cloth(toned(bed, -0.2), bed), rim=0.8)
            pen.piece(
                sole.replace("54C28 54 52 84 52 134", "62C24 62 45 90 45 136").replace("M-8 54", "M-8 62"),
                Cloth(bed, bed),
                rim=1.2,
                line=1.0,
            )
            strap = look.cloth
            if style == "slides":
                pen.piece("M-54 112C-24 92 24 92 56 114L52 178C20 158 -20 158 -50 176Z", strap, rim=1.2)
                if look.has("buckle"):
                    for y in (124, 152):
                        pen.metal(box(22, y - 8, 15, 16, 2) + box(26, y - 4, 7, 8, 1), look.metal_code)
            elif style == "flip-flops":
                pen.band("M-2 106C-18 128 -38 150 -48 186", 9, strap, round_ends=True)
                pen.band("M-2 106C16 128 38 150 46 186", 9, strap, round_ends=True)
                pen.dot(-2, 104, 5, strap.colour)
            else:
                pen.band("M-51 122Q0 98 53 126", 13, strap)
                pen.band("M-48 166Q0 138 50 150", 11, strap)
                pen.band("M0 112C4 150 0 190 0 222", 9, strap)
                pen.band(
                    "M-40 244C-44 214 -20 206 2 208C26 206 46 216 42 244C42 290 30 318 2 320C-26 318 -38 290 -40 244",
                    8,
                    strap,
                )
                pen.metal(box(32, 226, 12, 14, 2) + box(35, 229, 6, 8, 1), look.metal_code)
