"""A drawing (SVG) -> its pixels, as PNG.

A drawing comes from a stranger: what it names outside itself is not read, and a file that declares entities is refused.
"""

from xml.parsers import expat

from fromage_model.errors import InvalidInput

WITHIN = ("#", "data:")
"""How an address begins that leads nowhere outside of the drawing."""
WHITE = (255, 255, 255, 255)
PICTURES = ("image", "feImage")
ADDRESS = "href"


def rasterised(svg: bytes, *, side_px: int) -> bytes:
    """A PNG, on white, whose longer side has `side_px` pixels. Raises InvalidInput where it is not safe, no SVG, or has
    no size.

    No font of the system is used, so that every machine draws the same bytes.
    """
    import resvg

    check(svg)
    try:
        tree = resvg.usvg.Tree.from_str(svg.decode(), resvg.usvg.Options.default())
        width, height = tree.int_size()
        scale = side_px / max(width, height)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        return resvg.render(tree, (scale, 0, 0, 0, scale, 0), bg_size=size, bg_color=WHITE)
    except Exception as error:
        raise InvalidInput(f"resvg can't draw it: {error}") from error
    except BaseException as error:
        # What resvg gives up on is a panic, which is no Exception, and whose class no module exports.
        if type(error).__name__ != "PanicException":
            raise
        raise InvalidInput(f"resvg can't draw it: {error}") from error


def check(svg: bytes) -> None:
    """Raises InvalidInput where it is no SVG, declares entities, or shows pictures that lie outside of it."""
    parser = expat.ParserCreate()
    roots: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        roots[:] = roots or [_own(name)]
        for key, address in attributes.items() if _own(name) in PICTURES else ():
            if _own(key) == ADDRESS and not address.strip().startswith(WITHIN):
                raise InvalidInput(f"it shows a picture that is not its own, {address[:80]!r}")

    def refuse(*_: object) -> None:
        raise InvalidInput("it declares entities")

    parser.StartElementHandler = start
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(svg, True)
    except (expat.ExpatError, ValueError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(f"not XML: {error}") from error
    if roots != ["svg"]:
        raise InvalidInput(f"no SVG: its first element is <{roots[0]}>")


def _own(name: str) -> str:
    """A name without its prefix, which a file is free to choose."""
    return name.rpartition(":")[2]
