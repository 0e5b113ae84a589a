"""The visual prefix starts near the LM's rows of what names a picture; steps on it alone go on from there."""

import copy

import pytest
import torch

from jobs.finetune.through_words import SHARED_RATE
from jobs.finetune.warm_start.prefix import fit_prefix, train_prefix
from jobs.finetune.worker import Worker
from tests.jobs.finetune.test_step import tiny_args


@pytest.fixture
def worker(tiny_world) -> Worker:
    torch.manual_seed(0)
    return Worker(tiny_args(tiny_world), rank=0, world_size=1)


def nearness(worker: Worker, item: int) -> float:
    """Cosine of the first visual token and the row of the first word that names the picture."""
    model, sampler = worker.model, worker.sampler
    ids = torch.tensor(model.tokens.encode(f" {sampler.prefix_words(item)[0]}"))
    features = torch.from_numpy(sampler.features[[item]])
    prefix = model.trained.prefix(model.trained.standardise(features))[0, 0]
    return float(torch.cosine_similarity(prefix, model.lm.embed(ids).float().mean(dim=0), dim=0))


def test_a_fitted_prefix_is_nearer_to_the_words_than_one_that_is_drawn(worker):
    items = range(len(worker.sampler.items))
    drawn = [nearness(worker, item) for item in items]
    fit_prefix(worker.model, worker.sampler)
    fitted = [nearness(worker, item) for item in items]
    assert sum(fitted) / len(fitted) > max(0.5, sum(drawn) / len(drawn))


def test_steps_move_the_prefix_alone_and_lower_its_loss(worker):
    model = worker.model
    before = copy.deepcopy(model.trained.state_dict())
    first = train_prefix(model, worker.step, worker.sampler, steps=1, noise=0.0, seed=0)
    last = train_prefix(model, worker.step, worker.sampler, steps=30, noise=0.0, seed=0)
    assert last < first
    moved = {name for name, value in model.trained.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"prefix.project.weight", "prefix.project.bias"}


def test_the_way_through_words_begins_near_the_prefix_as_it_was_fitted(worker):
    model = worker.model
    fit_prefix(model, worker.sampler)
    features = torch.from_numpy(worker.sampler.features)
    with torch.no_grad():
        fitted = model.trained.prefix(model.trained.standardise(features))
        train_prefix(model, worker.step, worker.sampler, steps=0, noise=0.0, seed=0)
        again = model.trained.prefix(model.trained.standardise(features))
    # Words are laid into as many tokens as there are, which the sum of words alone does not tell.
    assert float(torch.cosine_similarity(again, fitted, dim=-1).mean()) > 0.7


def test_what_all_pictures_share_learns_faster_than_what_stands_for_a_word(worker, monkeypatch):
    made = []

    class Watched(torch.optim.AdamW):
        def __init__(self, *args, **settings):
            super().__init__(*args, **settings)
            made.extend((group["params"][0].ndim, group["lr"]) for group in self.param_groups)

    monkeypatch.setattr(torch.optim, "AdamW", Watched)
    train_prefix(worker.model, worker.step, worker.sampler, steps=1, noise=0.0, seed=0)
    (words, of_words), (shared, of_shared) = made
    assert (words, shared) == (2, 1)
    assert of_shared == pytest.approx(SHARED_RATE * of_words)
    assert of_words > 0
