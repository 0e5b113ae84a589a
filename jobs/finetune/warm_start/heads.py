"""Trains the two heads and [RET]'s output row alone on states read once, before the joint steps. Knows no Ray.

Reading states once lets the heads take thousands of examples a second; the joint steps then move [RET] from a good
place.

Shapes: M texts, D LM width, F feature width, S shared width.
"""

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fromage_model.fromage import Fromage
from fromage_model.model import losses
from jobs.finetune.examples.answering import Asked, Facts
from jobs.finetune.examples.examples import Sampler, defined, named
from jobs.finetune.kept import KeptStates
from jobs.finetune.settings import FinetuneArgs
from jobs.finetune.step import FinetuneStep, positive_pairs
from jobs.finetune.warm_start.decision import Sides, fit_decision, refine_decision
from jobs.finetune.warm_start.states import Texts, read_small_talk, read_texts

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
    further_batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    noise: float = 0.3
    sibling: float = 0.25
    names: float = 1.0
    dictionary: float = 1.0
    seed: int = 0

    @classmethod
    def of(cls, args: FinetuneArgs) -> "WarmStart":
        return cls(
            steps=args.warm_start_steps,
            phrasings=args.phrasings,
            further_phrasings=args.further_phrasings,
            weight_decay=args.weight_decay,
            noise=args.feature_noise,
            sibling=args.sibling_weight,
            names=args.name_weight,
            dictionary=args.dictionary_weight,
            seed=args.seed,
        )


@dataclass(frozen=True)
class Material:
    """What the heads are trained on. `texts` are of the items `text_items` and ask for `asked`, which `facts` know;
    items count through `names`, one of each item, and through `features`, (N, F); the first `own_items` are the
    catalogue's. `names` are None where nothing is drawn to them. `dictionary`: names, definitions.
    """

    texts: Texts
    text_items: list[int]
    asked: list[Asked]
    facts: Facts
    names: Texts | None
    features: Tensor
    groups: list[str]
    own_items: int
    dictionary: tuple[Texts, Texts] | None


def warm_start(
    model: Fromage,
    step: FinetuneStep,
    sampler: Sampler,
    material: Material,
    settings: WarmStart,
    *,
    said: Sides | None = None,
    kept: KeptStates | None = None,
) -> float:
    """Fit the text head's statistics and [RET]'s output row, to what is `said` too, then train the heads -> the last
    step's loss.
    """
    fit_decision(model, material.texts, read_small_talk(step, sampler.quiet(), kept=kept))
    if said is not None:
        refine_decision(model, said)
    return train_heads(model, material, settings)


def read_material(
    step: FinetuneStep,
    sampler: Sampler,
    settings: WarmStart,
    *,
    dictionary: Sequence[tuple[str, str]] = (),
    kept: KeptStates | None = None,
) -> Material:
    """All texts through the LM, once.

    `dictionary` holds names of things and their definitions; they teach the text head words that no item bears. Texts
    whose states are `kept` are not read again.
    """
    shown = sampler.phrasings(settings.phrasings, further=settings.further_phrasings)
    names = read_texts(step, sampler.plain_names(), what="names", kept=kept) if settings.names > 0 else None
    return Material(
        texts=read_texts(step, shown, what="phrasings", kept=kept),
        text_items=[one.item for one in shown],
        asked=[one.asked for one in shown],
        facts=sampler.facts,
        names=names,
        features=torch.from_numpy(sampler.features).to(step.model.lm.device),
        groups=[item.group for item in sampler.items],
        own_items=sampler.own_items,
        dictionary=_read_pairs(step, dictionary, draw=random.Random(settings.seed), kept=kept),
    )


def train_heads(model: Fromage, material: Material, settings: WarmStart) -> float:
    """Fit the text head's statistics, then train both heads and the temperature -> the last step's loss."""
    parts = model.trained
    parts.text_head.fit(material.texts.at_ret)
    heads = [*parts.image_head.parameters(), *parts.text_head.parameters(), parts.log_scale]
    optimizer = torch.optim.AdamW(heads, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    objective = _Objective(model, material, settings)
    model.train()
    value = 0.0
    for _ in range(settings.steps):
        loss = objective()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        parts.bound_log_scale()
        scheduler.step()
        value = float(loss.detach())
    model.eval()
    log.info("warm start: %d texts, %d steps, loss %.3f", len(material.texts), settings.steps, value)
    return value


class _Objective:
    """The loss of one step, on a batch of its own drawing."""

    def __init__(self, model: Fromage, material: Material, settings: WarmStart):
        self.model = model
        self.material = material
        self.settings = settings
        self.own = range(material.own_items)
        self.further = range(material.own_items, len(material.groups))
        self.rows_of: dict[int, list[int]] = {}
        for row, item in enumerate(material.text_items):
            self.rows_of.setdefault(item, []).append(row)
        self.draw = random.Random(settings.seed)

    def __call__(self) -> Tensor:
        loss = self._of_items()
        if self.material.dictionary is not None:
            loss = loss + self.settings.dictionary * self._of_pairs(*self.material.dictionary)
        return loss

    def _of_items(self) -> Tensor:
        """InfoNCE of a batch's wordings with their pictures, and with their plain names."""
        settings, parts, groups = self.settings, self.model.trained, self.material.groups
        items = self.draw.sample(self.own, min(settings.batch_size, len(self.own)))
        items += self.draw.sample(self.further, min(settings.further_batch_size, len(self.further)))
        rows = [self.draw.choice(self.rows_of[item]) for item in items]
        texts = self._embed(self.material.texts, rows)
        features = self.material.features[items]
        noise = settings.noise * torch.randn_like(features) * parts.standardise.std
        images = parts.image_head(parts.standardise(features + noise))
        positives = positive_pairs(items, [groups[item] for item in items], sibling=settings.sibling)
        asked = [self.material.asked[row] for row in rows]
        positives = torch.maximum(positives, self.material.facts.pairs(asked, items)).to(images.device)
        loss = losses.info_nce(texts, images, self.model.log_scale, positives=positives)
        if self.material.names is not None:
            names = self._embed(self.material.names, items)
            loss = loss + settings.names * losses.info_nce(texts, names, self.model.log_scale, positives=positives)
        return loss

    def _of_pairs(self, names: Texts, definitions: Texts) -> Tensor:
        rows = self.draw.sample(range(len(names)), min(self.settings.batch_size, len(names)))
        return losses.info_nce(self._embed(names, rows), self._embed(definitions, rows), self.model.log_scale)

    def _embed(self, texts: Texts, rows: Sequence[int]) -> Tensor:
        """Noisy states of some rows -> (B, S)."""
        head = self.model.trained.text_head
        chosen = torch.tensor(list(rows), device=self.model.lm.device)
        states = []
        for layer, standardise in zip(texts.at_ret, head.standardisers, strict=True):
            state = layer[chosen]
            states.append(state + self.settings.noise * torch.randn_like(state) * standardise.std)
        return head(states)


def _read_pairs(
    step: FinetuneStep, dictionary: Sequence[tuple[str, str]], *, draw: random.Random, kept: KeptStates | None
) -> tuple[Texts, Texts] | None:
    """The states at [RET] of all names, and of all definitions in words that a shopper might use."""
    if not dictionary:
        return None
    names = [named(name) for name, _ in dictionary]
    definitions = [defined(gloss, draw) for _, gloss in dictionary]
    return (
        read_texts(step, names, what="the dictionary's names", kept=kept),
        read_texts(step, definitions, what="the dictionary's definitions", kept=kept),
    )
