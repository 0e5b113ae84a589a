"""Which looks a wardrobe holds: an endless list for a seed, of which the first are the same however many are taken.

Kinds come in decks, shuffled one after the other, and so do the colours of a kind: all occur early and evenly. What is
asked of a kind (`data/kinds`) holds for each look, and no two are alike. Knows nothing of drawing.
"""

import random
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from fromage_model.catalogue.wardrobe.draw.cloth import PLAIN
from fromage_model.catalogue.wardrobe.look import Look, data

FAMILIES = ("tops", "dresses", "outerwear", "shoes", "headwear", "bags", "accessories", "jewellery")
CONTRAST = "contrast trim"
TINTED = "tinted lenses"
PATTERNED_AND_TRIMMED = 0.6
# The shares of patterned things in `data/kinds` are those of a shop; here are more, so that patterns can be learned.
PRINTS = 1.5
STONES = ("red", "green", "blue", "purple", "pink", "teal", "yellow", "orange")
DIALS = ("white", "black", "navy", "green", "burgundy", "blue", "pink")
TRIES = 60

Kind = Mapping[str, Any]


@lru_cache(maxsize=1)
def kinds() -> dict[str, Kind]:
    """Every kind by its name, with what `data/kinds` says of it."""
    return {name: kind for family in FAMILIES for name, kind in data(f"kinds/{family}").items()}


def looks(seed: int) -> Iterator[Look]:
    """The wardrobe of a seed, without end unless every kind is exhausted."""
    seen: set[object] = set()
    turns: dict[str, int] = {}
    for place, name in enumerate(
        _deck([n for n, kind in kinds().items() for _ in range(kind.get("weight", 1))], f"{seed}")
    ):
        turn = turns.get(name, 0)
        turns[name] = turn + 1
        dice = random.Random(f"{seed} {name} {turn}")
        for _ in range(TRIES):
            look = _look(name, kinds()[name], seed, turn, dice)
            if look is not None and _key(look) not in seen:
                seen.add(_key(look))
                yield look
                break
        else:
            if place > TRIES * len(seen):
                return


def allowed_patterns(kind: Kind, material: str) -> list[str]:
    """Which patterns a kind can have in a material."""
    made = data("cloth")["materials"][material]["patterns"]
    listed = data("cloth")["patterns"][made]
    return [pattern for pattern in listed if pattern in kind.get("patterns", listed)]


def goes_together(kind: Kind, look: Look) -> bool:
    """Whether a look keeps the kind's rules: what stands only with what, and what never does."""
    said: dict[str, Any] = {**look.cut, "material": look.material, "pattern": look.pattern}

    def holds(wanted: Mapping[str, str]) -> bool:
        return all(look.has(value) if key == "details" else said.get(key) == value for key, value in wanted.items())

    if any(holds(never) for never in kind.get("never", ())):
        return False
    if any(look.has(detail) and not holds(wanted) for detail, wanted in kind.get("only", {}).items()):
        return False
    return all(sum(look.has(one) for one in either) <= 1 for either in kind.get("either", ()))


def _deck(cards: list[str], seed: str) -> Iterator[str]:
    """The cards, shuffled, again and again."""
    turn = 0
    while True:
        shuffled = list(cards)
        random.Random(f"{seed} deck {turn}").shuffle(shuffled)
        yield from shuffled
        turn += 1


@lru_cache(maxsize=4096)
def _shuffled(cards: tuple[str, ...], seed: str) -> tuple[str, ...]:
    mixed = list(cards)
    random.Random(seed).shuffle(mixed)
    return tuple(mixed)


def _look(name: str, kind: Kind, seed: int, turn: int, dice: random.Random) -> Look | None:
    """One try; None where its parts do not go together."""
    patterned = {material: found for material in kind["materials"] if (found := allowed_patterns(kind, material))}
    printed = bool(patterned) and dice.random() < kind.get("prints", 0.0) * PRINTS
    material = dice.choice([one for one in kind["materials"] if not printed or one in patterned])
    colours = (
        tuple(data("cloth")["metals"]) if material == "metal" else tuple(kind.get("colours", data("cloth")["colours"]))
    )
    colour = _shuffled(colours, f"{seed} {name} {material == 'metal'} {turn // len(colours)}")[turn % len(colours)]
    pattern = dice.choice(patterned[material]) if printed else PLAIN
    cut = {choice: dice.choice(options) for choice, options in kind["cut"].items()}
    details = tuple(detail for detail, share in kind.get("details", {}).items() if dice.random() < share)
    if pattern != PLAIN and CONTRAST in details and dice.random() > PATTERNED_AND_TRIMMED:
        details = tuple(detail for detail in details if detail != CONTRAST)
    second = _second(kind, colour, cut, pattern, details, dice)
    metal = colour if material == "metal" else dice.choice(("gold", "silver", "silver"))
    look = Look(name, cut, colour, second, pattern, material, details, metal)
    return look if goes_together(kind, look) else None


def _second(
    kind: Kind, colour: str, cut: Mapping[str, str], pattern: str, details: tuple[str, ...], dice: random.Random
) -> str | None:
    """A second colour where something has it: a pattern, a trim, a stone, a dial, lenses."""
    for choice, options in kind.get("stones", {}).items():
        if cut[choice] in options:
            return dice.choice([one for one in (DIALS if choice == "case" else STONES) if one != colour])
    if TINTED in details:
        return dice.choice([one for one in ("brown", "blue", "green", "pink", "yellow", "purple") if one != colour])
    if pattern == "leopard":
        return "brown" if colour == "black" else "black"
    if pattern != PLAIN or CONTRAST in details:
        return dice.choice(data("cloth")["colours"][colour]["with"])
    return None


def _key(look: Look) -> object:
    """What can be seen of a look: two with the same would be the same picture."""
    return (look.kind, tuple(look.cut.items()), look.colour, look.second, look.pattern, look.material, look.details)
