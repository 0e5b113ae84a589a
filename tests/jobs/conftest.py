"""The small world of `tiny.py`, written once for all tests of jobs that need a bundle."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.jobs import tiny


@dataclass(frozen=True)
class World:
    """Folders, each given to a job as it is."""

    lm: Path
    bundle: Path
    catalogue: Path
    features: Path


@pytest.fixture(scope="session")
def tiny_world(tmp_path_factory) -> World:
    folder = tmp_path_factory.mktemp("tiny")
    lm = tiny.write_lm(folder / "lm")
    catalogue = tiny.write_squares(folder / "squares")
    return World(
        lm=lm,
        bundle=tiny.write_bundle(folder / "bundle", lm=lm),
        catalogue=folder / "squares",
        features=tiny.write_random_features(folder / "features", catalogue),
    )
