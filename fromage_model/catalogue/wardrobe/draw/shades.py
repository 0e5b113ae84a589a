"""Shades of a colour: lighter and darker ones of the same hue, in OKLab (B. Ottosson, 2020). Knows no names."""

from functools import lru_cache

Rgb = tuple[float, float, float]

SHADOW_INK = "#241a2e"


def rgb(colour: str) -> Rgb:
    """`#rrggbb` -> red, green and blue, 0 to 1."""
    return tuple(int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))  # type: ignore[return-value]


def hexed(colour: Rgb) -> str:
    return "#" + "".join(f"{round(min(max(part, 0.0), 1.0) * 255):02x}" for part in colour)


@lru_cache(maxsize=4096)
def lab(colour: str) -> Rgb:
    """`#rrggbb` -> OKLab lightness (0 to 1), green-red and blue-yellow."""
    r, g, b = ((part / 12.92) if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in rgb(colour))
    l = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)  # noqa: E741
    m = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    s = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
        1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
        0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s,
    )


def from_lab(lightness: float, a: float, b: float) -> str:
    l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3  # noqa: E741
    m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    s = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
        -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
        -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s,
    )
    return hexed(
        tuple(12.92 * x if x <= 0.0031308 else 1.055 * x ** (1 / 2.4) - 0.055 for x in linear)  # type: ignore[arg-type]
    )


@lru_cache(maxsize=4096)
def toned(colour: str, lightness: float, colourfulness: float = 1.0) -> str:
    """The colour with its lightness changed by `lightness` (-1 to 1) and its colourfulness by a factor."""
    light, a, b = lab(colour)
    return from_lab(min(max(light + lightness, 0.05), 1.0), a * colourfulness, b * colourfulness)


def mixed(one: str, other: str, share: float) -> str:
    """`share` of the other colour in the one."""
    parts = zip(lab(one), lab(other), strict=True)
    return from_lab(*(a + (b - a) * share for a, b in parts))


@lru_cache(maxsize=4096)
def over(ground: str, paint: str, opacity: float) -> str:
    """What paint of an opacity makes of a ground, as a renderer blends them."""
    return hexed(tuple(a + (b - a) * opacity for a, b in zip(rgb(ground), rgb(paint), strict=True)))  # type: ignore[arg-type]


def is_dark(colour: str) -> bool:
    return lab(colour)[0] < 0.42


@lru_cache(maxsize=4096)
def line_of(colour: str) -> str:
    """The colour of an outline around cloth of this colour."""
    light = lab(colour)[0]
    return mixed(toned(colour, -0.12 - 0.2 * light), SHADOW_INK, 0.25)


@lru_cache(maxsize=4096)
def seam_of(colour: str) -> str:
    """The colour of a seam on cloth of this colour: darker, on dark cloth lighter."""
    return toned(colour, 0.17, 0.8) if is_dark(colour) else mixed(toned(colour, -0.2), SHADOW_INK, 0.15)


def shadow_of(colour: str) -> str:
    return mixed(toned(colour, -0.3), SHADOW_INK, 0.4)


def glow_of(colour: str) -> str:
    return mixed(toned(colour, 0.25, 0.8), "#fffaf0", 0.55)
