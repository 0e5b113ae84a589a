"""The wardrobe as a feed: so many looks of a seed, each with its drawing, its words and its exact truth.

Knows nothing of Ray or of rasterising.
"""

import hashlib
import random
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path

from fromage_model.catalogue.feeds.feed import Feed, FeedRow
from fromage_model.catalogue.wardrobe import needs, sayings
from fromage_model.catalogue.wardrobe.choose import kinds, looks
from fromage_model.catalogue.wardrobe.drawing import drawn
from fromage_model.catalogue.wardrobe.look import Look
from fromage_model.catalogue.wardrobe.split import group_of, held_out_by
from fromage_model.errors import ConfigError

SOURCE = "wardrobe"
ITEMS = 4000
MAX_ITEMS = 20_000
SEED = 0
SIDE_PX = 384
LICENCE = "Apache-2.0"
ATTRIBUTION = "Drawn by this project's code; brands and prices are invented."


def read_wardrobe(*, items: int = ITEMS, seed: int = SEED) -> Feed:
    """The first `items` of the wardrobe of `seed`: more of the same seed keep those before. Raises ConfigError."""
    check(items=items, seed=seed)
    rows = [row_of(number, look, seed) for number, look in enumerate(islice(looks(seed), items), start=1)]
    held_out = frozenset(row.group for row in rows if row.group and "held_out_by" in row.attributes)
    return Feed(
        SOURCE,
        rows,
        sha256=source_sha256(items=items, seed=seed),
        licence=LICENCE,
        attribution=ATTRIBUTION,
        held_out=held_out,
    )


def check(*, items: int, seed: int) -> None:
    """Raises ConfigError for what can't be drawn."""
    if not 1 <= items <= MAX_ITEMS:
        raise ConfigError(f"items: expected 1 to {MAX_ITEMS:,} garments, got {items:,}")
    if seed < 0:
        raise ConfigError(f"seed: expected a whole number from 0, got {seed}")


def source_sha256(*, items: int, seed: int) -> str:
    """A hash over what decides every picture and word: this room's code and data, the number of items, the seed."""
    return hashlib.sha256(f"{_room_sha256()} {items} {seed}".encode()).hexdigest()


def row_of(number: int, look: Look, seed: int) -> FeedRow:
    """The row of a look, with its drawing. It has no `item_url`: its page is the server's own."""
    dice = random.Random(f"{seed} words {number}")
    kind = kinds()[look.kind]
    brand = needs.brand(kind, dice)
    captions = sayings.captions(look, brand, dice)
    attributes = dict(_truth(look, brand, seed, dice))
    return FeedRow(
        row=number,
        image=f"{look.kind.replace(' ', '-')}-{number:05d}.svg",
        caption=captions[0],
        captions=tuple(captions) if len(captions) > 1 else (),
        brand=brand,
        attributes=attributes,
        group=group_of(look, seed),
        svg=drawn(look, folds=f"{seed} folds {number}").encode(),
    )


def _truth(look: Look, brand: str, seed: int, dice: random.Random) -> Iterator[tuple[str, str]]:
    """Attributes: what is drawn, exactly, and what a shop says of it."""
    kind = kinds()[look.kind]
    wear = needs.occasions(kind, look)
    yield "title", sayings.title(look)
    yield "kind", look.kind
    yield "section", kind["section"]
    yield "colour", look.colour
    if look.second:
        yield "second_colour", look.second
    yield "pattern", look.pattern
    yield "material", look.material
    yield from look.cut.items()
    if look.details:
        yield "details", ", ".join(look.details)
    if kind.get("hardware") and look.material != "metal" and kind["hardware"] in (True, *look.details):
        yield "hardware", look.metal
    yield "price", needs.price(kind, look, brand, dice)
    yield "currency", needs.CURRENCY
    yield "season", needs.season(kind, look)
    yield "occasions", ", ".join(wear)
    yield "worn_on", kind["worn"]
    yield "description", sayings.description(look, brand, wear, dice)
    yield "tags", ", ".join(dict.fromkeys([*kind["words"], look.colour, look.pattern, look.material, *wear]))
    if (why := held_out_by(look, seed)) is not None:
        yield "held_out_by", why


@lru_cache(maxsize=1)
def _room_sha256() -> str:
    digest = hashlib.sha256()
    room = Path(__file__).parent
    for path in sorted(path for pattern in ("*.py", "*.toml") for path in room.rglob(pattern)):
        digest.update(path.relative_to(room).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
