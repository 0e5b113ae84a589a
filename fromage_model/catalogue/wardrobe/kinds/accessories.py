"""Scarves, gloves, mittens, ties, bow ties, belts, sunglasses, umbrellas."""

import random
from dataclasses import replace

from fromage_model.catalogue.wardrobe.draw.cloth import Cloth
from fromage_model.catalogue.wardrobe.draw.light import Fold
from fromage_model.catalogue.wardrobe.draw.outline import box, mirror, oval
from fromage_model.catalogue.wardrobe.draw.pen import Pen
from fromage_model.catalogue.wardrobe.draw.shades import toned
from fromage_model.catalogue.wardrobe.look import Look, colour_code
from fromage_model.catalogue.wardrobe.parts.trims import fringe


def scarf(pen: Pen, look: Look, dice: random.Random) -> None:
    """Folded once around, its two ends hanging; a square silk scarf lies knotted."""
    pen.frame(1.06, (0, 204))
    cloth = look.cloth
    tip = cloth.second if look.pattern != "plain" and dice.random() < 0.3 else cloth.colour
    if look.has("fringe"):
        fringe(pen, [(-52 + 4.6 * k, 356 - 0.4 * k) for k in range(12)], tip, length=24, lean=-2)
        fringe(pen, [(18 + 4.8 * k, 322 + 0.6 * k) for k in range(12)], tip, length=24, lean=3)
    pen.piece(
        "M8 118C30 150 26 240 16 324C34 330 58 332 74 330C82 250 84 170 64 112Z",
        cloth,
        grain=-4,
        folds=[Fold("M40 140Q50 230 40 328", 0.3, 8, opens=True)],
    )
    pen.piece(
        "M-30 126C-50 180 -56 270 -54 356C-38 360 -16 358 -2 354C0 280 4 200 20 140Z",
        cloth,
        grain=5,
        folds=[Fold("M-12 150Q-26 250 -22 354", 0.3, 8, opens=True)],
    )
    ring = "M-96 92C-104 62 -66 38 0 38C66 38 104 62 96 94C92 130 56 152 0 154C-56 152 -90 128 -96 92Z"
    pen.piece(
        ring,
        cloth,
        grain=3,
        folds=[
            Fold("M-88 96Q-40 142 30 146", 0.38, 9),
            Fold("M-80 72Q-10 126 84 104", 0.3, 9),
            Fold("M-84 88Q0 118 90 84", 0.22, 6),
        ],
    )
    hole = "M-58 78C-52 60 -26 54 0 54C28 54 54 60 60 78C36 96 -36 96 -58 78Z"
    pen.flat(hole, toned(cloth.colour, -0.26, 0.8), line=1.4)
    pen.shade("M-58 74C-44 56 44 54 60 76", cloth, within=hole, width=16, depth=0.6)


