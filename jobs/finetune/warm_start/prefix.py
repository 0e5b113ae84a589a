"""Starts the visual prefix at words and trains it to be understood, before any joint step. Knows no heads, no [RET].

First each of its tokens comes as near as two linear maps can, by way of words, to the LM's rows of the words that name
the picture (`through_words.py`). Then steps on captions, and on questions about pictures, move what stands for each
word.

Shapes: M pictures, F feature width, D LM width, N visual tokens.
"""

import logging
import random
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fromage_model.fromage import Fromage
from fromage_model.vision.encoders import feature_bands
from jobs.common.reporting.report import Progress
from jobs.finetune.examples.examples import Sampler
from jobs.finetune.step import FinetuneStep
from jobs.finetune.through_words import SHARED_RATE, fold, through_words

log = logging.getLogger(__name__)
CAPTIONS, QUESTIONS = 2, 6
"""Of one step. The chat is where a prefix is asked about, after an opening that captions have not."""
LEARNING_RATE = 0.02
"""Of what stands for a word, in root mean squares of the LM's rows: features of a word that is there are about 1."""
TOLD_EVERY = 50


@torch.no_grad()
def fit_prefix(model: Fromage, sampler: Sampler) -> None:
    """Least squares from standardised features, by way of words, to the LM's rows of the words that name a picture."""
    parts = model.trained
    targets = torch.stack([_rows(model, sampler.prefix_words(item)) for item in range(len(sampler.items))])
    features = parts.standardise(torch.from_numpy(sampler.features).to(targets.device))
    fold(*_maps(model, sampler, features, targets.flatten(1)), parts.prefix.project)
    near = torch.nn.functional.cosine_similarity(parts.prefix(features), targets, dim=-1).mean(dim=0).tolist()
    log.info("the visual prefix stands at words: cosines %s", ", ".join(f"{one:.2f}" for one in near))


def train_prefix(model: Fromage, step: FinetuneStep, sampler: Sampler, *, steps: int, noise: float, seed: int) -> float:
    """Steps of `CAPTIONS` and `QUESTIONS` about pictures -> the last tenth's mean loss."""
    prefix, std = model.trained.prefix, model.trained.standardise.std
    whole = prefix.project
    with torch.no_grad():
        features = model.trained.standardise(torch.from_numpy(sampler.features).to(std.device))
        first, second = _maps(model, sampler, features, whole(features))
    prefix.project = nn.Sequential(first, second)  # type: ignore[assignment]  # only while this runs
    rate = LEARNING_RATE * float(
        model.lm.embed(torch.arange(min(1000, model.lm.vocabulary), device=std.device)).float().square().mean().sqrt()
    )
    groups = [{"params": [second.weight], "lr": rate}, {"params": [second.bias], "lr": SHARED_RATE * rate}]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.0)
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
    fold(first, second, whole)
    prefix.project = whole
    last = values[-max(1, steps // 10) :]
    log.info("warm start of the visual prefix: %d steps, loss %.3f", steps, sum(last) / len(last))
    return sum(last) / len(last)


def _maps(model: Fromage, sampler: Sampler, features: Tensor, targets: Tensor) -> tuple[nn.Linear, nn.Linear]:
    """From standardised features, (M, F), to how much of each word a picture shows, and on to `targets`, (M, N D)."""
    told = [sampler.prefix_words(item) for item in range(len(sampler.items))]
    bands = feature_bands(model.config.vision_encoder, features.shape[1])
    return through_words(features, told, targets, bands=bands)


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
