"""Shoes and boots, seen from the side, as pairs: toes to the left, the second shoe behind the first."""

import random
from collections.abc import Callable
from dataclasses import replace

from fromage_model.catalogue.wardrobe.draw.cloth import Cloth
from fromage_model.catalogue.wardrobe.draw.outline import box, oval
from fromage_model.catalogue.wardrobe.draw.pen import Fold, Pen
from fromage_model.catalogue.wardrobe.draw.shades import toned
from fromage_model.catalogue.wardrobe.look import Look
from fromage_model.catalogue.wardrobe.parts.trims import tied_bow

RUBBER = "#f4f1ea"
LEATHER_SOLE = "#5a4232"


def pair(pen: Pen, one: Callable[[], None], *, apart: tuple[float, float] = (34, -46)) -> None:
    """The same shoe twice; both stay in the middle of the table."""
    with pen.placed(apart[0] * 0.5, apart[1] * 0.6):
        one()
    with pen.placed(-apart[0] * 0.5, -apart[1] * 0.4):
        one()


def sole_of(look: Look, colour: str) -> Cloth:
    trim = look.trim if look.has("contrast trim") else look.cloth.of(colour)
    return Cloth(trim.colour, trim.colour, sheen=0.9)


def sneakers(pen: Pen, look: Look, dice: random.Random) -> None:
    high = look.cut["height"] == "high-top"
    pen.frame(1.1, (0, 204 if high else 224))
    pair(pen, lambda: _sneaker(pen, look, random.Random(dice.getstate()[1][0]), high=high), apart=(30, -52))


def _sneaker(pen: Pen, look: Look, dice: random.Random, *, high: bool) -> None:
    cloth, trim = look.cloth, look.trim
    top = 96 if high else 158
    lace = "#fbf8f2" if look.colour not in ("white", "beige", "yellow") else "#6d6a68"
    tongue = f"M-34 196L-12 {top + 10}C-6 {top - 10} 10 {top - 14} 20 {top - 4}L34 {top + 34}L10 206Z"
    pen.piece(tongue, trim.plain(), rim=0.6)
    pen.flat(f"M8 {top + 14}Q50 {top + 24} 104 {top + 2}L100 {top + 26}L20 {top + 34}Z", toned(cloth.colour, -0.2), line=1.0)
    upper = (
        f"M-146 262C-150 236 -128 222 -98 216C-72 208 -46 192 -28 172L12 {top + 8}"
        f"C40 {top + 26} 74 {top + 26} 96 {top - 2}"
        f"C104 {top - 8} 118 {top - 8} 121 {top + 4}C114 {top + 34} 118 218 138 262Z"
    )
    pen.piece(upper, cloth, folds=[Fold("M-96 222Q-70 226 -52 200", 0.26, 6), Fold("M-76 232Q-52 226 -38 204", 0.2, 5)])
    pen.piece("M-148 262C-150 238 -132 226 -108 221C-92 228 -88 246 -90 262Z", look.cloth.of(RUBBER) if look.has("rubber toe cap") else trim, rim=0.6, line=1.2)
    pen.piece(f"M94 {top + 1}C104 {top - 8} 118 {top - 8} 121 {top + 4}C114 {top + 34} 118 218 138 262L98 262C102 226 92 {top + 50} 94 {top + 1}Z", trim, rim=0.6, line=1.2)
    pen.piece(f"M-58 236C-42 226 -24 200 -8 176L26 {top + 14}L12 {top + 6}L-28 172C-42 190 -60 200 -76 208Z", trim if look.has("contrast trim") else cloth.plain(), rim=0.4, line=1.1)
    if look.has("side stripes"):
        for x in (18, 36, 54):
            pen.piece(f"M{x + 14} 196L{x + 22} 196L{x} 260L{x - 10} 260Z", trim, rim=0.2, line=0.9)
    rows = 6 if high else 4
    for row in range(rows):
        k = row / (rows - 1)
        x, y = -50 + k * 66, 212 - k * (212 - top - 18)
        pen.band(f"M{x - 8:.1f} {y - 3:.1f}L{x + 15:.1f} {y + 5:.1f}", 4.2, Cloth(lace, lace), line=0.8, round_ends=True)
    sole = "M-150 256C-154 274 -148 286 -128 286L126 286C142 286 146 272 142 254C100 264 60 264 0 264C-60 264 -110 262 -150 256Z"
    pen.piece(sole, sole_of(replace(look, details=()), RUBBER), rim=0.6)
    pen.seam("M-149 272Q0 280 142 270", look.cloth.of(RUBBER), width=1.2)
    if look.has("contrast trim"):
        pen.ink("M-149 266C-100 273 60 274 142 263", trim.colour, width=3)


