"""Hats, caps, beanies, berets, headbands."""

import math
import random
from dataclasses import replace

from fromage_model.catalogue.wardrobe.draw.light import Fold
from fromage_model.catalogue.wardrobe.draw.outline import oval, whole
from fromage_model.catalogue.wardrobe.draw.pen import Pen
from fromage_model.catalogue.wardrobe.draw.shades import toned
from fromage_model.catalogue.wardrobe.look import Look
from fromage_model.catalogue.wardrobe.parts.trims import tied_bow


def _ribbon(look: Look) -> str:
    return look.trim.colour if look.has("contrast trim") else toned(look.cloth.colour, -0.28)


def sun_hat(pen: Pen, look: Look, dice: random.Random) -> None:
    """A dome over a brim that is seen from above the front."""
    pen.frame(1.05, (0, 204))
    cloth = look.cloth
    wide = look.cut["brim"] == "wide brim"
    half = 176 if wide else 142
    brim = (
        f"M{-half} 238C{-half} 196 {-half * 0.5:.0f} 178 0 178C{half * 0.5:.0f} 178 {half} 196 {half} 238"
        f"C{half - 8} 276 {half * 0.55:.0f} 300 0 302C{-half * 0.55:.0f} 300 {-half + 8} 276 {-half} 238Z"
    )
    pen.piece(
        brim,
        cloth,
        folds=[
            Fold(f"M{x * 0.6:.0f} 262Q{x * 0.8:.0f} 274 {x} {286 - abs(x) * 0.16:.0f}", 0.2, 9)
            for x in (-120, -40, 50, 118)
        ],
    )
    pen.shade("M-92 236C-80 262 80 262 96 238", cloth, within=brim, width=18, depth=0.6)
    crown = "M-88 232C-90 180 -82 120 -48 104C-20 94 20 94 48 104C82 120 90 180 88 232C60 256 -60 256 -88 232Z"
    pen.piece(crown, cloth, folds=[Fold("M-34 112Q0 128 38 110", 0.22, 8)])
    band = replace(look.cloth.bare(), colour=_ribbon(look))
    pen.piece(
        "M-88.5 232C-88 222 -88 210 -86.5 196C-60 220 60 220 86.5 196C88 210 88 222 88.5 232C60 256 -60 256 -88.5 232Z",
        band,
        rim=0.6,
        line=1.2,
    )
    if look.has("bow"):
        tied_bow(pen, band, x=66, y=226, size=26, tails=38)
    for place in range(1, 4):
        k = 1 - place * 0.1
        pen.seam(
            (
                f"M{-half * k:.0f} {240}C{-half * k + 6:.0f} {240 + 36 * k:.0f} {-half * 0.5 * k:.0f} "
                f"{240 + 58 * k:.0f} 0 {240 + 59 * k:.0f}C{half * 0.5 * k:.0f} {240 + 58 * k:.0f} "
                f"{half * k - 6:.0f} {240 + 36 * k:.0f} {half * k:.0f} 240"
            ),
            cloth,
            opacity=0.35,
        )
    del dice


def fedora(pen: Pen, look: Look, dice: random.Random) -> None:
    """A pinched crown, a brim that dips in front."""
    del dice
    pen.frame(1.12, (0, 200))
    cloth = look.cloth
    back = "M-158 214C-120 178 120 178 158 214L120 240L-120 240Z"
    pen.piece(back, replace(cloth, colour=toned(cloth.colour, -0.08)), rim=0.6)
    crown = (
        "M-94 226C-98 180 -92 132 -72 104C-58 92 -36 102 -10 104C14 104 44 86 64 100C88 124 98 182 94 226C60 "
        "244 -60 244 -94 226Z"
    )
    pen.piece(
        crown,
        cloth,
        folds=[
            Fold("M-58 104Q-20 128 -8 170", 0.5, 12),
            Fold("M52 102Q28 124 20 160", 0.34, 9),
            Fold("M-10 108Q0 124 40 106", 0.3, 7),
        ],
    )
    band = replace(cloth.bare(), colour=_ribbon(look))
    pen.piece(
        "M-95 228C-97 214 -97 202 -96 190C-60 210 60 210 96 190C97 202 97 214 95 228C60 246 -60 246 -95 228Z",
        band,
        rim=0.5,
        line=1.2,
    )
    if look.has("feather"):
        pen.piece("M70 214C66 176 74 132 98 106C108 128 102 176 82 216Z", cloth.bare().of("#b5562f"), rim=0.6, line=1.1)
        pen.seam("M76 214C78 180 86 140 97 110", cloth.of("#b5562f"))
    else:
        tied_bow(pen, band, x=76, y=216, size=15)
    brim = (
        "M-160 212C-166 226 -140 258 -70 268C-30 273 30 273 70 268C140 258 166 226 160 212C128 238 70 244 0 "
        "244C-70 244 -128 238 -160 212Z"
    )
    pen.piece(brim, cloth, folds=[Fold("M-140 236Q0 276 140 236", -0.4, 8)])
    pen.stitch("M-156 222C-130 252 -60 264 0 264C60 264 130 252 156 222", cloth)


