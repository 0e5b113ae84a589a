"""Starts the visual prefix at words and trains it to be understood, before any joint step. Knows no heads, no [RET].

First each of its tokens comes as near as a linear map can to the LM's rows of the words that name the picture. Then
steps on captions, and on questions about pictures, move what stands for each word: features -> how much of each word
-> prefix is a product of two linear maps, of which the second one alone is trained. It has a hundred inputs where
features are a thousand, and so learns in hundreds of steps; in the end the product is the prefix's map.

Shapes: M pictures, F feature width, D LM width, N visual tokens, V words.
"""

import logging
import random
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fromage_model.fromage import Fromage
from jobs.common.reporting.report import Progress
from jobs.finetune.examples.examples import Sampler
from jobs.finetune.step import FinetuneStep

log = logging.getLogger(__name__)
RIDGE = 0.1
"""What is added to the features' correlations, all of variance 1, so that many features don't fit noise."""
CAPTIONS, QUESTIONS = 2, 6
"""Of one step. The chat is where a prefix is asked about, after an opening that captions have not."""
LEARNING_RATE = 0.08
"""Of the second map, in root mean squares of the LM's rows: features of a word that is there are about 1."""
TOLD_EVERY = 50
MOST_WORDS = 1024
"""That stand for pictures: the most frequent ones."""


@torch.no_grad()
def fit_prefix(model: Fromage, sampler: Sampler) -> None:
    """Least squares from standardised features to the LM's rows of the words that name each picture."""
    parts = model.trained
    targets = torch.stack([_rows(model, sampler.prefix_words(item)) for item in range(len(sampler.items))])
    features = parts.standardise(torch.from_numpy(sampler.features).to(targets.device))
    mean = targets.flatten(1).mean(dim=0)
    map_ = _ridge(features, targets.flatten(1) - mean)
    parts.prefix.project.weight.copy_(map_.T)
    parts.prefix.project.bias.copy_(mean)
    fitted = (features @ map_ + mean).unflatten(1, (model.config.visual_tokens, -1))
    near = torch.nn.functional.cosine_similarity(fitted, targets, dim=-1).mean(dim=0).tolist()
    log.info("the visual prefix stands at words: cosines %s", ", ".join(f"{one:.2f}" for one in near))


def train_prefix(model: Fromage, step: FinetuneStep, sampler: Sampler, *, steps: int, noise: float, seed: int) -> float:
    """Steps of `CAPTIONS` and `QUESTIONS` about pictures -> the last tenth's mean loss."""
    prefix, std = model.trained.prefix, model.trained.standardise.std
    first, second = _through_words(model, sampler)
    whole = prefix.project
    prefix.project = nn.Sequential(first, second)  # type: ignore[assignment]  # only while this runs
    rate = LEARNING_RATE * float(
        model.lm.embed(torch.arange(min(1000, model.lm.vocabulary), device=std.device)).float().square().mean().sqrt()
    )
    optimizer = torch.optim.AdamW(second.parameters(), lr=rate, weight_decay=0.0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps))
    draw, values = random.Random(seed), [0.0]
    progress = Progress("warm start, the visual prefix", total=steps, of="steps")
    model.train()
    for _ in range(steps):
        items = [draw.randrange(len(sampler.items)) for _ in range(CAPTIONS + QUESTIONS)]
        features = torch.from_numpy(sampler.features[items]).to(std.device)
        features = features + noise * std * torch.randn_like(features)
        captions = [sampler.caption_of(item) for item in items[:CAPTIONS]]
        loss = model.caption_loss(features[:CAPTIONS], captions, max_tokens=24).loss * CAPTIONS
        loss = loss + QUESTIONS * step.talk_loss(
            [
                sampler.picture_talk(item, own.cpu().numpy(), draw)
                for item, own in zip(items[CAPTIONS:], features[CAPTIONS:], strict=True)
            ]
        )
        loss = loss / len(items)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        scheduler.step()
        values.append(float(loss.detach()))
        if len(values) % TOLD_EVERY == 0:
            log.info("the visual prefix: loss %.3f over %d steps", sum(values[-TOLD_EVERY:]) / TOLD_EVERY, TOLD_EVERY)
        progress.add(1)
    model.eval()
    with torch.no_grad():
        whole.weight.copy_(second.weight @ first.weight)
        whole.bias.copy_(second.bias)
    prefix.project = whole
    last = values[-max(1, steps // 10) :]
    log.info("warm start of the visual prefix: %d steps, loss %.3f", steps, sum(last) / len(last))
    return sum(last) / len(last)


@torch.no_grad()
def _through_words(model: Fromage, sampler: Sampler) -> tuple[nn.Linear, nn.Linear]:
    """Two linear maps, the first one frozen: how much of each word a picture shows, by least squares; and what the
    present prefix makes of it.
    """
    parts, told = model.trained, [sampler.prefix_words(item) for item in range(len(sampler.items))]
    counts = Counter(word for words in told for word in words)
    places = {word: place for place, (word, _) in enumerate(counts.most_common(MOST_WORDS))}
    said = torch.zeros(len(told), len(places), device=parts.standardise.std.device)
    for row, words in enumerate(told):
        said[row, [places[word] for word in words if word in places]] = 1.0
    features = parts.standardise(torch.from_numpy(sampler.features).to(said.device))
    whole = parts.prefix.project
    first = nn.Linear(whole.in_features, len(places), bias=False, device=said.device)
    second = nn.Linear(len(places), whole.out_features, device=said.device)
    map_ = _ridge(features, said - said.mean(dim=0))
    first.weight.copy_(map_.T).requires_grad_(False)
    # On the CPU, where words that always come together may be: a GPU solves full rank alone.
    second.weight.copy_(torch.linalg.lstsq(map_.cpu(), whole.weight.T.cpu()).solution.T)
    second.bias.copy_(whole.bias)
    return first, second


def _ridge(features: Tensor, targets: Tensor) -> Tensor:
    """(M, F) and (M, K) -> the map (F, K)."""
    gram = features.T @ features + RIDGE * len(features) * torch.eye(features.shape[1], device=features.device)
    return torch.linalg.solve(gram, features.T @ targets)


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
