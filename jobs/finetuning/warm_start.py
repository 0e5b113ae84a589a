"""Trains the two heads alone on states read once, before the joint steps. Knows no Ray.

While [RET] stands where it started, the LM's state at it never changes for a given text. Reading these states once lets
the heads take thousands of examples a second; the joint steps then move [RET] from a good place.

Shapes: M texts, L layers, D LM width, F feature width, S shared width.
"""

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fromage_model import losses
from fromage_model.fromage import Fromage
from jobs.finetuning.examples import Sampler, Shown
from jobs.finetuning.step import FinetuneStep, positive_pairs
from jobs.report import Progress

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WarmStart:
    """How long, and with how much noise."""

    steps: int
    phrasings: int = 4
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    noise: float = 0.3
    sibling: float = 0.25
    dictionary_weight: float = 0.3
    seed: int = 0


def warm_start(
    model: Fromage,
    step: FinetuneStep,
    sampler: Sampler,
    settings: WarmStart,
    *,
    dictionary: Sequence[tuple[str, str]] = (),
) -> float:
    """Fit the text head's statistics, then train the heads -> the last step's loss.

    `dictionary` holds names of things and their definitions. A name and its definition are drawn together in the shared
    space, which teaches the text head words that no training item bears.
    """
    texts = _read_texts(model, step, sampler, settings.phrasings)
    model.trained.text_head.fit([torch.cat([states[layer] for states in texts.values()]) for layer in _layers(texts)])
    names, definitions = _read_dictionary(step, dictionary)
    features = torch.from_numpy(sampler.features).to(model.lm.device)
    groups = [item.group for item in sampler.items]
    heads = [*model.trained.image_head.parameters(), *model.trained.text_head.parameters(), model.trained.log_scale]
    optimizer = torch.optim.AdamW(heads, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    draw = random.Random(settings.seed)
    known = sorted(texts)
    model.train()
    value = 0.0
    for _ in range(settings.steps):
        items = draw.sample(known, min(settings.batch_size, len(known)))
        states = _pick(texts, items, draw)
        positives = positive_pairs(items, [groups[item] for item in items], sibling=settings.sibling)
        loss = _loss(model, states, features[items], positives.to(features.device), noise=settings.noise)
        if dictionary:
            rows = draw.sample(range(len(dictionary)), min(settings.batch_size, len(dictionary)))
            pair = [[layer[rows] for layer in side] for side in (names, definitions)]
            loss = loss + settings.dictionary_weight * _text_loss(model, *pair, noise=settings.noise)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        scheduler.step()
        value = float(loss.detach())
    model.eval()
    read = sum(len(states[0]) for states in texts.values())
    log.info("warm start: %d texts, %d steps, loss %.3f", read, settings.steps, value)
    return value


@torch.no_grad()
def _read_texts(model: Fromage, step: FinetuneStep, sampler: Sampler, phrasings: int) -> dict[int, list[Tensor]]:
    """Item -> the states at [RET] of its phrasings, (M, D) for each layer; pictures' own wishes come later."""
    found: dict[int, list[tuple[Tensor, ...]]] = {}
    per_pass = sampler.steps_per_epoch(1)
    progress = Progress("warm start, batches of texts", total=phrasings * per_pass, every_s=10)
    for number in range(phrasings * per_pass):
        shown = [one for one in sampler.draw(number).shown if not one.has_picture]
        for row, states in zip(*step.states_at_ret(shown), strict=True):
            found.setdefault(shown[row].item, []).append(states)
        progress.add(1)
    return {item: [torch.stack(layer) for layer in zip(*states, strict=True)] for item, states in found.items()}


def _pick(texts: dict[int, list[Tensor]], items: Sequence[int], draw: random.Random) -> list[Tensor]:
    """One phrasing of each item, (B, D) for each layer."""
    rows = [draw.randrange(len(texts[item][0])) for item in items]
    return [
        torch.stack([texts[item][layer][row] for item, row in zip(items, rows, strict=True)])
        for layer in _layers(texts)
    ]


def _loss(model: Fromage, states: list[Tensor], features: Tensor, positives: Tensor, *, noise: float) -> Tensor:
    parts = model.trained
    images = parts.image_head(parts.standardise(features + noise * torch.randn_like(features) * parts.standardise.std))
    return losses.info_nce(_embed(model, states, noise=noise), images, model.log_scale, positives=positives)


def _text_loss(model: Fromage, names: list[Tensor], definitions: list[Tensor], *, noise: float) -> Tensor:
    """InfoNCE between two wordings of the same things."""
    one, other = (_embed(model, states, noise=noise) for states in (names, definitions))
    return losses.info_nce(one, other, model.log_scale)


def _embed(model: Fromage, states: list[Tensor], *, noise: float) -> Tensor:
    head = model.trained.text_head
    scales = [standardise.std for standardise in head.standardisers]
    return head([state + noise * torch.randn_like(state) * std for state, std in zip(states, scales, strict=True)])


def _read_dictionary(step: FinetuneStep, dictionary: Sequence[tuple[str, str]]) -> tuple[list[Tensor], list[Tensor]]:
    """The states at [RET] of all names and of all definitions, each (M, D) for each layer."""
    sides = []
    for side in range(2 if dictionary else 0):
        wording = step.model.config.caption_prompt
        rows, states = step.states_at_ret([Shown(-1, caption=f"{wording} {pair[side]}.") for pair in dictionary])
        back = torch.tensor(rows).argsort()
        sides.append([torch.stack(layer)[back] for layer in zip(*states, strict=True)])
        log.info("warm start: read %d %s of the dictionary", len(dictionary), ("names", "definitions")[side])
    return (sides[0], sides[1]) if sides else ([], [])


def _layers(texts: dict[int, list[Tensor]]) -> range:
    return range(len(next(iter(texts.values()))))
