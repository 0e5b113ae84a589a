"""A look -> its picture, as SVG."""

import random
from collections.abc import Callable

from fromage_model.catalogue.wardrobe.choose import kinds
from fromage_model.catalogue.wardrobe.draw.pen import Pen
from fromage_model.catalogue.wardrobe.kinds import (
    accessories,
    bags,
    boots,
    coats,
    dresses,
    headwear,
    jackets,
    jewellery,
    knits,
    legwear,
    sandals,
    shoes,
    skirts,
    swim,
    tailoring,
    tops,
    trousers,
)
from fromage_model.catalogue.wardrobe.look import Look

MODULES = {
    "accessories": accessories,
    "bags": bags,
    "boots": boots,
    "coats": coats,
    "dresses": dresses,
    "headwear": headwear,
    "jackets": jackets,
    "jewellery": jewellery,
    "knits": knits,
    "legwear": legwear,
    "sandals": sandals,
    "shoes": shoes,
    "skirts": skirts,
    "swim": swim,
    "tailoring": tailoring,
    "tops": tops,
    "trousers": trousers,
}


def drawn(look: Look, *, folds: str) -> str:
    """The drawing of a look; `folds` seeds how its cloth falls."""
    pen = Pen()
    _function(look.kind)(pen, look, random.Random(folds))
    return pen.svg()


def _function(kind: str) -> Callable[[Pen, Look, random.Random], None]:
    module, _, name = kinds()[kind]["draw"].partition(".")
    return getattr(MODULES[module], name)
