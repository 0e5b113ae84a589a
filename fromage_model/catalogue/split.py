"""Which groups of siblings are held out of training: a sha256 decides, so nobody chooses. Knows nothing of pictures."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping

from fromage_model.catalogue.schema import HELD_OUT

DEFAULT_HELD_OUT_SHARE = 0.1


def held_out_groups(
    groups: Iterable[str], *, at_least: int | None = None, settled: Mapping[str, str] | None = None
) -> set[str]:
    """The groups to hold out, given the group of every item.

    Groups come in the order of their key's sha256, whole, until `at_least` items are held out; without it a tenth.
    Siblings share a group, so no drawing is both trained on and asked for. Groups that are `settled` keep their split:
    what a model was trained on is not held out because the catalogue grew.
    """
    sizes = Counter(groups)
    wanted = round(sizes.total() * DEFAULT_HELD_OUT_SHARE) if at_least is None else at_least
    settled = settled or {}
    chosen = {group for group in sizes if settled.get(group) == HELD_OUT}
    items = sum(sizes[group] for group in chosen)
    for group in sorted(sizes.keys() - settled.keys(), key=lambda key: hashlib.sha256(key.encode()).hexdigest()):
        if items >= wanted:
            break
        chosen.add(group)
        items += sizes[group]
    return chosen
