"""Handbags, totes, crossbody bags, clutches, backpacks."""

import random
from dataclasses import replace

from fromage_model.catalogue.wardrobe.draw.light import Fold
from fromage_model.catalogue.wardrobe.draw.outline import box, mirror, whole
from fromage_model.catalogue.wardrobe.draw.pen import Pen
from fromage_model.catalogue.wardrobe.look import Look
from fromage_model.catalogue.wardrobe.parts.trims import patch_pocket, tied_bow


def handbag(pen: Pen, look: Look, dice: random.Random) -> None:
    """Structured, with two short handles and a clasp."""
    del dice
    pen.frame(1.14, (0, 204))
    cloth, trim = look.cloth, look.trim
    for dx, dy in ((6, -8), (0, 0)):
        with pen.placed(dx, dy):
            pen.band("M-52 176C-56 96 -44 62 0 62C44 62 56 96 52 176", 8.5, trim.bare())
    boxy = look.cut["shape"] == "boxy"
    body = (
        whole("M0 166L112 166Q122 166 123 176L128 318Q128 330 116 331L0 332")
        if boxy
        else whole("M0 164C60 164 92 168 98 176C118 220 136 262 134 300C134 324 122 332 100 332L0 334")
    )
    pen.piece(
        body,
        cloth,
        folds=[Fold("M-100 320Q0 300 100 322", 0.25, 7), Fold("M-84 190L-96 300", 0.2, 8)]
        if not boxy
        else [Fold("M-112 318Q0 312 112 320", 0.25, 7)],
    )
    if look.cut["shape"] == "boxy":
        flap = whole("M0 160L116 160Q122 161 122 168L116 228Q112 240 92 244L0 250")
        pen.shade("M-118 244Q0 264 118 244", cloth, within=body, width=10, depth=0.5)
        pen.piece(flap, trim if look.has("contrast trim") else cloth, rim=0.7)
        pen.stitch("M-110 228Q-108 236 -90 239L0 244L90 239Q108 236 110 228", cloth)
        pen.metal(box(-14, 234, 28, 24, 4) + box(-8, 240, 16, 12, 2), look.metal_code)
    else:
        top = whole("M0 158C56 158 90 162 98 172C96 182 94 188 92 194C60 200 30 202 0 202")
        pen.piece(top, trim if look.has("contrast trim") else cloth.plain(), rim=0.6)
        pen.metal(box(-10, 190, 20, 22, 5), look.metal_code)
    for side in (1, -1):
        pen.metal(box(side * 52 - 6, 158, 12, 18, 3) + box(side * 52 - 3, 161, 6, 9, 2), look.metal_code)
        pen.piece(box(side * 52 - 7, 172, 14, 22, 4), trim.bare(), rim=0.4, line=1.1)
    if look.has("tassel"):
        _tassel(pen, look, -70, 196)
    if look.has("bow"):
        tied_bow(pen, trim, x=0, y=222, size=34)


def _tassel(pen: Pen, look: Look, x: float, y: float) -> None:
    pen.band(f"M{x} {y - 20}L{x} {y}", 3, look.trim.bare())
    pen.piece(f"M{x - 6} {y}L{x + 6} {y}L{x + 11} {y + 46}L{x - 11} {y + 46}Z", look.trim.bare(), rim=0.5, line=1.1)
    for dx in (-6, -2, 2, 6):
        pen.seam(f"M{x + dx * 0.6:.1f} {y + 10}L{x + dx * 1.3:.1f} {y + 45}", look.trim)
    pen.metal(box(x - 7, y - 3, 14, 7, 2), look.metal_code)


