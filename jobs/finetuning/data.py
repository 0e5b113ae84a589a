"""Which items a run trains on and which it measures by: the training split alone, siblings together. Knows no model."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fromage_model.catalogue import Catalogue, Item
from fromage_model.catalogue.features import Features, read_features
from fromage_model.errors import CatalogueError
from jobs.finetuning.settings import FinetuneArgs

TRAINING_SPLIT = "train"


@dataclass(frozen=True)
class TrainingItems:
    """Items with a caption and features. `vectors`, (N, F), and `validation_features`, (M, F), are float32."""

    items: list[Item]
    vectors: np.ndarray = field(repr=False)
    validation_items: list[Item]
    validation_features: np.ndarray = field(repr=False)
    held_out_items: list[Item]
    features: Features = field(repr=False)


def select_items(args: FinetuneArgs) -> TrainingItems:
    """The training split's items, less the validation groups.

    Raises CatalogueError when the features are of another catalogue's state, or fewer than two items can be trained on.
    """
    catalogue = Catalogue.open(args.catalogue)
    features = read_features(args.features or catalogue.name)
    if features.catalogue_fingerprint != catalogue.fingerprint:
        raise CatalogueError(
            f"the features are of another state of {catalogue.name}; "
            f"`python -m jobs.embed --catalogue {args.catalogue}` renews them"
        )
    have = set(features.ids)
    usable = [item for item in catalogue.items(TRAINING_SPLIT) if item.caption and item.id in have]
    left_out = validation_groups([item.group or item.id for item in usable], share=args.validation)
    items = [item for item in usable if (item.group or item.id) not in left_out]
    validation = [item for item in usable if (item.group or item.id) in left_out]
    needed = 2 * args.workers
    if len(items) < needed:
        raise CatalogueError(
            f"{catalogue.name} has {len(items)} items with a caption to train on; at least {needed} are needed"
        )
    return TrainingItems(
        items=items,
        vectors=features.of([item.id for item in items]),
        validation_items=validation,
        validation_features=features.of([item.id for item in validation]),
        held_out_items=[item for item in catalogue.items() if item.split != TRAINING_SPLIT],
        features=features,
    )


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
