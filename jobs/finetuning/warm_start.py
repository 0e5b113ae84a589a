"""Trains the two heads and [RET]'s output row alone on states read once, before the joint steps. Knows no Ray.

Reading states once lets the heads take thousands of examples a second; the joint steps then move [RET] from a good
place.

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
from jobs.finetuning.decision import fit_decision
from jobs.finetuning.examples import Sampler, Shown, defined, named
from jobs.finetuning.reading import Texts, read_small_talk, read_texts
from jobs.finetuning.step import FinetuneStep, positive_pairs

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WarmStart:
    """How long, with how much noise, and what the losses between texts count beside that between text and picture.

    `names` draws each of an item's wordings to its plain name; `dictionary` draws definitions to what they define.
    """

    steps: int
    phrasings: int = 4
    further_phrasings: int = 1
    batch_size: int = 256
    further_batch_size: int = 100
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    noise: float = 0.3
    sibling: float = 0.25
    names: float = 1.0
    dictionary: float = 1.0
    seed: int = 0


def warm_start(
    model: Fromage,
    step: FinetuneStep,
    sampler: Sampler,
    settings: WarmStart,
    *,
    dictionary: Sequence[tuple[str, str]] = (),
) -> float:
    """Fit the text head's statistics and [RET]'s output row, then train the heads -> the last step's loss.

    `dictionary` holds names of things and their definitions; they teach the text head words that no item bears.
    """
    shown = sampler.phrasings(settings.phrasings, further=settings.further_phrasings)
    texts = read_texts(step, shown, what="phrasings")
    model.trained.text_head.fit(texts.at_ret)
    fit_decision(model, texts, read_small_talk(step, sampler.small_talk()))
    heads = _Heads(model, step, sampler, settings, shown, texts)
    pairs = _read_pairs(step, dictionary, draw=random.Random(settings.seed))
    value = heads.train(pairs)
    log.info("warm start: %d texts, %d steps, loss %.3f", len(texts), settings.steps, value)
    return value


class _Heads:
    """The heads in training, on `texts`, the states of `shown`."""

    def __init__(
        self,
        model: Fromage,
        step: FinetuneStep,
        sampler: Sampler,
        settings: WarmStart,
        shown: Sequence[Shown],
        texts: Texts,
    ):
        self.model = model
        self.settings = settings
        self.texts = texts
        self.names = read_texts(step, sampler.plain_names(), what="names")
        self.features = torch.from_numpy(sampler.features).to(model.lm.device)
        self.groups = [item.group for item in sampler.items]
        self.own = list(range(sampler.own_items))
        self.further = list(range(sampler.own_items, len(sampler.items)))
        self.rows_of: dict[int, list[int]] = {}
        for row, one in enumerate(shown):
            self.rows_of.setdefault(one.item, []).append(row)
        self.draw = random.Random(settings.seed)

    def train(self, pairs: tuple[Texts, Texts] | None) -> float:
        """-> the last step's loss."""
        parts, settings = self.model.trained, self.settings
        heads = [*parts.image_head.parameters(), *parts.text_head.parameters(), parts.log_scale]
        optimizer = torch.optim.AdamW(heads, lr=settings.learning_rate, weight_decay=settings.weight_decay)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
        self.model.train()
        value = 0.0
        for _ in range(settings.steps):
            loss = self._items_loss()
            if pairs is not None:
                loss = loss + settings.dictionary * self._pairs_loss(*pairs)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            scheduler.step()
            value = float(loss.detach())
        self.model.eval()
        return value

    def _items_loss(self) -> Tensor:
        """InfoNCE of a batch's wordings with their pictures, and with their plain names."""
        settings, parts = self.settings, self.model.trained
        items = self.draw.sample(self.own, min(settings.batch_size, len(self.own)))
        items += self.draw.sample(self.further, min(settings.further_batch_size, len(self.further)))
        texts = self._embed(self.texts, [self.draw.choice(self.rows_of[item]) for item in items])
        names = self._embed(self.names, items)
        features = self.features[items]
        noise = settings.noise * torch.randn_like(features) * parts.standardise.std
        images = parts.image_head(parts.standardise(features + noise))
        positives = positive_pairs(items, [self.groups[item] for item in items], sibling=settings.sibling)
        positives = positives.to(images.device)
        contrast = losses.info_nce(texts, images, self.model.log_scale, positives=positives)
        return contrast + settings.names * losses.info_nce(texts, names, self.model.log_scale, positives=positives)

    def _pairs_loss(self, one: Texts, other: Texts) -> Tensor:
        rows = self.draw.sample(range(len(one)), min(self.settings.batch_size, len(one)))
        return losses.info_nce(self._embed(one, rows), self._embed(other, rows), self.model.log_scale)

    def _embed(self, texts: Texts, rows: Sequence[int]) -> Tensor:
        """Noisy states of some rows -> (B, S)."""
        head = self.model.trained.text_head
        states = [layer[list(rows)] for layer in texts.at_ret]
        return head(
            [
                state + self.settings.noise * torch.randn_like(state) * standardise.std
                for state, standardise in zip(states, head.standardisers, strict=True)
            ]
        )


def _read_pairs(
    step: FinetuneStep, dictionary: Sequence[tuple[str, str]], *, draw: random.Random
) -> tuple[Texts, Texts] | None:
    """The states at [RET] of all names, and of all definitions in words that a shopper might use."""
    if not dictionary:
        return None
    names = [named(name) for name, _ in dictionary]
    definitions = [defined(gloss, draw) for _, gloss in dictionary]
    return (
        read_texts(step, names, what="the dictionary's names"),
        read_texts(step, definitions, what="the dictionary's definitions"),
    )
