"""What a piece of a garment is cut from: colours, pattern, texture and sheen. Knows nothing of shapes."""

from dataclasses import dataclass, replace

PLAIN = "plain"


@dataclass(frozen=True)
class Cloth:
    """`colour` and `second` are `#rrggbb`; `pattern` and `texture` are names of `patterns.py` and `textures.py`.

    `sheen` says how strongly light and shadow show, 1 for cotton; `scale` how large the pattern is.
    """

    colour: str
    second: str
    pattern: str = PLAIN
    texture: str | None = None
    sheen: float = 1.0
    scale: float = 1.0

    def plain(self) -> "Cloth":
        """The same cloth without its pattern."""
        return replace(self, pattern=PLAIN)

    def bare(self) -> "Cloth":
        """Its colour alone, without pattern and texture."""
        return replace(self, pattern=PLAIN, texture=None)

    def of(self, colour: str) -> "Cloth":
        """The same material, plain, in another colour."""
        return replace(self, pattern=PLAIN, colour=colour)