def tote(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(1.08, (0, 200))
    cloth, trim = look.cloth, look.trim
    if look.material in ("straw", "wicker"):
        _basket(pen, look)
        return
    pen.band("M-46 176C-54 92 -36 38 0 38C36 38 54 92 46 176", 9, trim.bare())
    body = whole("M0 160L106 158L118 344Q118 352 108 353L0 355")
    pen.flat("M-106 158L106 158L104 166L-104 166Z", look.lining, line=1.1)
    pen.piece(
        body,
        cloth,
        folds=[
            Fold(f"M{x} 172Q{x * 1.1:.0f} 240 {x * 1.05 + dice.uniform(-12, 12):.0f} 340", 0.22, 9)
            for x in (-70, 12, 84)
        ]
        + [Fold("M-112 330Q-60 316 -30 340", 0.24, 6)],
    )
    pen.stitch("M-106 172L106 172", cloth)
    pen.band("M-52 196C-60 110 -42 52 0 52C42 52 60 110 52 196", 9, trim.bare())
    for side in (1, -1):
        pen.piece(box(side * 52 - 8, 180, 16, 26, 2), trim.bare(), rim=0.4, line=1.1)
        pen.stitch(f"M{side * 52 - 5} 184L{side * 52 + 5} 202M{side * 52 + 5} 184L{side * 52 - 5} 202", trim)
    if look.has("pocket"):
        patch_pocket(pen, cloth.plain(), x=-38, y=238, width=76, height=70, point=0)
    if look.has("contrast trim"):
        pen.piece(whole("M0 318L115.5 316L118 344Q118 352 108 353L0 355"), trim, rim=0.5, line=1.2)


def _basket(pen: Pen, look: Look) -> None:
    cloth = look.cloth
    strap = look.trim.bare() if look.has("contrast trim") else cloth.bare().of("#8a5a38")
    pen.band("M-56 190C-60 104 -44 60 0 60C44 60 60 104 56 190", 9, strap)
    pen.flat("M-122 178Q0 158 122 178Q0 196 -122 178Z", look.lining, line=1.4)
    pen.piece("M-124 178Q0 200 124 178C122 240 112 300 92 334Q0 354 -92 334C-112 300 -122 240 -124 178Z", cloth)
    pen.band("M-124 178Q0 200 124 178", 8, cloth)
    pen.band("M-64 206C-66 120 -48 76 0 76C48 76 66 120 64 206", 9, strap)
    for side in (1, -1):
        pen.piece(box(side * 64 - 8, 192, 16, 34, 6), strap, rim=0.4, line=1.1)
        pen.dot(side * 64, 216, 3, look.metal_code)


def crossbody(pen: Pen, look: Look, dice: random.Random) -> None:
    """Small, with a flap, on a long strap."""
    del dice
    pen.frame(1.1, (0, 200))
    cloth, trim = look.cloth, look.trim
    strap = "M-88 232C-120 150 -96 46 4 44C104 44 120 150 88 232"
    if look.has("chain strap"):
        pen.ink(strap, "#5a5248", width=7.5)
        pen.ink(strap, look.metal_code, width=5.6, dashes="6 2.6")
    else:
        pen.band(strap, 7, trim.bare())
    round_shape = look.cut["shape"] == "round"
    if round_shape:
        body = whole("M0 186C52 186 94 220 94 268C94 318 52 350 0 350")
        pen.piece(body, cloth)
        pen.band(body, 5, trim.bare())
        pen.ink("M-88 238C-64 200 -36 190 0 190C36 190 64 200 88 238", look.metal_code, width=3.4, dashes="1.6 1.2")
        pen.metal(box(76, 232, 8, 18, 3), look.metal_code)
        return
    body = whole("M0 222L88 222Q96 222 97 232L100 326Q100 342 84 343L0 344")
    pen.piece(body, cloth)
    flap = whole("M0 214L90 214Q98 215 98 224C98 262 84 286 56 294Q28 300 0 300")
    pen.shade("M-98 256C-90 292 -40 308 0 308C40 308 90 292 98 256", cloth, within=body, width=9, depth=0.5)
    pen.piece(flap, trim if look.has("contrast trim") else cloth, rim=0.8)
    pen.stitch("M-92 228C-92 260 -80 280 -54 288Q-28 294 0 294Q28 294 54 288C80 280 92 260 92 228", cloth)
    pen.metal(box(-12, 286, 24, 22, 6) + box(-6, 292, 12, 10, 3), look.metal_code)
    for side in (1, -1):
        pen.metal(box(side * 90 - 5, 222, 10, 14, 3), look.metal_code)
    if look.has("tassel"):
        _tassel(pen, look, 62, 262)


def clutch(pen: Pen, look: Look, dice: random.Random) -> None:
    del dice
    pen.frame(1.18, (0, 210))
    cloth = look.cloth
    if look.cut["shape"] == "envelope":
        body = whole("M0 138L134 138Q142 138 142 147L142 270Q142 280 132 280L0 280")
        pen.piece(body, cloth)
        flap = whole("M0 136L136 136Q143 136 142 145L16 234Q8 240 0 240")
        pen.shade("M-138 150L-14 244Q0 250 14 244L138 150", cloth, within=body, width=9, depth=0.5)
        pen.piece(flap, look.trim if look.has("contrast trim") else cloth, rim=0.8)
        pen.metal(box(-9, 224, 18, 18, 9), look.metal_code)
    else:
        frame = whole("M0 146C80 144 124 148 134 160L134 172C90 162 40 160 0 160")
        pen.piece(
            whole("M0 152C80 150 124 152 134 164C146 200 148 244 142 272C138 286 124 288 108 288L0 290"),
            cloth,
            folds=[Fold(f"M{x * 0.8:.0f} 168L{x} 210", 0.3, 5) for x in range(-110, 120, 22)],
        )
        pen.metal(frame, look.metal_code)
        for side in (1, -1):
            pen.metal(
                (
                    f"M{side * 2} 147C{side * 2} 136 {side * 12} 130 {side * 12} 140C{side * 12} 146 "
                    f"{side * 8} 148 {side * 2} 147Z"
                ),
                look.metal_code,
            )
    if look.has("bow"):
        tied_bow(pen, look.trim, x=0, y=212, size=46)
    if look.has("wrist strap"):
        pen.band("M138 168C170 180 176 240 150 250C132 254 128 220 136 200", 6, cloth.bare())


def backpack(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(1.06, (0, 200))
    cloth, trim = look.cloth, look.trim
    for side in (1, -1):
        strap = "M66 120C112 140 124 230 104 320"
        pen.band(strap if side == 1 else mirror(strap), 15, trim.plain())
    pen.band("M-24 76C-26 44 26 44 24 76", 8, trim.bare())
    body = whole("M0 62C50 62 84 78 94 118C104 170 108 260 104 316C102 336 92 346 72 347L0 349")
    pen.piece(
        body,
        cloth,
        folds=[Fold(f"M{s * 84} 130Q{s * 94} 220 {s * 90} 330", 0.24, 10) for s in (1, -1)]
        + [Fold(f"M-60 {dice.uniform(150, 166):.0f}Q0 172 50 158", 0.18, 7)],
    )
    if look.cut["closure"] == "flap":
        pen.shade("M-96 196Q0 224 96 196", cloth, within=body, width=11, depth=0.5)
        flap = whole("M0 58C52 58 86 74 96 114C100 140 102 166 100 184Q92 204 0 208")
        pen.piece(flap, cloth, rim=0.9)
        for side in (1, -1):
            pen.band(f"M{side * 42} 176L{side * 42} 238", 12, trim.bare())
            pen.metal(box(side * 42 - 10, 214, 20, 16, 3) + box(side * 42 - 6, 218, 12, 8, 2), look.metal_code)
        pocket = whole("M0 246L70 246Q78 246 79 254L80 322Q80 334 68 334L0 335")
        pen.piece(pocket, cloth, rim=0.6, line=1.2)
        return
    pen.ink("M-92 178C-86 108 -50 82 0 82C50 82 86 108 92 178", "#2f2b2b", width=4)
    pen.ink("M-92 178C-86 108 -50 82 0 82C50 82 86 108 92 178", look.metal_code, width=2.2, dashes="1.4 1.2")
    pen.metal(box(-60, 94, 6, 18, 3), look.metal_code)
    pocket = whole("M0 212C40 212 72 216 78 226L82 318Q82 332 68 333L0 334")
    pen.piece(pocket, trim if look.has("contrast trim") else cloth, rim=0.8, line=1.3)
    pen.ink("M-68 232Q0 220 68 232", look.metal_code, width=2.6, dashes="1.4 1.2")
    pen.metal(box(52, 229, 6, 17, 3), look.metal_code)
    pen.piece(box(-17, 150, 34, 26, 4), replace(cloth.bare().of("#8a5a38"), sheen=1.2), rim=0.4, line=1.0)
