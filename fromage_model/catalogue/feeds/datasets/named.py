"""Data sets by the name that stands before their place: `coco-karpathy:FOLDER`, `vqav2:FOLDER` and their like."""

from collections.abc import Callable
from dataclasses import dataclass

from fromage_model.catalogue.feeds.datasets import conceptual, karpathy, vqav2
from fromage_model.catalogue.feeds.feed import Feed
from fromage_model.errors import ConfigError


@dataclass(frozen=True)
class Dataset:
    """What reads it. `place` says in words what stands behind the name."""

    name: str
    place: str
    expected: str
    read: Callable[[str], Feed]
    sha256: Callable[[str], str]


DATASETS = {
    one.name: one
    for one in (
        Dataset(karpathy.NAME, "FOLDER", karpathy.EXPECTED, karpathy.read_karpathy, karpathy.karpathy_sha256),
        Dataset(vqav2.NAME, "FOLDER", vqav2.EXPECTED, vqav2.read_vqav2, vqav2.vqav2_sha256),
        Dataset(conceptual.NAME, "FILE", conceptual.EXPECTED, conceptual.read_conceptual, conceptual.conceptual_sha256),
    )
}
FORMS = ", ".join(f"{one.name}:{one.place}" for one in DATASETS.values())


def split_source(source: str) -> tuple[Dataset, str] | None:
    """The data set and its place, or None where `source` names none. Raises ConfigError where the place is missing."""
    name, colon, place = source.partition(":")
    dataset = DATASETS.get(name)
    if dataset is None or not colon:
        return None
    if not place.strip():
        raise ConfigError(
            f"{source} names no {dataset.place.lower()}; expected {name}:{dataset.place}, {dataset.expected}"
        )
    return dataset, place
