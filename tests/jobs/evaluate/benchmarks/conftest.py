"""A bundle, another of the same LM, and a FROZEN model, all untrained; options that measure them into a folder."""

from collections.abc import Callable

import pytest

from jobs.evaluate.options import EvaluateArgs
from tests.fromage_model import tiny_frozen
from tests.jobs import tiny


@pytest.fixture(scope="session")
def second_bundle(tiny_world, tmp_path_factory) -> str:
    return str(tiny.write_bundle(tmp_path_factory.mktemp("second") / "other", lm=tiny_world.lm, seed=3))


@pytest.fixture(scope="session")
def frozen_model(tiny_world, tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("frozen")
    model = tiny_frozen.build(tiny_world.lm, tiny_frozen.write_resnet(folder / "resnet"))
    model.save(folder / "frozen")
    return str(folder / "frozen")


@pytest.fixture
def benchmark_args(tiny_world, tmp_path) -> Callable[..., EvaluateArgs]:
    def of(benchmark: str, **changes) -> EvaluateArgs:
        settings = {
            "benchmark": benchmark,
            "bundle": str(tiny_world.bundle),
            "catalogue": str(tiny_world.catalogue),
            "data": str(tmp_path / "data"),
            "out": str(tmp_path / "out"),
        }
        return EvaluateArgs(**(settings | changes))

    return of


@pytest.fixture
def no_model(monkeypatch) -> None:
    """Fails the test where a model is opened."""

    def opens(*args, **options):
        raise AssertionError("a model was opened")

    monkeypatch.setattr("jobs.evaluate.benchmarks.captioning.load_captioner", opens)
    monkeypatch.setattr("jobs.evaluate.benchmarks.models.load_bundle", opens)


@pytest.fixture
def no_ray(monkeypatch) -> None:
    """Fails the test where a Ray is asked for."""

    def joins():
        raise AssertionError("a Ray was asked for")

    monkeypatch.setattr("jobs.evaluate.job.ray_session", joins)
    monkeypatch.setattr("jobs.evaluate.chat.measure.ray_session", joins)
