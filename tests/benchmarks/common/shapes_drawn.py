"""Drawn shapes in colours, each a little different: a set of which every word is known. Knows no model."""

import math
import random
from collections.abc import Sequence

from PIL import Image, ImageDraw

COLOURS = {
    "red": (214, 40, 40),
    "orange": (245, 140, 30),
    "yellow": (240, 205, 40),
    "green": (50, 150, 60),
    "blue": (40, 80, 200),
    "purple": (130, 60, 170),
    "pink": (245, 150, 190),
    "brown": (120, 75, 40),
    "black": (25, 25, 25),
    "white": (250, 250, 250),
}
SHAPES = ("circle", "square", "triangle", "star", "heart", "cross", "ring", "moon", "arrow", "diamond")
SIDE_PX, DRAWN_AT = 224, 2
Points = Sequence[tuple[float, float]]


def draw(shape: str, colour: str, *, seed: str) -> Image.Image:
    """RGB, 224 x 224: size, place, turn, shade and background are drawn by the seed."""
    dice, side = random.Random(f"{shape} {colour} {seed}"), SIDE_PX * DRAWN_AT
    grey = dice.randint(150, 225)
    ground = tuple(int(0.75 * grey + 0.25 * dice.randint(150, 225)) for _ in range(3))
    tone = tuple(max(0, min(255, value + dice.randint(-18, 18))) for value in COLOURS[colour])
    picture = Image.new("RGB", (side, side), ground)
    pen = ImageDraw.Draw(picture)
    radius = dice.uniform(0.25, 0.4) * side
    x, y = (side / 2 + dice.uniform(-0.8, 0.8) * (side / 2 - radius) for _ in range(2))
    turn = dice.uniform(-0.3, 0.3)
    if shape in ("circle", "ring", "moon"):
        pen.ellipse(_box(x, y, radius), fill=tone)
        if shape != "circle":
            inner, shift = (0.6 * radius, 0.0) if shape == "ring" else (0.85 * radius, 0.45 * radius)
            pen.ellipse(_box(x + shift, y, inner), fill=ground)
    else:
        cos, sin = math.cos(turn), math.sin(turn)
        pen.polygon(
            [(x + radius * (a * cos - b * sin), y + radius * (a * sin + b * cos)) for a, b in _outline(shape)],
            fill=tone,
        )
    return picture.resize((SIDE_PX, SIDE_PX), Image.Resampling.BOX)


def _box(x: float, y: float, radius: float) -> tuple[float, float, float, float]:
    return (x - radius, y - radius, x + radius, y + radius)


def _outline(shape: str) -> Points:
    """The corners, of a shape of radius 1."""
    match shape:
        case "square":
            return [(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)]
        case "diamond":
            return [(0, -1), (0.62, 0), (0, 1), (-0.62, 0)]
        case "triangle":
            return [_at(1, third / 3 - 0.25) for third in range(3)]
        case "star":
            return [_at(0.42 if tenth % 2 else 1, tenth / 10 - 0.25) for tenth in range(10)]
        case "arrow":
            return [(-1, -0.3), (0.1, -0.3), (0.1, -0.8), (1, 0), (0.1, 0.8), (0.1, 0.3), (-1, 0.3)]
        case "cross":
            a = 0.33
            return [
                (-a, -1),
                (a, -1),
                (a, -a),
                (1, -a),
                (1, a),
                (a, a),
                (a, 1),
                (-a, 1),
                (-a, a),
                (-1, a),
                (-1, -a),
                (-a, -a),
            ]
        case "heart":
            steps = [2 * math.pi * step / 60 for step in range(60)]
            return [
                (
                    16 * math.sin(t) ** 3 / 17,
                    -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) / 17,
                )
                for t in steps
            ]
    raise ValueError(f"no shape {shape!r}")


def _at(radius: float, turn: float) -> tuple[float, float]:
    return (radius * math.cos(2 * math.pi * turn), radius * math.sin(2 * math.pi * turn))