def bucket_hat(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(1.2, (0, 204))
    cloth = look.cloth
    brim = "M-98 206C-124 236 -138 262 -142 284C-90 316 90 316 142 284C138 262 124 236 98 206C60 226 -60 226 -98 206Z"
    pen.piece(
        brim,
        cloth,
        folds=[
            Fold(f"M{x * 0.7:.0f} 224L{x} {300 - abs(x) * 0.1:.0f}", 0.24, 8, opens=True)
            for x in (-104, -44, 30, 96 + dice.uniform(-8, 8))
        ],
    )
    for k in (0.25, 0.5, 0.75):
        y = 206 + 78 * k
        pen.stitch(
            f"M{-98 - 44 * k:.0f} {y:.0f}C-60 {y + 22 + 8 * k:.0f} 60 {y + 22 + 8 * k:.0f} {98 + 44 * k:.0f} {y:.0f}",
            cloth,
        )
    crown = "M-98 208C-96 168 -88 134 -76 114C-40 102 40 102 76 114C88 134 96 168 98 208C60 228 -60 228 -98 208Z"
    pen.piece(
        crown,
        look.trim if look.has("contrast trim") else cloth,
        folds=[Fold("M-60 122Q-70 160 -66 200", 0.24, 8), Fold("M40 124Q58 160 60 204", 0.24, 8)],
    )
    pen.seam("M-76 116C-40 128 40 128 76 116", cloth, width=1.3)
    pen.seam("M-98 207C-60 227 60 227 98 207", cloth, width=1.3)
    for side in (1, -1):
        pen.dot(side * 62, 168, 3, look.metal_code)


def cap(pen: Pen, look: Look, dice: random.Random) -> None:
    """A baseball cap from the side: six panels, a button, a peak to the left."""
    del dice
    pen.frame(1.06, (-26, 206))
    cloth, trim = look.cloth, look.trim
    peak_cloth = trim if look.has("contrast trim") else cloth.plain()
    crown = "M-92 258C-98 190 -66 126 16 124C92 124 134 178 134 262C96 276 -40 276 -92 258Z"
    pen.piece(crown, cloth, folds=[Fold("M18 130Q-20 190 -24 266", 0.28, 7), Fold("M80 146Q98 200 98 266", 0.22, 8)])
    for line in ("M16 124C-24 168 -34 220 -34 268", "M16 124C58 164 76 218 76 270"):
        pen.seam(line, cloth, width=1.3)
        pen.stitch(line.replace("M16 124", "M20 126"), cloth)
    for x, y in ((-50, 184), (22, 176), (92, 192)):
        pen.dot(x, y, 2.6, cloth.second if look.has("contrast trim") else toned(cloth.colour, -0.15))
    pen.piece(oval(16, 122, 9, 5), peak_cloth, rim=0.5, line=1.1)
    peak = (
        "M-92 256C-124 244 -168 248 -186 268C-190 280 -180 288 -164 286C-124 276 -60 280 -6 272C-40 272 -70 "
        "268 -92 256Z"
    )
    pen.piece(peak, peak_cloth, rim=1.0)
    for k in (0.4, 0.75):
        pen.stitch(
            f"M-94 {258 + 8 * k:.0f}C-124 {248 + 12 * k:.0f} -160 {252 + 12 * k:.0f} -178 {270 + 6 * k:.0f}", peak_cloth
        )
    if look.has("emblem"):
        pen.piece(
            "M-70 206L-44 200L-42 232L-68 238Z",
            look.trim if look.has("contrast trim") else cloth.of("#f4f0e8"),
            rim=0.3,
            line=1.0,
        )


def beanie(pen: Pen, look: Look, dice: random.Random) -> None:
    pen.frame(1.16, (0, 186))
    cloth, trim = look.cloth, look.trim
    if look.has("pompom"):
        _pompom(pen, look)
    crown = "M-96 250C-102 176 -74 96 0 92C74 96 102 176 96 250Z"
    pen.piece(
        crown,
        cloth,
        folds=[
            Fold(f"M{x * 0.3:.0f} 104Q{x * 0.9:.0f} 150 {x} 240", 0.2, 8)
            for x in (-70, -26, 24, 68 + dice.uniform(-6, 6))
        ],
    )
    cuff = "M-101 232C-60 246 60 246 101 232L103 288C60 304 -60 304 -103 288Z"
    pen.piece(cuff, replace(trim if look.has("contrast trim") else cloth.plain(), texture="ribbed"), rim=1.0)
    if look.has("label"):
        pen.flat("M30 262L64 258L65 282L31 286Z", "#c9a877", line=0.9)
        pen.stitch("M33 265L62 261", cloth.of("#c9a877"))


def _pompom(pen: Pen, look: Look) -> None:
    dice = random.Random("pompom")
    colour = look.trim.colour if look.has("contrast trim") else look.cloth.colour
    pen.piece(oval(0, 78, 33, 31), look.cloth.bare().of(colour), rim=1.2, line=0.8)
    for _ in range(110):
        turn, reach = dice.uniform(0, 6.28), dice.uniform(12, 35)
        x, y = math.cos(turn) * reach, 78 + math.sin(turn) * reach * 0.94
        pen.ink(
            f"M{x * 0.6:.1f} {78 + (y - 78) * 0.6:.1f}L{x:.1f} {y:.1f}",
            toned(colour, dice.choice((-0.12, 0.06, 0.12))),
            width=2.2,
            opacity=0.8,
        )


def beret(pen: Pen, look: Look, dice: random.Random) -> None:
    del dice
    pen.frame(1.16, (0, 204))
    cloth = look.cloth
    pen.band("M6 128C6 118 10 112 8 104", 6, cloth.bare(), round_ends=True)
    crown = (
        "M-92 244C-140 234 -164 206 -150 176C-128 138 -60 122 6 126C84 130 146 158 148 202C148 228 116 246 "
        "84 252C30 262 -40 258 -92 244Z"
    )
    pen.piece(
        crown,
        cloth,
        folds=[
            Fold("M-138 190Q-80 214 -20 206", 0.24, 10),
            Fold("M124 184Q70 214 30 226", 0.26, 9),
            Fold("M-100 160Q-30 140 40 146", -0.35, 12),
        ],
    )
    pen.piece(
        "M-92 242C-40 258 34 262 84 250L82 272C30 284 -42 280 -90 264Z",
        replace(look.trim, texture="ribbed") if look.has("contrast trim") else cloth,
        rim=0.8,
    )
    if look.has("bow"):
        tied_bow(pen, look.trim, x=66, y=262, size=22)


def headband(pen: Pen, look: Look, dice: random.Random) -> None:
    """An arch, padded or knotted."""
    pen.frame(1.18, (0, 204))
    cloth = look.cloth
    half = "M0 94C72 94 116 150 120 232C121 262 114 296 104 316L84 310C92 290 96 262 94 236C90 172 54 134 0 134"
    folds = [
        Fold(f"M{s * x1} {y1}L{s * x2} {y2}", 0.26, 6)
        for s in (1, -1)
        for x1, y1, x2, y2 in ((50, 108, 40, 142), (92, 150, 72, 170), (114, 214, 92, 220))
    ]
    pen.piece(whole(half), cloth, folds=folds)
    if look.cut["style"] == "knotted":
        pen.piece(
            "M-22 86C-8 80 10 80 24 88C32 104 30 128 22 142C8 148 -10 146 -22 140C-32 126 -32 102 -22 86Z",
            cloth,
            folds=[Fold("M-16 90Q2 112 18 138", 0.4, 7), Fold("M16 90Q-2 112 -16 136", 0.3, 6)],
        )
    if look.has("bow"):
        tied_bow(pen, look.trim, x=0, y=104, size=44)
    del dice