def loafers(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(1.12, (0, 234))
    del dice
    pair(pen, lambda: _loafer(pen, look))


def _low_upper() -> str:
    return (
        "M-150 268C-154 246 -138 234 -112 228C-86 222 -64 210 -44 196C-24 182 -8 172 8 170C16 170 22 174 26 180"
        "C38 204 76 212 100 186C106 178 114 172 120 176C126 182 126 194 127 206C129 232 132 250 136 268Z"
    )


def _flat_sole(pen: Pen, colour: str, *, heel: float = 14) -> None:
    cloth = Cloth(colour, colour, sheen=0.8)
    pen.piece(f"M60 274L136 272L134 {286 + heel}Q96 {288 + heel} 62 {286 + heel}Z", cloth, rim=0.5)
    pen.piece("M-152 264C-154 276 -148 284 -132 284L136 284L138 264C80 272 -80 272 -152 264Z", cloth, rim=0.5)


def _loafer(pen: Pen, look: Look) -> None:
    cloth = look.cloth
    pen.flat("M14 172C40 166 90 164 120 176L118 192C90 214 50 216 26 190Z", toned(cloth.colour, -0.22), line=1.2)
    pen.flat("M30 184C54 178 88 178 108 184C88 206 50 206 30 184Z", "#caa67c", line=0)
    _flat_sole(pen, LEATHER_SOLE if look.colour != "brown" else "#3a2a20", heel=8)
    pen.piece(_low_upper(), cloth, folds=[Fold("M-100 236Q-70 238 -52 214", 0.22, 6)])
    apron = "M-112 238C-86 228 -62 214 -44 202C-30 192 -16 184 0 180"
    pen.edge(apron, cloth, width=1.3)
    pen.stitch("M-110 243C-84 233 -60 219 -42 207C-30 198 -18 190 -4 185", cloth)
    pen.piece("M-66 262C-56 236 -40 212 -20 182C-10 174 2 170 10 170C16 171 22 175 25 180C6 204 -12 236 -20 264Z", cloth, rim=0.7, line=1.2)
    if look.has("tassels"):
        for x in (-30, -18):
            pen.band(f"M{x + 12} 206L{x} 236", 5, cloth.bare(), line=1.0)
    elif look.has("metal bar"):
        pen.metal("M-52 222L-4 210L-2 216L-50 229Z", look.metal_code)
    else:
        pen.flat("M-40 222L-20 215L-16 221L-36 229Z", toned(cloth.colour, -0.25), line=0.8)
    pen.seam("M98 190C100 216 102 244 102 266", cloth)


def oxfords(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(1.12, (0, 234))
    del dice
    pair(pen, lambda: _oxford(pen, look))


def _oxford(pen: Pen, look: Look) -> None:
    cloth, trim = look.cloth, look.trim
    pen.flat("M26 164C48 154 84 152 110 157L112 180L70 204L24 196Z", toned(cloth.colour, -0.2), line=1.1)
    _flat_sole(pen, LEATHER_SOLE if look.colour != "brown" else "#3a2a20")
    upper = (
        "M-150 266C-154 246 -136 234 -108 228C-80 222 -58 210 -38 190L-6 158C8 150 22 152 32 162C44 196 84 200 106 162"
        "C114 152 123 158 125 174C128 208 134 246 138 266Z"
    )
    pen.piece(upper, cloth, folds=[Fold("M-92 234Q-64 236 -46 208", 0.24, 6)])
    pen.piece("M-150 266C-154 246 -138 235 -112 229C-100 238 -96 252 -98 267Z", trim, rim=0.7, line=1.2)
    pen.piece("M-46 244C-38 214 -20 186 0 162C10 154 24 156 32 163C30 196 20 234 12 268L-40 268Z", trim if look.has("contrast trim") else cloth, rim=0.6, line=1.2)
    pen.piece("M88 184C96 178 102 170 106 162C114 152 123 158 125 174C128 208 134 246 138 266L90 268C96 240 96 212 88 184Z", trim, rim=0.6, line=1.2)
    if look.has("brogue holes"):
        for x, y in [(-106 + 2.2 * k, 234 + 4.6 * k) for k in range(7)] + [(-38 + 6 * k, 236 - 12 * k) for k in range(6)]:
            pen.dot(x, y, 1.2, toned(cloth.colour, -0.3))
    lace = toned(cloth.colour, -0.25) if look.colour != "black" else "#55535a"
    for k in range(4):
        x, y = -30 + k * 12, 212 - k * 14
        pen.band(f"M{x - 8} {y - 2}L{x + 13} {y + 6}", 3, Cloth(lace, lace), line=0.8, round_ends=True)


def ankle_boots(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(1.06, (0, 206))
    del dice
    pair(pen, lambda: _boot(pen, look, shaft=104, wide=0))


def knee_boots(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(0.78, (-4, 128))
    del dice
    pair(pen, lambda: _boot(pen, look, shaft=-80, wide=-14), apart=(92, -34))


def rain_boots(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(0.94, (-6, 186))
    del dice

    def one() -> None:
        cloth = look.cloth
        top = 36 if look.cut["height"] == "tall" else 112
        upper = (
            f"M-142 262C-148 228 -120 212 -88 206C-62 200 -54 184 -54 160L-58 {top}Q8 {top + 12} 78 {top}"
            "L80 150C82 196 98 230 104 262Z"
        )
        pen.flat(f"M-58 {top}Q8 {top - 12} 78 {top}Q8 {top + 12} -58 {top}Z", toned(cloth.colour, -0.22), line=1.3)
        pen.piece(upper, cloth, across=((-60, 140), (84, 150)), folds=[Fold("M-50 176Q-20 196 30 190", 0.3, 7), Fold("M-44 160Q0 176 60 166", 0.2, 6), Fold(f"M-34 {top + 24}L-36 150", -0.7, 9), Fold("M-120 232Q-96 218 -74 214", -0.7, 8)])
        pen.band(f"M-57 {top + 16}Q8 {top + 28} 78 {top + 16}", 7, look.trim)
        dark = Cloth(toned(look.trim.colour, -0.12), look.trim.colour, sheen=0.8)
        pen.piece("M-148 254C-152 272 -148 284 -130 284L-20 284L-12 278L32 278L38 290L104 290C110 284 110 268 106 254C60 264 -90 264 -148 254Z", dark, rim=0.5)
        if look.has("buckle"):
            pen.band(f"M50 {top + 44}L80 {top + 40}", 6, look.trim)
            pen.metal(box(50, top + 37, 10, 13, 2) + box(53, top + 40, 4, 7, 1), look.metal_code)

    pair(pen, one, apart=(78, -34))


def _boot(pen: Pen, look: Look, *, shaft: float, wide: float) -> None:
    cloth, heel = look.cloth, look.cut["heel"]
    rise = {"flat": 12, "block heel": 46, "stiletto heel": 62, "chunky sole": 22}[heel]
    ground = 292.0
    seat = ground - rise
    dark = LEATHER_SOLE if look.colour not in ("black", "brown", "navy", "burgundy") else "#1d1a1b"
    left, right = -50 - wide * 0.4, 82 + wide * 0.6
    low = ground - 12
    upper = (
        f"M-144 {low}C-150 {low - 22} -132 {low - 36} -104 {low - 44}C-72 {low - 54} -54 {low - 78} -50 {low - 110}"
        f"L{left} {shaft}Q16 {shaft + 10} {right} {shaft}L{86 + wide * 0.2:.1f} {low - 118}"
        f"C88 {seat - 60} 104 {seat - 36} 106 {seat}Q40 {seat + 4} 0 {low - 4 - rise * 0.18:.1f}Q-40 {low + 4} -144 {low}Z"
    )
    pen.flat(f"M{left} {shaft}Q16 {shaft - 10} {right} {shaft}Q16 {shaft + 10} {left} {shaft}Z", toned(cloth.colour, -0.18), line=1.2)
    if heel == "stiletto heel":
        pen.piece(f"M70 {seat - 6}L108 {seat - 10}C108 {seat + 14} 100 {seat + 30} 98 {ground}L90 {ground}C88 {seat + 26} 80 {seat + 14} 66 {seat + 8}Z", Cloth(dark, dark, sheen=1.3), rim=0.6)
    elif heel != "chunky sole":
        pen.piece(f"M58 {seat - 6}L108 {seat - 8}L104 {ground}L62 {ground}Z", Cloth(dark, dark, sheen=1.2), rim=0.6)
    folds = [Fold(f"M-52 {low - 84}Q-20 {low - 66} 36 {low - 84}", 0.32, 7), Fold(f"M-50 {low - 104}Q0 {low - 90} 56 {low - 106}", 0.24, 6)]
    if shaft < 60:
        folds += [Fold(f"M{left + 6} {low - 140}Q0 {low - 122} 60 {low - 134}", 0.26, 6), Fold(f"M{left + 24} {shaft + 20}L-26 {low - 150}", -0.5, 10)]
    pen.piece(upper, cloth, across=((left - 4, 150), (right + 4, 156)), folds=folds)
    _boot_details(pen, look, shaft=shaft, low=low, left=left, right=right, seat=seat)
    if heel == "chunky sole":
        pen.piece(f"M-150 {low - 6}C-156 {ground} -148 {ground + 6} -130 {ground + 6}L108 {ground + 6}L110 {seat - 8}C60 {seat + 4} -60 {low + 6} -150 {low - 6}Z", Cloth(dark, dark), rim=0.5)
        for x in range(-136, 104, 18):
            pen.seam(f"M{x} {ground - 6}L{x} {ground + 4}", Cloth(dark, dark))
    else:
        pen.piece(f"M-148 {low - 4}C-152 {ground} -146 {ground} -134 {ground}L-44 {ground}C-10 {ground - 2} 30 {seat + 12} 66 {seat + 4}L106 {seat - 2}L106 {seat - 8}C60 {seat - 4} 10 {low - 10 - rise * 0.18:.1f} -40 {low}Q-100 {low + 2} -148 {low - 4}Z", Cloth(dark, dark), rim=0.4, line=1.2)


def _boot_details(pen: Pen, look: Look, *, shaft: float, low: float, left: float, right: float, seat: float) -> None:
    cloth = look.cloth
    if look.has("elastic sides"):
        pen.piece(f"M4 {shaft + 6}L40 {shaft + 5}C42 {low - 120} 36 {low - 92} 22 {low - 84}C8 {low - 92} 4 {low - 120} 4 {shaft + 6}Z", Cloth(toned(cloth.colour, -0.12), cloth.colour, texture="ribbed"), rim=0.5, line=1.1)
        pen.band(f"M{right - 8} {shaft + 3}L{right + 2} {shaft - 14}L{right + 6} {shaft + 2}", 4, cloth.bare())
    if look.has("laces"):
        lace = toned(cloth.colour, -0.28) if look.colour not in ("black", "navy", "brown") else "#d9c7a3"
        count = 8 if shaft < 60 else 5
        for k in range(count):
            y = low - 66 - (low - 74 - shaft) * k / count
            x = left + 4 + max(0, 22 - k * 14)
            pen.band(f"M{x - 2} {y:.1f}L{x + 24} {y - 6:.1f}", 3.2, Cloth(lace, lace), line=0.8, round_ends=True)
            pen.dot(x + 25, y - 6, 2, look.metal_code)
        pen.seam(f"M{left + 32} {shaft + 4}L{left + 33} {low - 84}C{left + 30} {low - 64} {left} {low - 56} {left - 20} {low - 46}", cloth)
    if look.has("zip"):
        pen.ink(f"M30 {shaft + 8}L34 {seat - 26}", look.metal_code, width=3, dashes="1.4 1.2")
        pen.metal(box(28, shaft + 8, 4, 12, 2), look.metal_code)
    if look.has("buckle"):
        y = low - 96
        pen.band(f"M{left + 2} {y + 4}Q10 {y + 14} 86 {y - 6}", 9, cloth.bare())
        pen.metal(box(28, y, 14, 15, 2) + box(32, y + 4, 6, 7, 1), look.metal_code)
    pen.stitch(f"M{left + 3} {shaft + 8}Q16 {shaft + 18} {right - 3} {shaft + 8}", cloth)


def heels(pen: Pen, look: Look, dice: random.Random) -> None:
    strapped = look.has("ankle strap")
    pen.frame(1.0 if strapped else 1.1, (0, 196 if strapped else 214))
    del dice
    pair(pen, lambda: _pump(pen, look), apart=(56, -86))


def _pump(pen: Pen, look: Look) -> None:
    cloth, heel = look.cloth, look.cut["heel"]
    lift = 196 if heel != "kitten heel" else 228
    ground = 290.0
    back = lift - 58
    inside = toned(cloth.colour, 0.2, 0.4) if look.colour != "white" else "#e9d9c4"
    if heel == "block heel":
        pen.piece(f"M74 {lift + 6}L122 {lift - 12}L120 {ground}L84 {ground}Z", cloth.bare(), rim=0.7)
    else:
        thin = 6 if heel == "stiletto heel" else 9
        pen.piece(f"M66 {lift + 14}C90 {lift + 4} 108 {lift - 4} 124 {lift - 14}C126 {lift + 12} 116 {lift + 40} 112 {ground}L{112 - thin} {ground}C104 {lift + 50} 96 {lift + 26} 66 {lift + 14}Z", cloth.bare(), rim=0.7)
    pen.flat(f"M-54 250C-20 226 40 {lift} 118 {back}C112 {back + 30} 60 {lift + 20} -30 258Z", inside, line=1.1)
    toe = "M-150 282C-158 276 -140 264 -118 256" if look.cut["toe"] == "pointed toe" else "M-136 284C-146 268 -132 254 -108 248"
    upper = (
        f"{toe}C-94 246 -74 246 -54 250C-24 258 30 {lift + 26} 76 {back + 26}C92 {back + 8} 108 {back - 4} 120 {back}"
        f"C128 {back + 24} 130 {lift - 26} 122 {lift - 6}C84 {lift + 12} 50 {lift + 40} 4 264C-24 282 -60 288 -96 288L-134 288Z"
    )
    pen.piece(upper, cloth, folds=[Fold("M-134 276Q-104 258 -72 260", -0.6, 8)])
    if look.has("ankle strap"):
        pen.band(f"M120 {back + 6}C124 {back - 10} 123 {back - 24} 119 {back - 36}", 6, cloth.bare())
        pen.band(oval(84, back - 38, 37, 12), 5, cloth.bare())
        pen.metal(box(56, back - 34, 8, 10, 2), look.metal_code)
    if look.has("bow"):
        tied_bow(pen, look.trim, x=-82, y=250, size=21)
    pen.ink(f"M-134 289L-90 289C-56 289 -22 284 6 266C52 242 86 {lift + 14} 122 {lift - 5}", "#3a2a22" if look.colour == "red" else "#b3262b" if look.has("contrast trim") and look.second == "red" else "#3a2a22", width=2.4)


def ballet_flats(pen: Pen, look: Look, dice: random.Random) -> None:
    """From above, side by side."""
    pen.frame(1.12, (0, 200))
    del dice
    for side in (-1, 1):
        with pen.placed(side * 62, 0, turn=side * 5, flip=side < 0):
            toe = "M-6 62C26 62 46 96 46 150C46 196 38 222 37 262C36 304 24 334 2 334C-20 334 -33 304 -34 262C-35 222 -46 196 -46 150C-46 96 -32 62 -6 62Z"
            if look.cut["toe"] == "pointed toe":
                toe = "M-10 50C18 66 45 104 46 156C46 196 38 222 37 262C36 304 24 334 2 334C-20 334 -33 304 -34 262C-35 222 -46 196 -46 156C-45 104 -34 72 -10 50Z"
            pen.piece(toe, look.cloth, folds=[Fold("M-30 110Q-20 84 0 76", -0.5, 9)])
            opening = "M0 134C22 134 34 154 33 186C32 214 28 236 28 262C28 296 18 320 2 320C-14 320 -25 296 -25 262C-25 236 -33 214 -34 186C-34 154 -22 134 0 134Z"
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
            sole = "M-8 54C28 54 52 84 52 134C52 176 40 204 40 252C40 304 26 342 2 342C-22 342 -38 304 -38 252C-38 204 -50 176 -50 134C-50 84 -38 54 -8 54Z"
            pen.piece(sole, Cloth(toned(bed, -0.2), bed), rim=0.8)
            pen.piece(sole.replace("54C28 54 52 84 52 134", "62C24 62 45 90 45 136").replace("M-8 54", "M-8 62"), Cloth(bed, bed), rim=1.2, line=1.0)
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
                pen.band("M-40 244C-44 214 -20 206 2 208C26 206 46 216 42 244C42 290 30 318 2 320C-26 318 -38 290 -40 244", 8, strap)
                pen.metal(box(32, 226, 12, 14, 2) + box(35, 229, 6, 8, 1), look.metal_code)
