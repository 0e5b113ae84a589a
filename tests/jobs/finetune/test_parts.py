"""A step in parts has the gradients of the whole, by the same noise and dropout, and holds less of a graph at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed, multiprocessing

from fromage_model.errors import ConfigError
from jobs.finetune.examples.examples import StepExamples
from jobs.finetune.parts import in_parts
from jobs.finetune.settings import FinetuneArgs
from jobs.finetune.worker import Worker
from tests.jobs import tiny
from tests.jobs.finetune.test_step import tiny_args

ITEMS, COUNT = 24, 4
CALM = {"dropout": 0.0, "feature_noise": 0.0, "lora_dropout": 0.0}
LOSSES = {"loss", "info_nce", "next_token", "talk", "caption", "accuracy"}


@pytest.fixture(scope="module")
def many(tiny_world, tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("parts")
    colours = [f"#0000{number:02x}" for number in range(ITEMS)]
    captions = {colour: f"square {'very ' * (number % 5)}{number}" for number, colour in enumerate(colours)}
    catalogue = tiny.write_squares(folder / "many", colours=colours, held_out=0, captions=captions)
    features = tiny.write_random_features(folder / "features", catalogue)
    return {"catalogue": str(folder / "many"), "features": str(features)}


@pytest.fixture
def make(tiny_world, many):
    def of(**settings) -> Worker:
        torch.manual_seed(0)
        sizes = {"batch_size": ITEMS - 3, "caption_batch_size": 7, "talk_batch_size": 5}
        worker = Worker(tiny_args(tiny_world, **many, **(sizes | settings)), rank=0, world_size=1)
        worker.model.train()
        return worker

    return of


def gradients(worker: Worker) -> dict[str, Tensor]:
    return {name: one.grad.clone() for name, one in worker.model.trained.named_parameters() if one.grad is not None}


def whole(worker: Worker, examples: StepExamples) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    worker.model.zero_grad()
    parts = worker.step(examples)
    parts["loss"].backward()
    return gradients(worker), parts


def cut(worker: Worker, examples: StepExamples, count: int = COUNT) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    worker.model.zero_grad()
    told: dict[str, Tensor] = {}
    for loss in in_parts(worker.step, examples, count=count, told=told):
        loss.backward()
    return gradients(worker), told


def assert_alike(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        assert float((found[name] - gradient).norm()) <= 1e-5 * float(gradient.norm()) + 1e-9, name


CAPTIONS = {"conversations": False}
SETTINGS = {
    "conversations": {},
    "LoRA": {"lora_rank": 2},
    "captions": CAPTIONS,
    "captions, two in a sequence": CAPTIONS | {"concat_captions_prob": 1.0},
    "checkpointed": {"checkpoint_activations": True, "lora_rank": 2},
}


@pytest.mark.parametrize("count", [2, COUNT, ITEMS - 3])
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_parts_have_the_gradients_and_losses_of_the_whole(make, settings, count):
    worker = make(**CALM, **settings)
    examples = worker.sampler.draw(0)
    expected, losses = whole(worker, examples)
    found, told = cut(worker, examples, count)
    assert_alike(found, expected)
    assert set(told) == LOSSES
    for name, value in losses.items():
        assert float(told[name]) == pytest.approx(float(value.detach()), rel=1e-5, abs=1e-6), name


def test_with_noise_and_dropout_a_part_is_embedded_twice_alike(make, monkeypatch):
    """The second time with a graph: what it takes on is the gradient at the very embeddings that were contrasted."""
    worker = make(dropout=0.4, feature_noise=0.3, image_dropout=0.2, lora_rank=2, lora_dropout=0.2)
    seen: dict[bool, list[Tensor]] = {True: [], False: []}
    ask, images_of = worker.model.ask, worker.step.images_of

    def asked(prompts):
        made = ask(prompts)
        seen[torch.is_grad_enabled()].append(made.embeddings.detach())
        return made

    def pictures(shown):
        made = images_of(shown)
        seen[torch.is_grad_enabled()].append(made.detach())
        return made

    monkeypatch.setattr(worker.model, "ask", asked)
    monkeypatch.setattr(worker.step, "images_of", pictures)
    cut(worker, worker.sampler.draw(0))
    assert len(seen[True]) == len(seen[False]) >= 2 * COUNT
    for again, first in zip(seen[True], seen[False], strict=True):
        torch.testing.assert_close(again, first, atol=1e-5, rtol=0)


def test_a_graph_of_parts_is_smaller(make):
    worker = make(**CALM, lora_rank=2)
    examples = worker.sampler.draw(0)
    held = {}
    for name, run in (("whole", whole), ("parts", cut)):
        with graph_bytes() as peak:
            run(worker, examples)
        held[name] = peak[0]
    assert held["parts"] < 0.4 * held["whole"]


def test_a_run_in_parts_learns_and_a_step_of_it_is_that_of_the_whole(make):
    finals = []
    for accumulate in (1, 3):
        worker = make(**CALM, accumulate=accumulate)
        for step in range(3):
            worker._step(step)
        finals.append({name: value.detach().clone() for name, value in worker.model.trained.named_parameters()})
    for name, value in finals[0].items():
        torch.testing.assert_close(finals[1][name], value, atol=2e-5, rtol=1e-3, msg=name)


def test_float16_scales_each_part(make):
    worker = make(**CALM, accumulate=3)
    examples = worker.sampler.draw(0)
    expected, _ = whole(worker, examples)
    worker.optimisation.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    worker.optimisation._max_norm = 0.0
    worker.optimisation.apply(worker._losses(examples, {}))
    assert_alike(gradients(worker), expected)


@pytest.mark.parametrize(("accumulate", "told"), [(0, "accumulate is 0"), (5, "at most the batch_size, 4")])
def test_parts_that_can_not_be_are_refused(tiny_world, accumulate, told):
    with pytest.raises(ConfigError, match=told):
        tiny_args(tiny_world, accumulate=accumulate)


def in_worker(rank: int, args: FinetuneArgs, results: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{results}/meeting", rank=rank, world_size=2)
    torch.manual_seed(0)
    worker = Worker(args, rank=rank, world_size=2)
    worker.model.train()
    drawn = worker.sampler.draw(0, rank=rank, world_size=2)
    worker.model.zero_grad()
    worker.forward(drawn)["loss"].backward()
    torch.save(gradients(worker), results / f"whole {rank}.pt")
    torch.save(cut(worker, drawn)[0], results / f"parts {rank}.pt")
    distributed.destroy_process_group()


def test_two_workers_in_parts_have_the_gradients_of_two_with_the_whole(tiny_world, many, tmp_path, monkeypatch):
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))
    args = tiny_args(tiny_world, **many, **CALM, batch_size=ITEMS // 2, keep_states=False)
    multiprocessing.spawn(in_worker, (args, tmp_path), nprocs=2)
    for rank in range(2):
        found, expected = (torch.load(tmp_path / f"{way} {rank}.pt", weights_only=True) for way in ("parts", "whole"))
        assert_alike(found, expected)


@contextmanager
def graph_bytes() -> Iterator[list[int]]:
    """The most that the graph held at once of what it saved, each storage once."""
    held: dict[int, list[int]] = {}
    peak = [0]

    class Saved:
        def __init__(self, tensor: Tensor):
            self.tensor = tensor
            self.key = tensor.untyped_storage().data_ptr()
            held.setdefault(self.key, [tensor.untyped_storage().nbytes(), 0])[1] += 1
            peak[0] = max(peak[0], sum(size for size, _ in held.values()))

        def __del__(self):
            held[self.key][1] -= 1
            if held[self.key][1] == 0:
                del held[self.key]

    def pack(tensor: Tensor) -> Saved | Tensor:
        return tensor if isinstance(tensor, torch.nn.Parameter) or tensor.is_leaf else Saved(tensor)

    def unpack(saved: Saved | Tensor) -> Tensor:
        return saved.tensor if isinstance(saved, Saved) else saved

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        yield peak
