"""One worker with 32 items and two with 16 each take the same step."""

from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing

from fromage_model.storage.artefacts import home
from jobs.finetune.examples.examples import Shown, StepExamples
from jobs.finetune.settings import FinetuneArgs
from jobs.finetune.step import StepWeights
from jobs.finetune.worker import Worker
from tests.jobs import tiny
from tests.jobs.finetune.test_step import tiny_args

WORKERS, ITEMS = 2, 32
CONTRAST = StepWeights(caption=0.0, next_token=0.0, talk=0.0, feature_noise=0.0)
EVERYTHING = StepWeights(feature_noise=0.0)


def share_of(examples: StepExamples, rank: int, world_size: int) -> StepExamples:
    def cut(every: list) -> list:
        each = len(every) // world_size
        return every[rank * each : (rank + 1) * each]

    return StepExamples(shown=cut(examples.shown), captioned=cut(examples.captioned), talks=cut(examples.talks))


def alike(worker: Worker) -> StepExamples:
    """Texts of one length each: of such, the mean over all is the mean of the workers' means in every loss."""
    items = range(ITEMS)
    return StepExamples(
        shown=[Shown(item, caption=f"A picture of {worker.sampler.caption_of(item)}.") for item in items],
        captioned=list(items),
        talks=[worker.sampler.small_talk()[0]] * 4,
    )


def step(args: FinetuneArgs, rank: int, world_size: int, results: Path) -> None:
    """Gradients of drawn conversations under the contrastive loss, then of captions under all losses."""
    torch.manual_seed(0)
    worker = Worker(args, rank=rank, world_size=world_size)
    worker.sampler.batch_size = ITEMS  # all workers draw what one would, and take their shares
    for name, weights, drawn in (
        ("contrast", CONTRAST, worker.sampler.draw(0)),
        ("everything", EVERYTHING, alike(worker)),
    ):
        worker.step.weights = weights
        worker.model.zero_grad()
        worker.forward(share_of(drawn, rank, world_size))["loss"].backward()
        gradients = {part: value.grad.clone() for part, value in worker.model.trained.named_parameters()}
        torch.save(gradients, results / f"{name} {rank} of {world_size}.pt")


def one_of_many(rank: int, args: FinetuneArgs, results: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{results}/meeting", rank=rank, world_size=WORKERS)
    step(args, rank, WORKERS, results)
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def results(tiny_world, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("workers")
    colours = [f"#0000{number:02x}" for number in range(ITEMS)]
    captions = {colour: f"square {number + 10}" for number, colour in enumerate(colours)}
    catalogue = tiny.write_squares(folder / "many", colours=colours, held_out=0, captions=captions)
    features = tiny.write_random_features(folder / "features", catalogue)
    settings = {"batch_size": ITEMS, "dropout": 0.0, "keep_states": False, "features": str(features)}
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FROMAGE_HOME", str(folder / "home"))
        assert home() == folder / "home"
        args = tiny_args(tiny_world, catalogue=str(folder / "many"), **settings)
        step(args, 0, 1, folder)
        multiprocessing.spawn(one_of_many, (args, folder), nprocs=WORKERS)
    return folder


@pytest.mark.parametrize("losses", ["contrast", "everything"])
def test_two_workers_with_16_items_have_the_gradients_of_one_with_32(results, losses):
    expected = torch.load(results / f"{losses} 0 of 1.pt", weights_only=True)
    for rank in range(WORKERS):
        found = torch.load(results / f"{losses} {rank} of {WORKERS}.pt", weights_only=True)
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            difference = float((found[name] - gradient).norm())
            assert difference <= 2e-6 * float(gradient.norm()) + 1e-12, name
    moved = {name.partition(".")[0] for name, gradient in expected.items() if float(gradient.norm()) > 0}
    assert {"image_head", "text_head", "log_scale", "ret"} <= moved
    assert ("prefix" in moved) == (losses == "everything")
