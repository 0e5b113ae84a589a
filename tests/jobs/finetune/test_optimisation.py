"""A step whose gradient is not finite changes nothing: float16 skips it, in other precisions it stops the run."""

import pickle
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from jobs.finetune import optimisation
from jobs.finetune.not_finite import NotFinite, refused
from jobs.finetune.worker import Worker
from tests.jobs.finetune.test_step import tiny_args

HUGE = 3e38


@pytest.fixture(params=["float32", "bfloat16", "float16"])
def worker(request, tiny_world) -> Worker:
    torch.manual_seed(0)
    found = Worker(tiny_args(tiny_world, dtype=request.param, keep_states=False), rank=0, world_size=1)
    found.model.train()
    return found


def everything(worker: Worker) -> dict[str, torch.Tensor]:
    """All that a step may change, the loss's scale and the count of skipped steps excepted."""
    held = {f"lm.{name}": value for name, value in worker.model.lm.state_dict().items()}
    held |= {f"trained.{name}": value for name, value in worker.model.trained.state_dict().items()}
    for number, state in worker.optimisation.optimizer.state_dict()["state"].items():
        held |= {f"moment {number}.{name}": value for name, value in state.items()}
    held["place in the schedule"] = torch.tensor(worker.optimisation.scheduler.last_epoch)
    return {name: value.clone() for name, value in held.items()}


def settle(worker: Worker) -> None:
    """One step that counts; in float16 the loss's scale may have to come down to a small model's gradients first."""
    for _ in range(8):
        if worker._step(0):
            return
    raise AssertionError(f"every step was skipped: {worker.optimisation.figures()}")


def overflow(worker: Worker) -> None:
    """Pictures so bright that their features leave float32's range on the way through the maps."""
    worker.sampler.features = worker.sampler.features * 0 + HUGE


def test_an_overflow_changes_nothing_and_stops_the_run_where_no_loss_is_scaled(worker, caplog):
    good = worker.sampler.features
    settle(worker)
    before = everything(worker)
    skipped, scale = worker.optimisation.skipped_steps, worker.optimisation.figures().get("loss_scale")
    overflow(worker)
    if worker.args.dtype == "float16":
        assert worker._step(1) == {}
        assert "skipped a step" in caplog.text
        assert worker.optimisation.figures()["loss_scale"] == scale / 2
    else:
        with pytest.raises(NotFinite, match=f"can't be taken: its loss is (nan|inf), in {worker.args.dtype}"):
            worker._step(1)
    after = everything(worker)
    assert before.keys() == after.keys()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []
    assert worker.optimisation.figures()["skipped_steps"] == skipped + 1
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


def test_the_error_names_epoch_step_dtype_and_the_items_of_the_step_and_says_what_to_try(worker, monkeypatch, tmp_path):
    monkeypatch.setattr(optimisation, "MAX_SKIPS_IN_A_ROW", 3)
    overflow(worker)
    step = worker.steps_per_epoch + 1
    if worker.args.dtype == "float16":
        assert [worker._step(step), worker._step(step)] == [{}, {}]
    with pytest.raises(NotFinite) as caught:
        worker._step(step)
    drawn = worker.sampler.draw(step)
    places = {one.item for one in drawn.shown} | set(drawn.captioned)
    crossed = pickle.loads(pickle.dumps(caught.value))  # as from a worker to the driver
    assert str(crossed) == str(caught.value)
    error = refused(crossed.stop, worker.data.items, tmp_path)
    assert f"epoch 2, step 2: {caught.value.stop.why}, in {worker.args.dtype}" in str(error)
    assert all(worker.data.items[place].id in str(error) for place in places)
    assert "--prefix-learning-rate" in str(error)
    if worker.args.dtype == "float16":
        assert "3 steps in a row were skipped" in str(error)
        assert str(error).endswith("dtype bfloat16 or float32")
    rows = pq.read_table(tmp_path / "failures.parquet").to_pylist()
    assert {row["row"] - 1: row["id"] for row in rows} == {place: worker.data.items[place].id for place in places}
    assert {(row["stage"], row["error"]) for row in rows} == {("epoch 2, step 2", "NotFinite")}
    assert all("loss nan" in row["message"] or "loss inf" in row["message"] for row in rows)


def test_frozen_parts_are_bit_equal_and_maps_float32_after_an_epoch(worker):
    before = {name: value.clone() for name, value in worker.model.lm.state_dict().items()}
    settle(worker)
    worker.run_epoch(0, None)
    assert all(torch.equal(value, before[name]) for name, value in worker.model.lm.state_dict().items())
    assert {value.dtype for value in worker.model.trained.state_dict().values()} == {torch.float32}


def test_resuming_restores_the_scale_and_the_count(worker, tiny_world, tmp_path: Path, monkeypatch):
    good = worker.sampler.features
    overflow(worker)
    with suppress(NotFinite):
        worker._step(0)
    worker.sampler.features = good
    settle(worker)
    worker.save(tmp_path, epochs_done=1, lineage={})
    resumed = Worker(worker.args, rank=0, world_size=1)
    assert resumed.load(tmp_path) == 1
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
