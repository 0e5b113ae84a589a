"""Which items a run trains on and which it measures by: the training split alone, siblings together. Knows no model."""

import dataclasses
import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from fromage_model.catalogue import Catalogue, Item
from fromage_model.catalogue.features import Features, read_features
from fromage_model.catalogue.mapped import mapped
from fromage_model.catalogue.schema import TRAIN, Failure
from fromage_model.catalogue.words import has_words, item_words
from fromage_model.errors import CatalogueError, FingerprintMismatch
from jobs.finetune.settings import FinetuneArgs

WHY = {
    "no_caption": "no caption",
    "no_words": "a caption without a letter or a digit",
    "no_features": "no features; `python -m jobs.embed` makes them of pictures that can be read",
}


@dataclass(frozen=True)
class TrainingItems:
    """Items with a caption and features. `vectors`, (N, F), and `validation_features`, (M, F), are float32; the first
    are mapped from a file, and need not fit into memory.

    The first `own` of the items are the catalogue's; the others are of further catalogues. `left_out` are those of all
    their training splits that can't be trained on; `row` is their place there, from 1.
    """

    items: list[Item]
    own: int
    vectors: np.ndarray = field(repr=False)
    validation_items: list[Item]
    validation_features: np.ndarray = field(repr=False)
    held_out_items: list[Item]
    left_out: list[Failure]
    features: Features = field(repr=False)
    catalogue_fingerprints: dict[str, str]

    @property
    def fingerprint(self) -> str:
        """A hash over what a catalogue's fingerprint leaves out: the items' splits, groups and words."""
        said = [
            [(item.id, item.group, item_words(item.attributes)) for item in items]
            for items in (self.items, self.validation_items, self.held_out_items)
        ]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]


def select_items(args: FinetuneArgs) -> TrainingItems:
    """The training split's items, less the validation groups.

    Raises CatalogueError when features are of another catalogue's state, a catalogue has no item in its training split,
    or fewer than two can be trained on, and FingerprintMismatch when a further catalogue's features come from another
    encoder.
    """
    catalogue = Catalogue.open(args.catalogue)
    features = _features_of(catalogue, args.features or catalogue.name)
    usable = _usable(catalogue, features)
    left_out = validation_groups([item.group or item.id for item in usable], share=args.validation)
    items = [item for item in usable if (item.group or item.id) not in left_out]
    validation = [item for item in usable if (item.group or item.id) in left_out]
    left_out_items = _left_out(catalogue, features)
    needed = 2 * args.workers
    if len(items) < needed:
        told = f"; --validation {args.validation:g} holds {len(validation)} out" if validation else ""
        if left_out_items:
            told += f"; {len(left_out_items)} can't be, the first: {left_out_items[0].message}"
        raise CatalogueError(
            f"{catalogue.name} has {len(items)} items with a caption to train on; at least {needed} are needed{told}"
        )
    vectors = [features.parts_of([item.id for item in items])]
    own = len(items)
    fingerprints = {catalogue.name: catalogue.fingerprint}
    stored = args.further_features or (None,) * len(args.further_catalogues)
    for name, own_name in zip(args.further_catalogues, stored, strict=True):
        further = Catalogue.open(name)
        found = _features_of(further, own_name or further.name)
        _check_encoder(found, further, expected=features.encoder_fingerprint)
        lent = _lent(further, found, per_group=args.further_per_group)
        left_out_items += _left_out(further, found, of=f" of {further.name}")
        items += lent
        vectors.append(found.parts_of([item.id for item in lent]))
        fingerprints[further.name] = further.fingerprint
    return TrainingItems(
        items=items,
        own=own,
        vectors=mapped(itertools.chain.from_iterable(vectors), width=features.info.width),
        validation_items=validation,
        validation_features=features.of([item.id for item in validation]),
        held_out_items=[item for item in catalogue.items() if item.split != TRAIN],
        left_out=left_out_items,
        features=features,
        catalogue_fingerprints=fingerprints,
    )


def _features_of(catalogue: Catalogue, name: str) -> Features:
    features = read_features(name, on_disk=True)
    if features.catalogue_fingerprint != catalogue.fingerprint:
        raise CatalogueError(
            f"the features are of another state of {catalogue.name}; "
            f"`python -m jobs.embed --catalogue {catalogue.name}` renews them"
        )
    broken = [id for id, vector in zip(features.ids, features.vectors, strict=True) if not np.isfinite(vector).all()]
    if broken:
        raise CatalogueError(
            f"the features of {len(broken)} items of {catalogue.name} hold numbers that are not finite, {broken[0]} "
            f"among them; `python -m jobs.embed --catalogue {catalogue.name} --force` makes them anew"
        )
    return features


def training_items(catalogue: Catalogue) -> list[Item]:
    """The items of its training split. Raises CatalogueError, with the splits that there are, where it has none."""
    items = catalogue.items(TRAIN)
    if not items:
        splits = ", ".join(sorted({str(split) for split in catalogue.table.column("split").to_pylist()}))
        raise CatalogueError(
            f"{catalogue.name} has no item in its split {TRAIN}, of {len(catalogue)} in all; its splits: {splits}"
        )
    return items


def _usable(catalogue: Catalogue, features: Features) -> list[Item]:
    have = set(features.ids)
    return [item for item in training_items(catalogue) if _problem(item, have) is None]


def _left_out(catalogue: Catalogue, features: Features, *, of: str = "") -> list[Failure]:
    have, now = set(features.ids), datetime.now(UTC)
    problems = [(row, item, _problem(item, have)) for row, item in enumerate(training_items(catalogue), start=1)]
    return [
        Failure(row, item.id, item.image, "read", problem, f"{item.id}{of} has {WHY[problem]}", 1, now)
        for row, item, problem in problems
        if problem is not None
    ]


def _problem(item: Item, have: Collection[str]) -> str | None:
    """Why it can't be trained on, one of WHY."""
    if not (item.caption or "").strip():
        return "no_caption"
    if not has_words(item.caption):
        return "no_words"
    return None if item.id in have else "no_features"


def _check_encoder(features: Features, catalogue: Catalogue, *, expected: str) -> None:
    if features.encoder_fingerprint != expected:
        what = f"the features of {catalogue.name} were made by another vision encoder than the others"
        raise FingerprintMismatch(what, expected=expected, found=features.encoder_fingerprint)


def _lent(catalogue: Catalogue, features: Features, *, per_group: int) -> list[Item]:
    """A further catalogue's items, their groups kept apart from all others'."""
    taken: Counter[str] = Counter()
    lent = []
    for item in _usable(catalogue, features):
        group = f"{catalogue.name}/{item.group or item.id}"
        taken[group] += 1
        if taken[group] <= per_group:
            lent.append(dataclasses.replace(item, group=group))
    return lent


def validation_groups(groups: Sequence[str], *, share: float) -> set[str]:
    """The first groups in the order of a salted sha256 until they hold `share` of the items."""
    sizes: dict[str, int] = {}
    for group in groups:
        sizes[group] = sizes.get(group, 0) + 1
    chosen: set[str] = set()
    held = 0
    for group in sorted(sizes, key=lambda group: hashlib.sha256(f"validation:{group}".encode()).hexdigest()):
        if held >= share * len(groups):
            break
        chosen.add(group)
        held += sizes[group]
    return chosen
