"""Draws pieces of cloth as one SVG: each with its pattern and texture, lit softly from the upper left, with an outline.

The canvas is `SIDE` units wide and high; x = 0 is its middle, y = 0 its upper edge.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

from fromage_model.catalogue.wardrobe.draw.cloth import PLAIN, Cloth
from fromage_model.catalogue.wardrobe.draw.light import Fold, relief, roundness, soft
from fromage_model.catalogue.wardrobe.draw.outline import Box, Point, bounds, number, oval
from fromage_model.catalogue.wardrobe.draw.patterns import PATTERNS
from fromage_model.catalogue.wardrobe.draw.shades import glow_of, is_dark, line_of, seam_of, shadow_of, toned
from fromage_model.catalogue.wardrobe.draw.textures import TEXTURES

SIDE = 400
# What is left free at every edge, for shadows too.
MARGIN = 14
LINE = 1.5
# Square units of a piece too small to rise at its edges: a loop, a tab.
SMALL = 900.0
SEAM = 1.0
DASHES = "3.2 2.2"
# The table on which things lie: a calm warm grey, on which white and black both stand out.
TABLE = "#e6e2dc"
SHADOW = "#4a3d34"
# From a wide faint shadow to a narrow dense one: width and strength of each.
CAST = ((11, 0.06), (6, 0.07), (2, 0.1))
CAST_BY = (3.2, 5.4)


class Pen:
    """One drawing in the making. Pieces cover those drawn before."""

    def __init__(self) -> None:
        self._defs: dict[str, str] = {}
        self._body: list[str] = []
        self._cast: list[str] = []
        self._covered: list[tuple[float, float, float, float]] = []
        self._frame: tuple[float, Point] = 1.0, (0.0, SIDE / 2)
        self._place = ""
        self._turn: tuple[float, float, float, int] | None = None
        self._count = 0

    def piece(
        self,
        path: str,
        cloth: Cloth,
        *,
        grain: float = 0.0,
        across: tuple[Point, Point] | None = None,
        folds: Sequence[Fold] = (),
        rim: float = 1.0,
        line: float = LINE,
    ) -> None:
        """A closed outline of cloth. `grain` turns pattern and texture by degrees; `across` are two points between
        which it is round, by default its left and right edge; `rim` says how much it rises at its edges."""
        self._count += 1
        name = f"p{self._count}"
        self._defs[name] = f'<path id="{name}" d="{path}"/>'
        use = f'<use href="#{name}"'
        left, top, right, low = box = bounds(path)
        self._throw(f"{use}/>", box)
        if not folds and (right - left) * (low - top) < SMALL:
            rim = 0.0
        tiles = self._tiles(cloth, grain)
        if tiles:
            self._body.append(f'{use} fill="{cloth.colour}"/>')
            self._body += [f'{use} fill="url(#{tile})"/>' for tile in tiles]
        self._body.append(f'{use} fill="url(#{self._round(cloth, across, solid=not tiles)})"/>')
        if raised := relief(use, cloth, folds, rim):
            self._defs[f"c{name}"] = f'<clipPath id="c{name}"><path d="{path}"/></clipPath>'
            self._body.append(f'<g clip-path="url(#c{name})">{raised}</g>')
        edge = (
            f'<path d="{path}" fill="none" stroke="{line_of(cloth.colour)}" stroke-width="{line}" '
            f'stroke-linejoin="round"/>'
        )
        self._body.append(edge if line else "")

    def flat(
        self,
        path: str,
        fill: str,
        *,
        line: float = 1.0,
        edge: str | None = None,
        opacity: float = 1.0,
        cast: bool = False,
    ) -> None:
        """A closed outline of one colour: a label, the inside of a neck. With `cast` it throws a shadow
        on the table."""
        if cast:
            self._throw(f'<path d="{path}"/>', bounds(path))
        stroke = f'stroke="{edge or line_of(fill)}" stroke-width="{line}" stroke-linejoin="round"' if line else ""
        self._body.append(f'<path d="{path}" fill="{fill}" {stroke} fill-opacity="{opacity}"/>')

    def band(self, path: str, width: float, cloth: Cloth, *, line: float = LINE, round_ends: bool = False) -> None:
        """A strap, a rib or a cord along an open path, `width` wide."""
        ends = "round" if round_ends else "butt"
        common = f'd="{path}" fill="none" stroke-linejoin="round" stroke-linecap="{ends}"'
        self._throw(f'<path d="{path}" fill="none" stroke-width="{width + 4:.1f}"/>', bounds(path))
        self._body.append(f'<path {common} stroke="{line_of(cloth.colour)}" stroke-width="{width + line * 1.5:.1f}"/>')
        self._body.append(f'<path {common} stroke="{cloth.colour}" stroke-width="{width:.1f}"/>')
        for tile in self._tiles(cloth, 0.0):
            self._body.append(f'<path {common} stroke="url(#{tile})" stroke-width="{width:.1f}"/>')
        glow = f'stroke="{glow_of(cloth.colour)}" stroke-opacity="{0.28 * cloth.sheen:.2f}"'
        self._body.append(f'<path {common} {glow} stroke-width="{width * 0.3:.1f}" transform="translate(-0.6 -0.8)"/>')

    def seam(self, path: str, cloth: Cloth, *, width: float = SEAM, opacity: float = 0.75) -> None:
        self._stroke(path, seam_of(cloth.colour), width, opacity)

    def stitch(self, path: str, cloth: Cloth, *, colour: str | None = None, opacity: float = 0.8) -> None:
        """A row of stitches that shows, in the cloth's own shade or a thread's `colour`."""
        self._stroke(path, colour or seam_of(cloth.colour), 1.0, opacity, f' stroke-dasharray="{DASHES}"')

    def edge(self, path: str, cloth: Cloth, *, width: float = LINE) -> None:
        """An open edge of cloth, as strong as an outline: an opening, an overlap."""
        self._stroke(path, line_of(cloth.colour) if not is_dark(cloth.colour) else seam_of(cloth.colour), width, 0.9)

    def ink(self, path: str, colour: str, *, width: float = 1.0, opacity: float = 1.0, dashes: str = "") -> None:
        """A line of a colour."""
        self._stroke(path, colour, width, opacity, f' stroke-dasharray="{dashes}"' if dashes else "")

    def shade(self, path: str, cloth: Cloth, *, within: str, width: float = 8.0, depth: float = 0.4) -> None:
        """A soft shadow along an open path, kept within a closed outline: below a collar, a flap, an overlap."""
        self._count += 1
        name = f"s{self._count}"
        self._defs[name] = f'<clipPath id="{name}"><path d="{within}"/></clipPath>'
        blurred = soft(f'<path d="{path}"', shadow_of(cloth.colour), width, depth)
        self._body.append(f'<g clip-path="url(#{name})" fill="none" stroke-linecap="round">{blurred}</g>')

    def within(self, outline: str, lines: Sequence[str], cloth: Cloth) -> None:
        """Seams along open paths, cut off at a closed outline."""
        self._count += 1
        name = f"s{self._count}"
        self._defs[name] = f'<clipPath id="{name}"><path d="{outline}"/></clipPath>'
        stroke = f'stroke="{seam_of(cloth.colour)}" stroke-width="1.1" stroke-opacity="0.8"'
        self._body.append(f'<g clip-path="url(#{name})"><path d="{"".join(lines)}" fill="none" {stroke}/></g>')

    def button(self, x: float, y: float, colour: str, *, radius: float = 3.4) -> None:
        """With two holes, and a short shadow."""
        self._body.append(
            f'<circle cx="{x + 0.7:.1f}" cy="{y + 1.2:.1f}" r="{radius}" fill="#1a1210" fill-opacity="0.3"/>'
        )
        rim, dark = toned(colour, -0.22), toned(colour, 0.2 if is_dark(colour) else -0.35)
        self._body.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}" stroke="{rim}" stroke-width="0.9"/>'
        )
        hole = radius * 0.3
        for dx in (-hole, hole):
            self._body.append(f'<circle cx="{x + dx:.1f}" cy="{y:.1f}" r="{radius * 0.17:.2f}" fill="{dark}"/>')

    def metal(self, path: str, colour: str, *, line: float = 0.9) -> None:
        """Polished metal: bright above, dark below."""
        self._throw(f'<path d="{path}" fill-rule="evenodd"/>', bounds(path))
        name = f"metal{colour[1:]}"
        light, dark = toned(colour, 0.16, 0.6), toned(colour, -0.2)
        stops = ((0, light), (0.35, colour), (0.62, dark), (0.8, colour), (1, light))
        listed = "".join(f'<stop offset="{place}" stop-color="{shade}"/>' for place, shade in stops)
        self._defs[name] = f'<linearGradient id="{name}" x1="0.1" y1="0" x2="0.6" y2="1">{listed}</linearGradient>'
        edge = f'stroke="{toned(colour, -0.32)}" stroke-width="{line}" stroke-linejoin="round"'
        self._body.append(f'<path d="{path}" fill="url(#{name})" fill-rule="evenodd" {edge}/>')

    def gloss(self, path: str, *, opacity: float = 0.5) -> None:
        """A reflection, white, with soft edges where the path is small."""
        self._body.append(f'<path d="{path}" fill="#ffffff" fill-opacity="{opacity}"/>')

    def dot(self, x: float, y: float, radius: float, colour: str) -> None:
        self.flat(oval(x, y, radius, radius), colour, line=0.7)

    def frame(self, scale: float, middle: Point = (0.0, SIDE / 2)) -> None:
        """Show the drawing larger or smaller: `middle` of it comes to the middle of the table."""
        self._frame = scale, middle

    @contextmanager
    def placed(self, dx: float, dy: float, *, turn: float = 0.0, flip: bool = False) -> Iterator[None]:
        """Whatever is drawn meanwhile is moved and turned: the second shoe of a pair."""
        before = self._place, self._turn
        self._place = f"translate({number(dx)} {number(dy)}) rotate({number(turn)}){' scale(-1 1)' if flip else ''}"
        self._turn = dx, dy, math.radians(turn), -1 if flip else 1
        self._body.append(f'<g transform="{self._place}">')
        try:
            yield
        finally:
            self._body.append("</g>")
            self._place, self._turn = before

    def svg(self) -> str:
        """The whole drawing."""
        scale, (x, y) = self._fitted()
        place = f"translate(0 {SIDE // 2}) scale({scale}) translate({number(-x)} {number(-y)})"
        cast = "".join(
            f'<g fill-opacity="{strength}" stroke-opacity="{strength}" stroke-width="{width}">{"".join(self._cast)}</g>'
            for width, strength in CAST
        )
        dx, dy = CAST_BY
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-SIDE // 2} 0 {SIDE} {SIDE}">'
            f"<defs>{''.join(self._defs.values())}</defs>"
            f'<rect x="{-SIDE // 2}" width="{SIDE}" height="{SIDE}" fill="{TABLE}"/><g transform="{place}">'
            f'<g transform="translate({dx} {dy})" fill="{SHADOW}" stroke="{SHADOW}" stroke-linejoin="round">{cast}</g>'
            f"{''.join(self._body)}</g></svg>"
        )

    def _throw(self, element: str, box: Box) -> None:
        """Let an element cast its shadow on the table, unless it lies within another that does."""
        x0, y0, x1, y1 = box
        if self._turn is not None:
            dx, dy, turn, side = self._turn
            cos, sin = math.cos(turn), math.sin(turn)
            corners = [(side * x, y) for x in (x0, x1) for y in (y0, y1)]
            across = [dx + cos * x - sin * y for x, y in corners]
            down = [dy + sin * x + cos * y for x, y in corners]
            x0, y0, x1, y1 = min(across), min(down), max(across), max(down)
            element = f'<g transform="{self._place}">{element}</g>'
        if self._turn is not None or not any(
            a <= x0 and b <= y0 and x1 <= c and y1 <= d for a, b, c, d in self._covered
        ):
            self._cast.append(element)
            self._covered.append((x0, y0, x1, y1))

    def _fitted(self) -> tuple[float, Point]:
        """The frame that was asked for, or where something would be cut off the nearest that shows it whole."""
        scale, (x, y) = self._frame
        if not self._covered:
            return self._frame
        lefts, tops, rights, lows = zip(*self._covered, strict=True)
        left, top, right, low = min(lefts), min(tops), max(rights), max(lows)
        room = SIDE - 2 * MARGIN
        scale = min(scale, room / max(right - left, 1), room / max(low - top, 1))
        half = room / 2 / scale
        x = min(max(x, right - half), left + half)
        y = min(max(y, low - half), top + half)
        return round(scale, 3), (x, y)

    def _stroke(self, path: str, colour: str, width: float, opacity: float, more: str = "") -> None:
        self._body.append(
            f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}" '
            f'stroke-opacity="{opacity}" stroke-linecap="round" stroke-linejoin="round"{more}/>'
        )

    def _tiles(self, cloth: Cloth, grain: float) -> list[str]:
        """The ids of the tiles that lie over the ground colour, in order."""
        tiles = []
        if cloth.pattern != PLAIN:
            scale = cloth.scale
            tiles.append(
                self._tile(_pattern(cloth.pattern, cloth.colour, cloth.second), cloth.pattern, cloth, grain, scale)
            )
        if cloth.texture is not None:
            tile = _texture(cloth.texture, shadow_of(cloth.colour), glow_of(cloth.colour))
            tiles.append(self._tile(tile, cloth.texture, cloth, grain, 1.0))
        return tiles

    def _tile(self, tile: tuple[float, float, str], kind: str, cloth: Cloth, grain: float, scale: float) -> str:
        base = f"{kind}{cloth.colour[1:]}{cloth.second[1:]}{round(scale * 100)}"
        name = f"{base}g{round(grain)}"
        if name not in self._defs:
            width, height, content = tile
            turn = f'patternTransform="rotate({grain:.0f}) scale({scale:.2f})"'
            if base not in self._defs:
                self._defs[base] = (
                    f'<pattern id="{base}" width="{width}" height="{height}" x="{number(-width / 2)}" '
                    f'patternUnits="userSpaceOnUse">'
                    f"{content}</pattern>"
                )
            self._defs[name] = f'<pattern id="{name}" href="#{base}" {turn}/>'
        return name

    def _round(self, cloth: Cloth, across: tuple[Point, Point] | None, *, solid: bool) -> str:
        """The id of a gradient from light to shadow across a piece."""
        place = "f" if across is None else "_".join(number(value) for point in across for value in point)
        name = f"r{'s' if solid else ''}{cloth.colour[1:]}{round(cloth.sheen * 10)}{place}"
        if name not in self._defs:
            self._defs[name] = roundness(name, cloth, across, solid=solid)
        return name


@lru_cache(maxsize=1024)
def _pattern(name: str, ground: str, ink: str) -> tuple[float, float, str]:
    return PATTERNS[name](ground, ink)


@lru_cache(maxsize=1024)
def _texture(name: str, dark: str, light: str) -> tuple[float, float, str]:
    return TEXTURES[name](dark, light)
