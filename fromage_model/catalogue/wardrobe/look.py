"""What one item is, in words and exactly: the truth from which its picture is drawn. Knows no SVG."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from fromage_model.catalogue.wardrobe.draw.cloth import PLAIN, Cloth
from fromage_model.catalogue.wardrobe.draw.shades import lab, mixed, toned

# Knits and prints of one material differ in how large their pattern is on things of different size.
FINE = 0.6


@lru_cache(maxsize=8)
def data(name: str) -> dict[str, Any]:
    """A table of this package's `data`. What it holds is shared: change nothing in it."""
    return tomllib.loads(files("fromage_model.catalogue.wardrobe").joinpath("data", f"{name}.toml").read_text("utf-8"))


def colour_code(name: str) -> str:
    """`#rrggbb` of a colour or a metal."""
    cloth = data("cloth")
    return (cloth["colours"].get(name) or cloth["metals"][name])["code"]


@dataclass(frozen=True)
class Look:
    """`cut` says how each of the kind's choices was made (`sleeves: long`); `second` is the colour of the pattern or of
    the trim, None where neither is there; `metal` that of buckles and buttons."""

    kind: str
    cut: Mapping[str, str]
    colour: str
    second: str | None
    pattern: str
    material: str
    details: tuple[str, ...]
    metal: str = "silver"

    def has(self, detail: str) -> bool:
        return detail in self.details

    @property
    def cloth(self) -> Cloth:
        """What the garment is cut from."""
        made = data("cloth")["materials"][self.material]
        colour = colour_code(self.colour)
        if "faded" in made:
            # Indigo fades most.
            colour = toned(colour, 0.0, made["faded"] if lab(colour)[2] < -0.02 else 0.92)
        second = colour_code(self.second) if self.second else toned(colour, -0.15)
        return Cloth(colour, second, self.pattern, made.get("texture"), made["sheen"])

    @property
    def trim(self) -> Cloth:
        """Ribs, cuffs, collars, borders: in the second colour where the trim is in contrast."""
        cloth = self.cloth.bare()
        return cloth.of(colour_code(self.second)) if self.second and self.has("contrast trim") else cloth

    @property
    def metal_code(self) -> str:
        return colour_code(self.metal)

    @property
    def button(self) -> str:
        """The colour of buttons: near the cloth's, so that they show."""
        colour = colour_code(self.second) if self.second and self.has("contrast trim") else self.cloth.colour
        return mixed(toned(colour, -0.1), "#6b5a4a", 0.2) if colour_code("white") != colour else "#d9d3c8"

    @property
    def lining(self) -> str:
        """The inside, as it shows at necks and openings."""
        return toned(self.cloth.colour, -0.17, 0.8)


__all__ = ["PLAIN", "Look", "colour_code", "data"]
