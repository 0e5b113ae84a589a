"""What of a wardrobe is held out of training: combinations, and whole kinds. A hash of the seed decides.

A combination is a kind with a colour and a pattern: held out, these three never stood together in training, though each
did. A kind that is held out was never seen at all, which is the hard measure; everyday kinds are not among those that
can be, so that who trains on the wardrobe still learns what a dress is.
"""

import hashlib
from functools import lru_cache

from fromage_model.catalogue.wardrobe.choose import kinds
from fromage_model.catalogue.wardrobe.look import Look

HELD_KINDS = 4
HELD_SHARE = 0.12
BY_KIND, BY_COMBINATION = "kind", "combination"


def group_of(look: Look, seed: int) -> str:
    """The group that a look shares with all that must be held out, or trained on, together with it."""
    if look.kind in held_kinds(seed):
        return f"wardrobe: {look.kind}"
    return f"wardrobe: {look.kind}, {look.colour}, {look.pattern}"


@lru_cache(maxsize=64)
def held_kinds(seed: int) -> frozenset[str]:
    """The kinds that are held out as a whole."""
    rare = [name for name, kind in kinds().items() if kind.get("hold")]
    return frozenset(sorted(rare, key=lambda name: _share(f"{seed} kind {name}"))[:HELD_KINDS])


def held_out_by(look: Look, seed: int) -> str | None:
    """`kind` or `combination`, or None for what is trained on."""
    if look.kind in held_kinds(seed):
        return BY_KIND
    return BY_COMBINATION if _share(f"{seed} {group_of(look, seed)}") < HELD_SHARE else None


def _share(text: str) -> float:
    """A number from 0 to 1 that depends on the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64
