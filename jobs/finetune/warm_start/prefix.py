"""Starts the visual prefix at words: each of its tokens as near as a linear map comes to what names the picture.

A frozen LM reads its own words, so that it can say what a picture shows before a step has been trained; steps on
captions alone then go on from there. Knows no heads and no [RET].

Shapes: M pictures, F feature width, D LM width, N visual tokens.
"""

import logging
import random
from collections.abc import Sequence

import torch
from torch import Tensor

from fromage_model.fromage import Fromage
from jobs.common.reporting.report import Progress
from jobs.finetune.examples.examples import Sampler

log = logging.getLogger(__name__)
RIDGE = 0.1
"""What is added to the features' correlations, all of variance 1, so that many features don't fit noise."""
BATCH_SIZE = 16


@torch.no_grad()
def fit_prefix(model: Fromage, sampler: Sampler) -> None:
    """Least squares from standardised features to the LM's rows of the words that name each picture."""
    parts = model.trained
    targets = torch.stack([_rows(model, sampler.prefix_words(item)) for item in range(len(sampler.items))])
    features = parts.standardise(torch.from_numpy(sampler.features).to(targets.device))
    mean = targets.flatten(1).mean(dim=0)
    gram = features.T @ features + RIDGE * len(features) * torch.eye(features.shape[1], device=features.device)
    map_ = torch.linalg.solve(gram, features.T @ (targets.flatten(1) - mean))
    parts.prefix.project.weight.copy_(map_.T)
    parts.prefix.project.bias.copy_(mean)
    fitted = (features @ map_ + mean).unflatten(1, (model.config.visual_tokens, -1))
    near = torch.nn.functional.cosine_similarity(fitted, targets, dim=-1).mean(dim=0).tolist()
    log.info("the visual prefix stands at words: cosines %s", ", ".join(f"{one:.2f}" for one in near))


def train_prefix(model: Fromage, sampler: Sampler, *, steps: int, learning_rate: float, noise: float) -> float:
    """Steps on captions of single pictures, without anything before them -> the last tenth's mean loss."""
    prefix, std = model.trained.prefix, model.trained.standardise.std
    optimizer = torch.optim.AdamW(prefix.parameters(), lr=learning_rate, weight_decay=0.0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps))
    draw, values = random.Random(0), [0.0]
    progress = Progress("warm start, the visual prefix", total=steps, of="steps")
    model.train()
    for _ in range(steps):
        items = draw.sample(range(len(sampler.items)), min(BATCH_SIZE, len(sampler.items)))
        features = torch.from_numpy(sampler.features[items]).to(std.device)
        features = features + noise * std * torch.randn_like(features)
        loss = model.caption_loss(features, [sampler.caption_of(item) for item in items], max_tokens=24).loss
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        scheduler.step()
        values.append(float(loss.detach()))
        progress.add(1)
    model.eval()
    last = values[-max(1, steps // 10) :]
    log.info("warm start of the visual prefix: %d steps, loss %.3f", steps, sum(last) / len(last))
    return sum(last) / len(last)


def _rows(model: Fromage, words: Sequence[str]) -> Tensor:
    """(N, D): the words shared out among the visual tokens, the last one's ids where there are more tokens than words;
    what falls to a token is the mean of its ids' rows.
    """
    count = model.config.visual_tokens
    ids = [model.tokens.encode(f" {word}") for word in words]
    slots = [*ids[: count - 1], [one for rest in ids[count - 1 :] for one in rest]] if len(ids) >= count else ids
    while len(slots) < count:
        # A kind of two tokens is read as two: "ankle" and "boots".
        last = slots.pop()
        slots += [last[:1], last[1:]] if len(last) > 1 else [last, last]
    return torch.stack(
        [model.lm.embed(torch.tensor(some, device=model.lm.device)).float().mean(dim=0) for some in slots]
    )
