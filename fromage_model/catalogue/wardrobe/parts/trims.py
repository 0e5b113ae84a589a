"""What finishes a garment: bands, collars, plackets, zips, pockets, belts."""

from collections.abc import Sequence

from fromage_model.catalogue.wardrobe.draw.cloth import Cloth
from fromage_model.catalogue.wardrobe.draw.outline import Point, box, mirror, whole
from fromage_model.catalogue.wardrobe.draw.pen import Pen
from fromage_model.catalogue.wardrobe.parts.torso import Torso


def neck_band(pen: Pen, torso: Torso, cloth: Cloth, *, width: float = 7.0) -> None:
    """A rib around the front of the neck."""
    half = torso.neck_edge()
    path = mirror(half).replace("M", "M", 1)
    pen.band(half, width, cloth)
    pen.band(path, width, cloth)
    low = torso.top + torso.depth
    pen.band(f"M-4 {low}L4 {low}" if torso.neckline != "v" else f"M0 {low}L0 {low}", width, cloth, line=0.0)


def hem_band(pen: Pen, torso: Torso, cloth: Cloth, *, height: float = 15.0, tuck: float = 3.0) -> None:
    """A band at the hem, a little narrower than the body above it."""
    y, low, hem = torso.hem_y - 1, torso.hem_y + torso.sag - 1, torso.hem
    pen.piece(
        whole(
            f"M0 {low}Q{hem * 0.5:.1f} {low + 1:.1f} {hem - 0.5:.1f} {y:.1f}"
            f"Q{hem:.1f} {y + height * 0.5:.1f} {hem - tuck:.1f} {y + height:.1f}"
            f"Q{hem * 0.5:.1f} {low + height + 1:.1f} 0 {low + height}"
        ),
        cloth,
        rim=0.6,
    )


def hem_stitch(pen: Pen, torso: Torso, cloth: Cloth, *, up: float = 6.0) -> None:
    y, low, hem = torso.hem_y - up, torso.hem_y + torso.sag - up, torso.hem
    pen.stitch(f"M{-hem + 2} {y}Q{-hem * 0.5:.1f} {low + 1} 0 {low}Q{hem * 0.5:.1f} {low + 1} {hem - 2} {y}", cloth)


def shirt_collar(
    pen: Pen, torso: Torso, cloth: Cloth, *, spread: float = 26, point: float = 34, stand: bool = True
) -> None:
    """Two leaves that fold over a stand and meet in the middle of the front."""
    n, y, low = torso.neck, torso.top, torso.top + torso.depth
    if stand:
        pen.piece(
            whole(
                f"M0 {y + 2}C{n * 0.5:.1f} {y + 2} {n * 0.8:.1f} {y - 3} {n - 3} {y - 9}L{n + 1} {y + 3}L0 {low - 2}"
            ),
            cloth.plain() if cloth.pattern != "plain" else cloth,
            rim=0.5,
        )
        pen.flat(
            whole(
                f"M0 {y + 4}C{n * 0.45:.1f} {y + 4} {n * 0.7:.1f} {y} {n - 7} {y - 5}L{n * 0.5:.1f} "
                f"{low - 8}L0 {low - 1}"
            ),
            "#2a211d",
            line=0,
            opacity=0.3,
        )
    leaf = (
        f"M0.5 {low - 1}L{spread} {y + point}L{n + 9} {y + 11}"
        f"C{n + 6} {y + 3} {n + 2} {y - 5} {n - 4} {y - 10}C{n * 0.72:.1f} {y + 3} {n * 0.3:.1f} "
        f"{low - 14} 0.5 {low - 1}Z"
    )
    for side, path in ((1, leaf), (-1, mirror(leaf))):
        pen.piece(path, cloth, grain=28 * side, rim=0.7)
        inset = f"M{side * 3} {low + 1}L{side * (spread - 1)} {y + point - 5}L{side * (n + 5)} {y + 10}"
        pen.stitch(inset, cloth)


def placket(
    pen: Pen, cloth: Cloth, button: str, *, top: float, bottom: float, count: int, width: float = 12, x: float = 0.0
) -> None:
    """A buttoned strip down the front."""
    pen.piece(box(x - width / 2, top, width, bottom - top), cloth, rim=0.25, line=0.0)
    pen.edge(f"M{x + width / 2} {top}L{x + width / 2} {bottom}", cloth, width=1.2)
    pen.stitch(f"M{x - width / 2 + 1} {top + 2}L{x - width / 2 + 1} {bottom}", cloth)
    buttons(pen, button, x=x, top=top + 12, bottom=bottom - 14, count=count)


def buttons(pen: Pen, colour: str, *, x: float, top: float, bottom: float, count: int, radius: float = 3.2) -> None:
    """A column, evenly spaced."""
    for place in range(count):
        y = top + (bottom - top) * place / max(count - 1, 1)
        pen.button(x, y, colour, radius=radius)