def gloves(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(1.12, (0, 196))
    for side in (-1, 1):
        with pen.placed(side * 72, 0, turn=side * 6, flip=side < 0):
            _glove(pen, look, dice)


def _glove(pen: Pen, look: Look, dice: random.Random) -> None:
    """The right hand, palm down; its thumb to the left."""
    cloth = replace(look.cloth, scale=0.7)
    hand = (
        "M-36 330L-38 216C-48 200 -72 172 -74 160C-74 146 -58 144 -50 154L-36 178C-38 140 -38 104 -36 76"
        "C-35 62 -18 62 -17 76L-14 128"
        "L-12 58C-11 42 8 42 9 58L10 128L16 68C18 54 34 55 34 70L34 134L42 98C46 86 60 89 59 102C56 146 "
        "50 190 46 218L44 330Z"
    )
    long = look.cut["length"] == "long"
    folds = [
        Fold("M-34 216Q0 230 44 214", 0.26, 6),
        Fold(f"M-32 {236 + dice.uniform(-4, 4):.0f}Q4 248 40 236", 0.22, 6),
    ]
    pen.piece(hand, cloth, folds=folds)
    if look.material in ("leather", "suede"):
        for line in ("M-20 190L-22 150", "M2 190L0 146", "M24 190L26 150"):
            pen.seam(line, cloth, width=1.4)
        pen.stitch("M-34 300L42 300", cloth)
    cuff = look.trim if look.has("contrast trim") else cloth.plain()
    if look.material not in ("leather", "suede"):
        pen.piece(
            "M-40 268L46 268L44 344Q4 350 -38 344Z" if long else "M-40 286L46 286L44 344Q4 350 -38 344Z",
            replace(cuff, texture="ribbed"),
            rim=0.7,
        )
    else:
        pen.piece(
            "M-38 314L45 314L46 346Q4 352 -39 346Z",
            replace(cuff, texture="fleece", colour="#efe6d6") if look.has("sherpa lining") else cuff,
            rim=0.7,
        )
    if look.has("buttons"):
        pen.button(24, 300, look.button, radius=4)


def mittens(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(1.14, (0, 200))
    for side in (-1, 1):
        with pen.placed(side * 70, 0, turn=side * 6, flip=side < 0):
            cloth = look.cloth
            pen.piece(
                "M-40 270C-46 214 -52 150 -46 112C-38 72 30 70 42 112C50 150 46 214 44 270Z",
                cloth,
                folds=[Fold("M-30 240Q0 252 34 240", 0.24, 7)],
            )
            pen.piece(
                "M-42 236C-66 222 -84 192 -82 172C-80 154 -60 152 -52 168C-46 182 -38 194 -34 208Z", cloth, rim=1.0
            )
            cuff = look.trim if look.has("contrast trim") else cloth.plain()
            pen.piece("M-45 262L49 262L46 328Q2 336 -42 328Z", replace(cuff, texture="ribbed"), rim=0.8)
    if look.has("cord"):
        pen.band("M-66 330C-60 372 -30 380 0 366C30 380 60 372 66 330", 4, look.trim.bare())
    del dice


def tie(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(1.0, (0, 200))
    del dice
    cloth = replace(look.cloth, scale=0.7)
    wide = 46 if look.cut["width"] == "regular" else 30
    collar = "M-30 44C-58 26 -52 6 0 6C52 6 58 26 30 44L20 36C38 26 30 18 0 18C-30 18 -38 26 -20 36Z"
    pen.piece(collar, cloth, rim=0.5)
    pen.piece(
        f"M-9 76C4 120 10 200 {wide * 0.42 + 12:.0f} 318L34 346L{wide * 0.9 + 4:.0f} 312C34 220 18 130 12 76Z",
        replace(cloth, colour=toned(cloth.colour, -0.04)),
        grain=-38,
        rim=0.8,
    )
    pen.piece(
        f"M-11 78C-16 130 {-wide * 0.8:.0f} 240 {-wide} 338L0 390L{wide} 338C{wide * 0.8:.0f} 240 16 130 11 78Z",
        cloth,
        grain=38,
        folds=[Fold("M-4 84Q-10 120 -14 150", 0.4, 6)],
    )
    if look.material == "rib knit":
        pen.flat("M-60 388L60 388L60 388Z", cloth.colour, line=0)
    pen.piece(
        "M-22 36C-10 32 10 32 22 36C20 52 16 66 12 80C4 84 -4 84 -12 80C-16 66 -20 52 -22 36Z",
        cloth,
        grain=-38,
        rim=1.1,
    )


def bow_tie(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(1.24, (0, 200))
    del dice
    cloth = look.cloth
    pen.band("M-60 196C-160 176 -156 140 0 138C156 140 160 176 60 196", 9, cloth.bare())
    for side in (1, -1):
        wing = (
            "M6 190C30 170 74 152 118 150C130 180 130 224 118 254C74 252 30 232 6 214Z"
            if look.cut["shape"] == "butterfly"
            else "M6 194C40 186 90 178 122 176C126 192 126 212 122 228C90 226 40 218 6 210Z"
        )
        pen.piece(
            wing if side == 1 else mirror(wing),
            cloth,
            folds=[
                Fold(f"M{side * 10} 198Q{side * 46} 186 {side * 78} 178", 0.36, 7),
                Fold(f"M{side * 10} 206Q{side * 46} 218 {side * 80} 228", 0.36, 7),
            ],
        )
    pen.piece("M-19 184Q0 178 19 184Q23 202 19 221Q0 227 -19 221Q-23 202 -19 184Z", cloth, rim=1.0)


def belts(pen: Pen, look: Look, dice: random.Random) -> None:
    """Rolled into a ring that stands, its buckle in front."""
    del dice
    pen.frame(1.1, (0, 204))
    cloth = look.cloth
    wide = {"slim": 22, "regular": 34, "wide": 50}[look.cut["width"]]
    top, low = 170.0, 226.0
    back = (
        f"M-150 {top + 28}C-140 {top - 26} 140 {top - 26} 150 {top + 28}L150 {top + 28 + wide}C140 "
        f"{top - 26 + wide} -140 {top - 26 + wide} -150 {top + 28 + wide}Z"
    )
    pen.piece(back, Cloth(toned(cloth.colour, -0.14, 0.8), cloth.colour), rim=0.8)
    front = (
        f"M-150 {top + 28}C-148 {low + 26} -90 {low + 38} 0 {low + 40}C90 {low + 38} 148 {low + 26} 150 "
        f"{top + 28}L150 {top + 28 + wide}C148 {low + 26 + wide} 90 {low + 38 + wide} 0 {low + 40 + wide}C-90 "
        f"{low + 38 + wide} -148 {low + 26 + wide} -150 {top + 28 + wide}Z"
    )
    pen.piece(front, cloth, rim=1.0)
    y = low + 40
    for up in (4, wide - 4):
        pen.stitch(
            (
                f"M-148 {top + 34 + up}C-146 {low + 26 + up} -90 {low + 38 + up - 1} 0 {y + up}C90 "
                f"{low + 38 + up - 1} 146 {low + 26 + up} 148 {top + 34 + up}"
            ),
            cloth,
        )
    for x in (34, 52, 70, 88):
        pen.dot(x, y + wide / 2 - x * 0.06, 2.2, toned(cloth.colour, -0.3))
    half = wide / 2 + 8
    frame = (
        oval(-6, y + wide / 2, half * 1.05, half) + oval(-6, y + wide / 2, half * 0.66, half * 0.62)
        if look.cut["buckle"] == "round buckle"
        else box(-32, y - 8, 46, wide + 16, 5) + box(-24, y, 30, wide, 3)
    )
    pen.metal(frame, look.metal_code)
    pen.metal(box(-6, y + wide / 2 - 2.2, 26, 4.4, 2), look.metal_code)
    pen.piece(box(22, y - 2, 9, wide + 4, 2), cloth.bare(), rim=0.5, line=1.1)


LENSES = {
    "wayfarer": (
        "M16 172C40 164 92 162 122 170C130 174 128 184 124 192C118 226 96 240 66 238C36 236 22 216 18 194C14 "
        "188 12 178 16 172Z"
    ),
    "aviator": "M20 170C52 162 100 162 120 172C130 190 122 224 96 240C72 250 44 242 28 220C16 202 12 180 20 170Z",
    "cat-eye": "M16 184C36 170 84 164 136 152C138 172 128 214 98 230C70 240 36 234 22 212C16 202 12 192 16 184Z",
    "round": "M70 156C104 156 122 176 122 204C122 232 100 250 70 250C40 250 18 232 18 204C18 176 36 156 70 156Z",
    "oversized": "M14 164C44 150 112 150 138 164C146 196 134 244 104 256C76 264 42 258 26 238C12 216 8 180 14 164Z",
}


def sunglasses(pen: Pen, look: Look, dice: random.Random) -> None:
    del dice
    pen.frame(1.12, (0, 204))
    shape, frame = look.cut["shape"], look.cloth
    lens = LENSES[shape]
    glass = colour_code(look.second) if look.has("tinted lenses") and look.second else "#3d3a3c"
    metal = look.material == "metal"
    width = 4.5 if metal else 9
    for side in (1, -1):
        arm = f"M{side * 124} 176C{side * 140} 152 {side * 150} 128 {side * 146} 108"
        pen.band(arm, 4 if metal else 8, frame, round_ends=True)
    for side in (1, -1):
        path = lens if side == 1 else mirror(lens)
        pen.flat(path, glass, line=0, opacity=0.86, cast=True)
        pen.gloss(
            "M34 196L62 170L80 170L40 214Z" if side == 1 else mirror("M84 172L104 174L60 226L48 220Z"), opacity=0.2
        )
        pen.band(f"{path}", width, frame)
    if shape == "aviator":
        pen.band("M-22 174C-10 164 10 164 22 174", 4, frame)
        pen.band("M-20 192C-8 184 8 184 20 192", 4, frame)
    else:
        pen.band("M-18 188C-8 178 8 178 18 188", width * 0.9, frame)
    for side in (1, -1):
        pen.dot(side * 122, 177, 2.4, look.metal_code)


def umbrella(pen: Pen, look: Look, dice: random.Random) -> None:
    """Open, seen from the side: eight ribs, a ferrule, a crook."""
    del dice
    pen.frame(1.04, (0, 204))
    wood = Cloth("#8a5a38", "#8a5a38", sheen=1.2)
    handle = wood if look.cut["handle"] == "wooden crook" else look.cloth.bare().of("#3a3638")
    pen.ink("M0 150L0 322", "#4a4644", width=6)
    pen.ink("M-1 150L-1 322", "#a9a6a4", width=2)
    pen.band("M0 300L0 346C0 378 44 378 44 346L44 340", 10, handle, round_ends=True)
    pen.band("M0 34L0 56", 5, handle, round_ends=True)
    canopy = (
        "M-168 214C-164 116 -86 52 0 52C86 52 164 116 168 214C150 198 128 198 112 216C94 196 56 194 38 "
        "214C24 200 -24 200 -38 214"
        "C-56 194 -94 196 -112 216C-128 198 -150 198 -168 214Z"
    )
    inside = (
        "M-168 214C-150 198 -128 198 -112 216C-94 200 -56 198 -38 216C-24 204 24 204 38 216C56 198 94 200 "
        "112 216C128 198 150 198 168 214C120 240 -120 240 -168 214Z"
    )
    pen.flat(inside, toned(look.cloth.colour, -0.24, 0.8), line=1.2, cast=True)
    pen.piece(
        canopy,
        look.cloth,
        folds=[
            Fold("M-2 58Q-84 104 -112 206", 0.24, 9),
            Fold("M2 58Q34 110 38 206", 0.22, 9),
            Fold("M2 58Q90 100 114 206", 0.3, 10),
        ],
    )
    for line in (
        "M0 52C-66 84 -106 146 -112 216",
        "M0 52C-24 96 -36 152 -38 214",
        "M0 52C24 96 36 152 38 214",
        "M0 52C66 84 106 146 112 216",
    ):
        pen.seam(line, look.cloth, width=1.3)
    if look.has("contrast trim"):
        pen.band(
            (
                "M-168 214C-150 198 -128 198 -112 216C-94 196 -56 194 -38 214C-24 200 24 200 38 214C56 194 "
                "94 196 112 216C128 198 150 198 168 214"
            ),
            5,
            look.trim,
        )
    for x in (-168, -112, -38, 38, 112, 168):
        pen.dot(x, 216, 2.4, look.metal_code)
