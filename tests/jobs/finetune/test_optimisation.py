"""A step whose gradient is not finite changes nothing but the count, in every precision."""

from pathlib import Path

import pytest
import torch

from jobs.finetune import loop, optimisation
from tests.jobs.finetune.test_step import tiny_args

HUGE = 3e38


@pytest.fixture(params=["float32", "bfloat16", "float16"])
def worker(request, tiny_world) -> loop.Worker:
    torch.manual_seed(0)
    found = loop.Worker(tiny_args(tiny_world, dtype=request.param), rank=0, world_size=1)
    found.model.train()
    return found


def everything(worker: loop.Worker) -> dict[str, torch.Tensor]:
    """All that a step may change, the loss's scale and the count of skipped steps excepted."""
    held = {f"lm.{name}": value for name, value in worker.model.lm.state_dict().items()}
    held |= {f"trained.{name}": value for name, value in worker.model.trained.state_dict().items()}
    for number, state in worker.optimisation.optimizer.state_dict()["state"].items():
        held |= {f"moment {number}.{name}": value for name, value in state.items()}
    held["place in the schedule"] = torch.tensor(worker.optimisation.scheduler.last_epoch)
    return {name: value.clone() for name, value in held.items()}


def settle(worker: loop.Worker) -> None:
    """One step that counts; in float16 the loss's scale may have to come down to a small model's gradients first."""
    for _ in range(8):
        if worker._step(0):
            return
    raise AssertionError(f"every step was skipped: {worker.optimisation.figures()}")


def overflow(worker: loop.Worker) -> None:
    """Pictures so bright that their features leave float32's range on the way through the maps."""
    worker.sampler.features = worker.sampler.features * 0 + HUGE


def test_an_overflow_is_skipped_and_counted_and_changes_nothing(worker, caplog):
    good = worker.sampler.features
    settle(worker)
    before = everything(worker)
    skipped, scale = worker.optimisation.skipped_steps, worker.optimisation.figures().get("loss_scale")
    overflow(worker)
    assert worker._step(1) == {}
    after = everything(worker)
    assert before.keys() == after.keys()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []
    assert worker.optimisation.figures()["skipped_steps"] == skipped + 1
    assert "skipped a step" in caplog.text
    if worker.args.dtype == "float16":
        assert worker.optimisation.figures()["loss_scale"] == scale / 2
    else:
        assert scale is None
    worker.sampler.features = good
    settle(worker)
    assert everything(worker)["place in the schedule"] == before["place in the schedule"] + 1


def test_skipped_steps_stay_out_of_the_epoch_s_means(worker, monkeypatch):
    losses = iter([{"loss": 2.0}, {}, {"loss": 4.0}])

    def step(number: int) -> dict[str, float]:
        found = next(losses)
        worker.optimisation.skipped_steps += not found
        return found

    monkeypatch.setattr(worker, "_step", step)
    worker.steps_per_epoch = 3
    figures = worker.run_epoch(0, None)
    assert (figures["loss"], figures["skipped_steps"]) == (3.0, 1)


def test_overflows_without_end_are_an_error_that_says_what_to_try(worker, monkeypatch):
    monkeypatch.setattr(optimisation, "MAX_SKIPS_IN_A_ROW", 3)
    overflow(worker)
    worker._step(0)
    worker._step(1)
    with pytest.raises(FloatingPointError, match=r"3 steps in a row .* dtype bfloat16 or float32"):
        worker._step(2)


def test_frozen_parts_are_bit_equal_and_maps_float32_after_an_epoch(worker):
    before = {name: value.clone() for name, value in worker.model.lm.state_dict().items()}
    settle(worker)
    worker.run_epoch(0, None)
    assert all(torch.equal(value, before[name]) for name, value in worker.model.lm.state_dict().items())
    assert {value.dtype for value in worker.model.trained.state_dict().values()} == {torch.float32}


def test_resuming_restores_the_scale_and_the_count(worker, tiny_world, tmp_path: Path, monkeypatch):
    from ray.train import Checkpoint

    good = worker.sampler.features
    overflow(worker)
    worker._step(0)
    worker.sampler.features = good
    settle(worker)
    worker.save(tmp_path, 0, lineage={})
    resumed = loop.Worker(worker.args, rank=0, world_size=1)
    monkeypatch.setattr(loop.train, "get_checkpoint", lambda: Checkpoint.from_directory(tmp_path))
    assert resumed.resume() == 1
    assert resumed.optimisation.figures() == worker.optimisation.figures()
    before, after = everything(worker), everything(resumed)
    assert [name for name in before if not torch.equal(before[name], after[name])] == []


def test_states_that_overflow_stop_the_warm_start_before_they_spoil_the_statistics(worker):
    before = everything(worker)
    with torch.no_grad():
        worker.model.lm.backbone.base_model.norm.weight.mul_(torch.inf)
    with pytest.raises(FloatingPointError, match=f"not finite in {worker.args.dtype}; try dtype bfloat16 or float32"):
        worker.warm_start()
    after = everything(worker)
    assert all(torch.equal(value, after[name]) for name, value in before.items() if name.startswith("trained."))