def zipper(
    pen: Pen, cloth: Cloth, metal: str, *, top: float, bottom: float, x: float = 0.0, width: float = 5.0
) -> None:
    """Teeth between two tapes, with a pull at the top."""
    pen.ink(f"M{x} {top}L{x} {bottom}", "#2a2624" if cloth.colour != "#2b2a2f" else "#4a484e", width=width)
    pen.ink(f"M{x} {top}L{x} {bottom}", metal, width=width * 0.55, dashes="1.4 1.4")
    pen.metal(box(x - 2.4, top + 2, 4.8, 6, 1.5), metal)
    pen.metal(box(x - 1.8, top + 8, 3.6, 11, 1.6), metal)


def patch_pocket(
    pen: Pen,
    cloth: Cloth,
    *,
    x: float,
    y: float,
    width: float,
    height: float,
    point: float = 5.0,
    flap: float = 0.0,
    button: str | None = None,
) -> None:
    """A pocket sewn on from outside, by its upper left corner."""
    path = (
        f"M{x} {y}L{x + width} {y}L{x + width} {y + height - point}L{x + width / 2} {y + height}L{x} "
        f"{y + height - point}Z"
    )
    pen.piece(path, cloth, rim=0.35, line=1.1)
    inner = (
        f"M{x + 2.5} {y + 2}L{x + 2.5} {y + height - point - 1.5}L{x + width / 2} {y + height - 3}"
        f"L{x + width - 2.5} {y + height - point - 1.5}L{x + width - 2.5} {y + 2}"
    )
    pen.stitch(inner, cloth)
    if flap:
        lid = (
            f"M{x - 1.5} {y - 2}L{x + width + 1.5} {y - 2}L{x + width + 1.5} {y + flap - 4}L{x + width / 2} "
            f"{y + flap}L{x - 1.5} {y + flap - 4}Z"
        )
        pen.piece(lid, cloth, rim=0.4, line=1.1)
        if button:
            pen.button(x + width / 2, y + flap - 5, button, radius=2.4)
    else:
        pen.seam(f"M{x + 1} {y + 6}L{x + width - 1} {y + 6}", cloth)


def flap_pocket(
    pen: Pen, cloth: Cloth, *, x: float, y: float, width: float, height: float = 12, tilt: float = 0.0
) -> None:
    """A flap over a pocket that is cut into the cloth."""
    path = (
        f"M{x} {y}L{x + width} {y + tilt}L{x + width} {y + tilt + height - 2}Q{x + width - 1} {y + tilt + height} "
        f"{x + width - 3} {y + tilt + height}L{x + 3} {y + height}Q{x + 1} {y + height} {x} {y + height - 2}Z"
    )
    pen.piece(path, cloth, rim=0.5, line=1.1)


def slit_pocket(pen: Pen, cloth: Cloth, start: Point, end: Point) -> None:
    """A slanted opening with a welt."""
    (x1, y1), (x2, y2) = start, end
    pen.edge(f"M{x1} {y1}L{x2} {y2}", cloth, width=1.6)
    pen.stitch(f"M{x1 + (4 if x1 > x2 else -4) * 0.9:.1f} {y1}L{x2 + (4 if x1 > x2 else -4) * 0.9:.1f} {y2}", cloth)


def lapels(
    pen: Pen,
    cloth: Cloth,
    *,
    top: float,
    neck: float,
    meet: float,
    width: float = 40,
    notch: str = "notched",
    middle: float = 0.0,
) -> None:
    """Turned-back fronts with the collar above them; `meet` is where they come together."""
    gorge = top + 40
    if notch == "shawl":
        leaf = (
            f"M{middle} {meet}C{width * 0.8:.1f} {meet - (meet - gorge) * 0.45:.1f} {width + 4} "
            f"{gorge + 20} {width} {gorge}"
            f"C{width - 4} {top + 18} {neck + 6} {top + 2} {neck - 6} {top - 8}C{neck - 8} {top + 18} "
            f"{neck * 0.45:.1f} {gorge + 20} {middle} {meet}Z"
        )
        for side, path in ((1, leaf), (-1, mirror(leaf))):
            pen.piece(path, cloth, grain=14 * side, rim=0.9)
        return
    peak = -9 if notch == "peak" else 5
    lapel = (
        f"M{middle} {meet}C{width * 0.6:.1f} {meet - (meet - gorge) * 0.3:.1f} {width} "
        f"{gorge + (meet - gorge) * 0.35:.1f} "
        f"{width + 3} {gorge + peak}L{neck * 0.86:.1f} {gorge - 1}C{neck * 0.6:.1f} {gorge + 10} "
        f"{neck * 0.35:.1f} {meet - 40} {middle} {meet}Z"
    )
    collar = (
        f"M{neck * 0.62:.1f} {gorge + 8}L{width - 3} {gorge - 5}L{width} {gorge - 17}C{neck + 9} "
        f"{top + 12} {neck + 5} {top - 1} {neck - 5} {top - 9}"
        f"C{neck - 4} {top + 12} {neck * 0.82:.1f} {gorge - 12} {neck * 0.62:.1f} {gorge + 8}Z"
    )
    for side in (1, -1):
        pen.piece(lapel if side == 1 else mirror(lapel), cloth, grain=10 * side, rim=0.9)
        pen.piece(collar if side == 1 else mirror(collar), cloth, grain=24 * side, rim=0.7)


