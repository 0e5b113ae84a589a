"""Training on more features than memory has room for: under a limit that they alone exceed."""

import multiprocessing
import resource
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.features import FULL_VIEW, FeaturesInfo, FeaturesWriter, read_features, write_info
from fromage_model.storage.artefacts import writing
from fromage_model.storage.pretrained import DEFAULT_VISION_ENCODER
from jobs.finetune.settings import FinetuneArgs
from jobs.finetune.worker import Worker
from tests.benchmarks.common.memory import status_bytes
from tests.jobs import tiny
from tests.jobs.finetune.test_step import tiny_args

ROWS, WIDTH, SHARD = 2000, 16384, 100
ROOM_BYTES = 80 * 2**20
"""Of private memory beside what a process has that trained before; the features are 131 MB."""


@pytest.fixture(scope="module")
def large(tiny_world, tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("large")
    catalogue = tiny.write_squares(folder / "many", colours=[f"#00{number:04x}" for number in range(ROWS)], held_out=0)
    return {"catalogue": str(folder / "many"), "features": str(write_wide(folder / "features", catalogue))}


def write_wide(folder: Path, catalogue: Catalogue) -> Path:
    ids = catalogue.table["id"].to_pylist()
    draw = np.random.default_rng(0)
    info = FeaturesInfo(
        encoder=DEFAULT_VISION_ENCODER,
        encoder_fingerprint="0" * 64,
        catalogue=catalogue.name,
        catalogue_fingerprint=catalogue.fingerprint,
        rows=ROWS,
        failed=0,
        width=WIDTH,
    )
    with writing(folder) as scratch:
        for number, start in enumerate(range(0, ROWS, SHARD)):
            (scratch / str(number)).mkdir()
            with FeaturesWriter(scratch / str(number), width=WIDTH) as writer:
                own = ids[start : start + SHARD]
                writer.add(own, [FULL_VIEW] * SHARD, draw.normal(size=(SHARD, WIDTH)).astype(np.float32))
            (scratch / str(number) / "features-00000.parquet").rename(scratch / f"features-{number:05d}.parquet")
            (scratch / str(number)).rmdir()
        write_info(scratch, info)
    return folder


def trained_under_a_limit(small: FinetuneArgs, large: FinetuneArgs) -> tuple[int, bool]:
    """-> steps, and whether the same limit is too small to read the features into memory."""
    torch.set_num_threads(1)
    train(small)  # what a process needs once, whatever it trains on
    used = status_bytes("VmData")
    resource.setrlimit(resource.RLIMIT_DATA, (used + ROOM_BYTES, resource.RLIM_INFINITY))
    worker = train(large)
    steps = worker.place.step
    try:
        read_features(str(large.features))
    except MemoryError:
        return steps, True
    return steps, False


def train(args: FinetuneArgs) -> Worker:
    worker = Worker(args, rank=0, world_size=1)
    worker.run_epoch(0, None)
    return worker


def test_features_that_memory_has_no_room_for_are_trained_on(tiny_world, large, monkeypatch, tmp_path):
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path))
    settings = {"conversations": False, "warm_start_steps": 0, "reply_tokens": 0, "epochs": 1}
    given = tiny_args(tiny_world, **settings), tiny_args(tiny_world, **settings, **large, steps_per_epoch=20)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        steps, too_small_for_all = pool.submit(trained_under_a_limit, *given).result()
    assert steps == 20
    assert too_small_for_all
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []
