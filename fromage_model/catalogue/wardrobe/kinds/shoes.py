"""Shoes and boots, seen from the side, as pairs: toes to the left, the second shoe behind the first."""

import random
from collections.abc import Callable
from dataclasses import replace

from fromage_model.catalogue.wardrobe.draw.cloth import Cloth
from fromage_model.catalogue.wardrobe.draw.light import Fold
from fromage_model.catalogue.wardrobe.draw.outline import box, oval
from fromage_model.catalogue.wardrobe.draw.pen import Pen
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
    pen.flat(
        f"M8 {top + 14}Q50 {top + 24} 104 {top + 2}L100 {top + 26}L20 {top + 34}Z", toned(cloth.colour, -0.2), line=1.0
    )
    upper = (
        f"M-146 262C-150 236 -128 222 -98 216C-72 208 -46 192 -28 172L12 {top + 8}"
        f"C40 {top + 26} 74 {top + 26} 96 {top - 2}"
        f"C104 {top - 8} 118 {top - 8} 121 {top + 4}C114 {top + 34} 118 218 138 262Z"
    )
    pen.piece(upper, cloth, folds=[Fold("M-96 222Q-70 226 -52 200", 0.26, 6), Fold("M-76 232Q-52 226 -38 204", 0.2, 5)])
    pen.piece(
        "M-148 262C-150 238 -132 226 -108 221C-92 228 -88 246 -90 262Z",
        look.cloth.of(RUBBER) if look.has("rubber toe cap") else trim,
        rim=0.6,
        line=1.2,
    )
    pen.piece(
        (
            f"M94 {top + 1}C104 {top - 8} 118 {top - 8} 121 {top + 4}C114 {top + 34} 118 218 138 262L98 262"
            f"C102 226 92 {top + 50} 94 {top + 1}Z"
        ),
        trim,
        rim=0.6,
        line=1.2,
    )
    pen.piece(
        f"M-58 236C-42 226 -24 200 -8 176L26 {top + 14}L12 {top + 6}L-28 172C-42 190 -60 200 -76 208Z",
        trim if look.has("contrast trim") else cloth.plain(),
        rim=0.4,
        line=1.1,
    )
    if look.has("side stripes"):
        for stripe in (18, 36, 54):
            pen.piece(f"M{stripe + 14} 196L{stripe + 22} 196L{stripe} 260L{stripe - 10} 260Z", trim, rim=0.2, line=0.9)
    rows = 6 if high else 4
    for row in range(rows):
        k = row / (rows - 1)
        x, y = -50 + k * 66, 212.0 - k * (212 - top - 18)
        pen.band(
            f"M{x - 8:.1f} {y - 3:.1f}L{x + 15:.1f} {y + 5:.1f}", 4.2, Cloth(lace, lace), line=0.8, round_ends=True
        )
    sole = (
        "M-150 256C-154 274 -148 286 -128 286L126 286C142 286 146 272 142 254C100 264 60 264 0 264C-60 264 "
        "-110 262 -150 256Z"
    )
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
    pen.piece(
        "M-66 262C-56 236 -40 212 -20 182C-10 174 2 170 10 170C16 171 22 175 25 180C6 204 -12 236 -20 264Z",
        cloth,
        rim=0.7,
        line=1.2,
    )
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
    pen.piece(
        "M-46 244C-38 214 -20 186 0 162C10 154 24 156 32 163C30 196 20 234 12 268L-40 268Z",
        trim if look.has("contrast trim") else cloth,
        rim=0.6,
        line=1.2,
    )
    pen.piece(
        "M88 184C96 178 102 170 106 162C114 152 123 158 125 174C128 208 134 246 138 266L90 268C96 240 96 212 88 184Z",
        trim,
        rim=0.6,
        line=1.2,
    )
    if look.has("brogue holes"):
        for x, y in [(-106 + 2.2 * k, 234 + 4.6 * k) for k in range(7)] + [
            (-38 + 6 * k, 236 - 12 * k) for k in range(6)
        ]:
            pen.dot(x, y, 1.2, toned(cloth.colour, -0.3))
    lace = toned(cloth.colour, -0.25) if look.colour != "black" else "#55535a"
    for k in range(4):
        x, y = -30 + k * 12, 212 - k * 14
        pen.band(f"M{x - 8} {y - 2}L{x + 13} {y + 6}", 3, Cloth(lace, lace), line=0.8, round_ends=True)


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
        pen.piece(
            (
                f"M66 {lift + 14}C90 {lift + 4} 108 {lift - 4} 124 {lift - 14}C126 {lift + 12} 116 "
                f"{lift + 40} 112 {ground}L{112 - thin} {ground}C104 {lift + 50} 96 {lift + 26} 66 {lift + 14}"
                "Z"
            ),
            cloth.bare(),
            rim=0.7,
        )
    pen.flat(f"M-54 250C-20 226 40 {lift} 118 {back}C112 {back + 30} 60 {lift + 20} -30 258Z", inside, line=1.1)
    toe = (
        "M-150 282C-158 276 -140 264 -118 256"
        if look.cut["toe"] == "pointed toe"
        else "M-136 284C-146 268 -132 254 -108 248"
    )
    upper = (
        f"{toe}C-94 246 -74 246 -54 250C-24 258 30 {lift + 26} 76 {back + 26}C92 {back + 8} 108 {back - 4} 120 {back}"
        f"C128 {back + 24} 130 {lift - 26} 122 {lift - 6}C84 {lift + 12} 50 {lift + 40} 4 264C-24 282 -60 "
        "288 -96 288L-134 288Z"
    )
    pen.piece(upper, cloth, folds=[Fold("M-134 276Q-104 258 -72 260", -0.6, 8)])
    if look.has("ankle strap"):
        pen.band(f"M120 {back + 6}C124 {back - 10} 123 {back - 24} 119 {back - 36}", 6, cloth.bare())
        pen.band(oval(84, back - 38, 37, 12), 5, cloth.bare())
        pen.metal(box(56, back - 34, 8, 10, 2), look.metal_code)
    if look.has("bow"):
        tied_bow(pen, look.trim, x=-82, y=250, size=21)
    pen.ink(
        f"M-134 289L-90 289C-56 289 -22 284 6 266C52 242 86 {lift + 14} 122 {lift - 5}",
        "#3a2a22"
        if look.colour == "red"
        else "#b3262b"
        if look.has("contrast trim") and look.second == "red"
        else "#3a2a22",
        width=2.4,
    )
