"""Which groups of siblings are held out of training: a sha256 decides, so nobody chooses. Knows nothing of pictures."""

import hashlib
from collections import Counter
from collections.abc import Iterable

DEFAULT_HELD_OUT_SHARE = 0.1


def held_out_groups(groups: Iterable[str], *, at_least: int | None = None) -> set[str]:
    """The groups to hold out, given the group of every item.

    Groups come in the order of their key's sha256, whole, until `at_least` items are held out; without it a tenth.
    Siblings share a group, so no drawing is both trained on and asked for.
    """
    sizes = Counter(groups)
    wanted = round(sizes.total() * DEFAULT_HELD_OUT_SHARE) if at_least is None else at_least
    chosen: set[str] = set()
    items = 0
    for group in sorted(sizes, key=lambda key: hashlib.sha256(key.encode()).hexdigest()):
        if items >= wanted:
            break
        chosen.add(group)
        items += sizes[group]
    return chosen
