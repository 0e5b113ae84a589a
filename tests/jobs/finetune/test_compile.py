"""`--compile`: a step learns what a plain one does, a run may change it, and without a compiler one line says so."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch._dynamo.utils import counters
from torch._inductor import config as inductor

from fromage_model.errors import ConfigError
from jobs.finetune.epochs import EpochWorker
from jobs.finetune.frozen.job import main as train_frozen
from jobs.finetune.frozen.settings import FrozenArgs
from jobs.finetune.job import main as train_fromage
from jobs.finetune.settings import FinetuneArgs
from jobs.finetune.worker import Worker
from tests.jobs.finetune.test_step import tiny_args

STEPS = 3
MOST_GRAPHS = 4
"""Batches with and without padding, of one sequence and of several."""


@contextmanager
def nothing_compiled() -> Iterator[None]:
    """Whatever other tests let torch compile in this process. Scalar loops take the compiler a part of the time."""
    torch._dynamo.reset()
    with inductor.patch({"cpp.simdlen": 1}):
        yield
    torch._dynamo.reset()


def assert_alike(make: Callable[..., EpochWorker]) -> None:
    """Steps of a worker that compiles, against those of one that does not: losses, gradients, and how many graphs."""
    told, graphs = [], 0
    with nothing_compiled():
        for compiles in (False, True):
            torch.manual_seed(0)
            worker = make(compile=compiles)
            worker.model.train()
            before = counters["stats"]["unique_graphs"]
            told.append([worker._step(step) for step in range(STEPS)])
            graphs = counters["stats"]["unique_graphs"] - before
    for plain, compiled in zip(*told, strict=True):
        assert {"loss", "gradient_norm"} <= compiled.keys()
        assert compiled == pytest.approx(plain, rel=1e-4, abs=1e-6)
    assert 1 <= graphs <= MOST_GRAPHS


def test_a_step_has_the_losses_and_the_gradient_of_a_plain_one(tiny_world):
    """Noise and dropout are on: the random numbers are the same."""
    assert_alike(lambda **settings: Worker(tiny_args(tiny_world, **settings), rank=0, world_size=1))


@pytest.mark.parametrize("args", [FinetuneArgs, FrozenArgs])
def test_a_run_goes_on_with_and_without_it(args):
    assert args(compile=True).decisive() == args().decisive()


@pytest.mark.parametrize(("main", "args"), [(train_fromage, FinetuneArgs), (train_frozen, FrozenArgs)])
def test_without_a_compiler_it_is_refused_before_anything_is_read(main, args):
    with (
        inductor.patch({"cpp.cxx": (None, "/nowhere/c++")}),
        pytest.raises(ConfigError, match="needs a C\\+\\+ compiler"),
    ):
        main(args(catalogue="nowhere", compile=True))


def test_the_command_then_ends_in_one_line(tmp_path):
    command = [sys.executable, "-m", "jobs.finetune", "--catalogue", "nowhere", "--compile"]
    environment = os.environ | {"CXX": "/nowhere/c++", "FROMAGE_HOME": str(tmp_path)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ended.returncode == 2
    assert "compile needs a C++ compiler" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
