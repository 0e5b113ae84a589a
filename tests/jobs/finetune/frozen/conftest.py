"""A small world for FROZEN: an LM of two layers, a ResNet of two stages, squares with their colours as captions."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from jobs.finetune.frozen.settings import FrozenArgs
from tests.fromage_model import tiny_frozen
from tests.jobs import tiny

COLOURS = ("red", "green", "blue", "white", "black", "navy", "teal", "olive")


@dataclass(frozen=True)
class World:
    """Folders, each given to the job as it is."""

    lm: Path
    resnet: Path
    catalogue: Path
    twice: Path
    """Colours whose captions are but two, so that episodes can be made of them."""


@pytest.fixture(scope="session")
def frozen_world(tmp_path_factory, tiny_world) -> World:
    folder = tmp_path_factory.mktemp("frozen-training")
    tiny.write_squares(folder / "squares", colours=COLOURS, held_out=0)
    said = {colour: "a dark square" if number % 2 else "a light square" for number, colour in enumerate(COLOURS)}
    tiny.write_squares(folder / "twice", colours=COLOURS, held_out=0, captions=said)
    return World(
        lm=tiny_world.lm,
        resnet=tiny_frozen.write_resnet(folder / "resnet"),
        catalogue=folder / "squares",
        twice=folder / "twice",
    )


@pytest.fixture
def frozen_args(frozen_world) -> Callable[..., FrozenArgs]:
    """Settings over the small world, and whatever is changed."""

    def of(**changes) -> FrozenArgs:
        settings = {
            "catalogue": str(frozen_world.catalogue),
            "language_model": str(frozen_world.lm),
            "vision_encoder": str(frozen_world.resnet),
            "local_cells": (2, 2),
            "epochs": 2,
            "batch_size": 4,
            "map_learning_rate": 1e-2,
            "encoder_learning_rate": 1e-2,
            "warmup_steps": 1,
            "dtype": "float32",
            "threads": 1,
            "cpus_per_worker": 0.5,
        }
        return FrozenArgs(**(settings | changes))

    return of
