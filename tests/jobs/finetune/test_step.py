"""Training changes the maps and [RET] alone; several workers compute what one would; a stop costs nothing."""

import hashlib
import math

import pytest
import torch
from torch import nn

from fromage_model.bundle import load_bundle
from fromage_model.storage.pretrained import DEFAULT_VISION_ENCODER
from fromage_model.vision.encoders import load_vision_encoder
from jobs.finetune.settings import FinetuneArgs
from jobs.finetune.step import positive_pairs
from jobs.finetune.worker import BUNDLE_FOLDER, Worker


def tiny_args(world, **settings) -> FinetuneArgs:
    values = {
        "catalogue": str(world.catalogue),
        "features": str(world.features),
        "language_model": str(world.lm),
        "visual_tokens": 2,
        "shared_width": 8,
        "text_layers": (-1,),
        "system_prompt": "",
        "examples": (("a hat", "A hat."),),
        "epochs": 2,
        "batch_size": 4,
        "caption_batch_size": 2,
        "talk_batch_size": 3,
        "warm_start_steps": 3,
        "phrasings": 2,
        "warmup_steps": 1,
        "reply_tokens": 2,
        "dtype": "float32",
        "threads": 1,
    }
    return FinetuneArgs(**values | settings)


@pytest.fixture
def worker(tiny_world) -> Worker:
    torch.manual_seed(0)
    return Worker(tiny_args(tiny_world), rank=0, world_size=1)


def state_hash(module: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def test_frozen_parts_do_not_change_by_one_bit_in_training(worker):
    encoder = load_vision_encoder(DEFAULT_VISION_ENCODER)
    worker.model.encoder = encoder
    before = state_hash(worker.model.lm), state_hash(encoder)
    trained = {name: value.clone() for name, value in worker.model.trained.named_parameters()}
    worker.warm_start()
    for epoch in range(2):
        worker.run_epoch(epoch, None)
    assert (state_hash(worker.model.lm), state_hash(encoder)) == before
    assert all(parameter.grad is None for parameter in worker.model.lm.parameters())
    unchanged = [name for name, value in worker.model.trained.named_parameters() if torch.equal(value, trained[name])]
    assert unchanged == []


def test_only_the_maps_and_ret_are_in_the_optimizer_each_once(worker):
    held = [id(parameter) for group in worker.optimisation.optimizer.param_groups for parameter in group["params"]]
    assert len(held) == len(set(held))
    assert set(held) == {id(parameter) for parameter in worker.model.trained.parameters()}
    trainable = {id(parameter) for parameter in worker.model.parameters() if parameter.requires_grad}
    assert trainable == set(held)


def test_matrices_decay_and_nothing_else(worker):
    for group in worker.optimisation.optimizer.param_groups:
        matrices = {parameter.ndim >= 2 for parameter in group["params"]}
        assert len(matrices) == 1
        assert (group["weight_decay"] > 0) == matrices.pop()


def test_after_each_step_ret_is_as_long_as_other_rows_on_average(worker):
    worker.model.train()
    worker._step(0)
    lm = worker.model.lm
    tables = [lm.backbone.get_input_embeddings().weight, lm.backbone.get_output_embeddings().weight]
    for row, table in zip(worker.model.trained.ret.parameters(), tables, strict=False):
        expected = float(table[: lm.vocabulary].norm(dim=1).mean())
        assert float(row.detach().norm()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("learn", ["step", "warm start"])
def test_the_temperature_is_bounded_after_each_step_and_not_stuck_there(worker, learn):
    scale = worker.model.trained.log_scale
    with torch.no_grad():
        scale.fill_(9.0)
    worker.model.train()
    worker._step(0) if learn == "step" else worker.warm_start()
    assert float(scale) <= math.log(100) + 1e-6
    worker.model.train()
    worker.step(worker.sampler.draw(0))["loss"].backward()
    assert scale.grad != 0


def test_the_warm_start_trains_the_heads_and_the_output_row_alone(worker):
    before = {name: value.clone() for name, value in worker.model.trained.named_parameters()}
    worker.warm_start()
    changed = {name for name, value in worker.model.trained.named_parameters() if not torch.equal(value, before[name])}
    heads = {name for name in before if name.startswith(("image_head.", "text_head.")) or name == "log_scale"}
    heads.add("ret.output_row")
    assert changed == heads


def test_a_step_reports_finite_parts_that_add_up(worker):
    worker.model.train()
    parts = {name: float(value.detach()) for name, value in worker.step(worker.sampler.draw(0)).items()}
    weights = worker.step.weights
    total = sum(getattr(weights, name) * parts[name] for name in ("info_nce", "next_token", "talk", "caption"))
    assert parts["loss"] == pytest.approx(total, rel=1e-4)
    assert 0 <= parts["accuracy"] <= 1


def test_order_within_a_batch_does_not_mix_up_texts_and_pictures(worker):
    """Prompts are sorted by length on their way through the LM; each comes back to its own place."""
    shown = worker.sampler.draw(0).shown
    embeddings, _ = worker.step._ask(shown)
    for row, one in zip(embeddings, shown, strict=True):
        alone = worker.model.ask([worker.step.prompt_of(one)]).embeddings[0]
        torch.testing.assert_close(row, alone, atol=1e-4, rtol=0)


def test_a_run_that_was_stopped_ends_where_an_undisturbed_one_does(tiny_world, tmp_path, monkeypatch):
    def fresh() -> Worker:
        torch.manual_seed(0)
        return Worker(tiny_args(tiny_world), rank=0, world_size=1)

    whole = fresh()
    whole.warm_start()
    for epoch in range(2):
        whole.run_epoch(epoch, None)
        if epoch == 0:
            whole.save(tmp_path, epochs_done=1, lineage={})
    torch.manual_seed(99)
    resumed = Worker(tiny_args(tiny_world), rank=0, world_size=1)
    assert resumed.load(tmp_path) == 1
    resumed.run_epoch(1, None)
    assert state_hash(resumed.model.trained) == state_hash(whole.model.trained)


def test_a_checkpoint_holds_a_bundle_that_loads(worker, tmp_path):
    worker.save(tmp_path, epochs_done=1, lineage={"job": "test"})
    loaded = load_bundle(str(tmp_path / BUNDLE_FOLDER), dtype=torch.float32)
    assert loaded.text_embeddings(["a red square"]).shape == (1, 8)


def test_positive_pairs_are_items_themselves_and_weakly_their_siblings():
    found = positive_pairs(["a", "b", "a", "c"], ["x", "x", "x", "y"], sibling=0.25)
    assert found.tolist() == [
        [1.0, 0.25, 1.0, 0.0],
        [0.25, 1.0, 0.25, 0.0],
        [1.0, 0.25, 1.0, 0.0],
        [0.0, 0.0, 0.0, 1.0],
    ]