def collar_inside(pen: Pen, lining: str, *, top: float, neck: float, meet: float) -> None:
    """The lining of the back above lapels."""
    path = whole(
        f"M0 {top + 2}C{neck * 0.5:.1f} {top + 2} {neck * 0.8:.1f} {top - 3} {neck - 3} {top - 9}L{neck} "
        f"{top + 30}L0 {meet}"
    )
    pen.flat(path, lining, line=1.2)
    pen.flat(box(-9, top + 9, 18, 8, 1), "#f3efe8", line=0.6, edge="#b8b0a4")


def belt(
    pen: Pen,
    cloth: Cloth,
    *,
    half: float,
    y: float,
    width: float = 12,
    buckle: str | None = None,
    bow: bool = False,
    sag: float = 2.0,
) -> None:
    """Around the waist: with a buckle, or tied in a bow."""
    pen.piece(
        whole(
            f"M0 {y + sag}Q{half * 0.6:.1f} {y + sag} {half + 0.5} {y}L{half + 0.5} {y + width}"
            f"Q{half * 0.6:.1f} {y + sag + width} 0 {y + sag + width}"
        ),
        cloth,
        rim=0.5,
        line=1.2,
    )
    middle = y + sag + width / 2
    if buckle:
        frame = box(-9, middle - width / 2 - 2, 18, width + 4, 2.5) + box(
            -5.5, middle - width / 2 + 1.5, 11, width - 3, 1.5
        )
        pen.metal(frame, buckle)
        pen.metal(box(-1.2, middle - 1.2, 9, 2.4, 1), buckle)
    if bow:
        tied_bow(pen, cloth, x=0, y=middle, size=20, tails=40)


def tied_bow(pen: Pen, cloth: Cloth, *, x: float, y: float, size: float, tails: float = 0.0) -> None:
    """Two loops, a knot, and two ends that hang."""
    s = size
    if tails:
        end = (
            f"M{x - 1} {y}L{x + 6} {y}C{x + 8} {y + tails * 0.4:.1f} {x + 8} {y + tails * 0.7:.1f} {x + 13} "
            f"{y + tails}L{x + 4} {y + tails + 3}C{x + 2} {y + tails * 0.6:.1f} {x} {y + tails * 0.3:.1f} "
            f"{x - 1} {y}Z"
        )
        pen.piece(end, cloth, rim=0.5, line=1.1)
        other = (
            f"M{x + 1} {y}L{x - 6} {y}C{x - 8} {y + tails * 0.35:.1f} {x - 9} {y + tails * 0.6:.1f} {x - 15} "
            f"{y + tails * 0.86:.1f}L{x - 6} {y + tails * 0.92:.1f}C{x - 3} {y + tails * 0.6:.1f} {x} "
            f"{y + tails * 0.3:.1f} {x + 1} {y}Z"
        )
        pen.piece(other, cloth, rim=0.5, line=1.1)
    for side in (1, -1):
        loop = (
            f"M{x} {y - 2}C{x + side * s * 0.35:.1f} {y - s * 0.55:.1f} {x + side * s:.1f} "
            f"{y - s * 0.6:.1f} {x + side * s * 1.05:.1f} {y - s * 0.1:.1f}"
            f"C{x + side * s * 1.05:.1f} {y + s * 0.4:.1f} {x + side * s * 0.5:.1f} {y + s * 0.35:.1f} "
            f"{x} {y + 2}Z"
        )
        pen.piece(loop, cloth, rim=0.7, line=1.1)
        pen.seam(f"M{x + side * 3} {y}L{x + side * s * 0.55:.1f} {y - s * 0.12:.1f}", cloth)
    pen.piece(box(x - s * 0.17, y - s * 0.2, s * 0.34, s * 0.4, 3), cloth, rim=0.5, line=1.1)


def fringe(pen: Pen, points: Sequence[Point], colour: str, *, length: float, lean: float = 0.0) -> None:
    """Threads hanging from points."""
    for x, y in points:
        pen.ink(f"M{x:.1f} {y:.1f}L{x + lean:.1f} {y + length:.1f}", colour, width=1.7)
