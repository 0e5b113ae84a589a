"""The small world of `tiny.py`, written once for all tests of jobs that need a bundle, and what indexes it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from fromage_model.bundle import load_projection
from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.features import read_features
from fromage_model.index import RetrievalIndex
from jobs.common.durable.here import SHARDS_HERE
from jobs.common.showing.sayings import Saying, Use, sayings
from jobs.finetune import showing
from jobs.finetune.showing import later_turns
from jobs.index.job import IndexArgs
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


@pytest.fixture
def few_sayings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of what people say in place of thousands of messages, which the smallest LM reads for a minute."""

    def some(*uses: Use) -> list[Saying]:
        said = [one for one in sayings(*uses) if not one.pictured]
        return [one for wanted in (True, False) for one in [one for one in said if one.wanted == wanted][:12]]

    monkeypatch.setattr(showing, "sayings", some)
    monkeypatch.setattr(showing, "later_turns", lambda: later_turns()[:3])
    monkeypatch.setattr(showing, "later_remarks", list)


@pytest.fixture
def alone() -> Iterator[None]:
    """No Ray is there to be joined, whatever other tests have started: small work is done where it is asked for."""
    with without_ray():
        yield


@contextmanager
def without_ray(*, shards: int = SHARDS_HERE) -> Iterator[None]:
    """And so are up to so many shards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobs.common.durable.here.SHARDS_HERE", shards)
        patch.delenv("RAY_ADDRESS", raising=False)
        if "ray" in sys.modules:
            patch.setattr(sys.modules["ray"], "is_initialized", lambda: False)
        yield


@pytest.fixture
def index_args(tiny_world, tmp_path) -> Callable[..., IndexArgs]:
    """Options that index the tiny catalogue by its pictures into `tmp_path / "index"`, and whatever is changed."""

    def of(**changes) -> IndexArgs:
        settings = {
            "catalogue": str(tiny_world.catalogue),
            "bundle": str(tiny_world.bundle),
            "features": str(tiny_world.features),
            "out": str(tmp_path / "index"),
            "vectors": "image",
            "threads": 1,
        }
        return IndexArgs(**(settings | changes))

    return of


@pytest.fixture
def whole_index(tiny_world, tmp_path) -> None:
    """What the job would write there, made without it."""
    catalogue = Catalogue.open(tiny_world.catalogue)
    projection = load_projection(str(tiny_world.bundle))
    RetrievalIndex.build(
        projection.embed(read_features(tiny_world.features).of(catalogue.table["id"].to_pylist())),
        catalogue.table,
        fingerprint=projection.fingerprint,
        catalogue=catalogue.name,
        catalogue_fingerprint=catalogue.fingerprint,
    ).save(tmp_path / "index")


@pytest.fixture
def nothing_embedded(monkeypatch) -> None:
    """Fails the test where the job embeds anything."""

    def embeds(*args, **options):
        raise AssertionError("items were embedded")

    monkeypatch.setattr("jobs.index.job.embed_items", embeds)
