"""A small folder laid out as Debian's Open Clip Art packages: PNG beside SVG with RDF, and what goes wrong there."""

from pathlib import Path
from xml.sax.saxutils import escape

from tests.pictures import write_png

BOMB = '<!DOCTYPE svg [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


def svg_text(
    *, title: str, subjects: tuple[str, ...] = (), creator: str = "", about: str = "", doctype: str = ""
) -> str:
    """`title` is put in as it is, so that it can hold an entity."""
    bag = "".join(f"<rdf:li>{escape(subject)}</rdf:li>" for subject in subjects)
    return f"""<?xml version="1.0"?>{doctype}
<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><metadata>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:cc="http://web.resource.org/cc/"
 xmlns:dc="http://purl.org/dc/elements/1.1/"><cc:Work rdf:about="{about}"><dc:title>{title}</dc:title>
<dc:description>A drawing</dc:description><dc:subject><rdf:Bag>{bag}</rdf:Bag></dc:subject>
<dc:publisher><cc:Agent rdf:about="http://www.openclipart.org"><dc:title>Open Clip Art</dc:title></cc:Agent>
</dc:publisher>
<dc:creator><cc:Agent><dc:title>{creator}</dc:title></cc:Agent></dc:creator></cc:Work></rdf:RDF></metadata>
<rect width="5" height="9" fill="red"/></svg>"""


def write_svg(path: Path, **metadata) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(svg_text(**metadata))
    return path


def write_clipart(folder: Path) -> None:
    """Eight pictures: two alike, a broken PNG, a dead link, two SVG alone, two entity bombs, one without a name."""
    hats = folder / "png" / "clothing" / "big_hats"
    write_png(hats / "straw_hat_ann_l_01.png", "gold")
    write_png(hats / "straw_hat_ann_l_02.png", "gold")
    write_png(hats / "bomb_01.png", "black")
    write_png(folder / "png" / "zz" / "70a001.png", "navy")
    (folder / "png" / "zz" / "gone.png").symlink_to("absent.png")
    (folder / "png" / "clothing" / "broken_boot.png").write_bytes(b"no picture")
    clothing = folder / "svg" / "clothing"
    for number in (1, 2):
        stem = f"straw_hat_ann_l_{number:02d}.svg"
        write_svg(clothing / "big_hats" / stem, title="Straw Hat", subjects=("Hat", "Summer"), creator="Ann Lee")
    write_svg(clothing / "big_hats" / "bomb_01.svg", title="&b;", doctype=BOMB)
    write_svg(clothing / "broken_boot.svg", title="Broken Boot")
    write_svg(clothing / "drawn_scarf.svg", title="Drawn Scarf")
    write_svg(clothing / "lone_bomb.svg", title="&b;", doctype=BOMB)
    write_svg(folder / "svg" / "zz" / "70a001.svg", title="")
