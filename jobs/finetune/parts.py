"""A training step in parts, one after the other, where memory has no room for all of it; the gradient is the whole's.

The contrastive loss needs every text and picture of the batch beside each other. So all are embedded first, without a
graph; its gradient at the embeddings is taken; then each part is embedded again, by the same noise and dropout, and
takes its share of that gradient on (GradCache: Gao et al. 2021). The other losses are weighted means, and a part counts
what it has of the whole's weights. Knows no optimizer.

Shapes: B batch of one worker, S shared width.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fromage_model.model.objectives import caption_labels
from fromage_model.prompts.segments import Prompt
from jobs.finetune.examples.examples import Shown, StepExamples, Talk
from jobs.finetune.step import FinetuneStep
from jobs.finetune.workers import average_gradients, random_state, set_random_state


@dataclass(frozen=True)
class _Part:
    """Texts with their pictures: rows of `shown`, their prompts, and what the mean of their next-token losses counts.

    `random`: where the random numbers stood when they were embedded.
    """

    rows: list[int]
    prompts: list[Prompt]
    share: float
    random: list[Tensor]


def in_parts(step: FinetuneStep, examples: StepExamples, *, count: int, told: dict[str, Tensor]) -> Iterator[Tensor]:
    """Scalars whose sum is the step's loss, each to be differentiated, and let go of, before the next is asked for.

    `told` gets what `step` returns. At most 1 / `count` of texts, captions and talks are in memory at once. Asked for
    another part after the last, it averages the gradients over all workers: the step itself must not, in each part.
    """
    weights = step.weights
    for loss in _contrast(step, examples.shown, count, told):
        yield loss
    for loss in _talk(step, examples.talks, count):
        _add(told, "talk", loss)
        yield weights.talk * loss
    for loss in _caption(step, examples.captioned, count, concatenate=examples.concatenate):
        _add(told, "caption", loss)
        yield weights.caption * loss
    for name in ("talk", "caption"):
        told.setdefault(name, torch.zeros(()))
    average_gradients(step.parameters())
    told["loss"] = torch.stack(
        [getattr(weights, name) * part for name, part in told.items() if name != "accuracy"]
    ).sum()


def _contrast(step: FinetuneStep, shown: Sequence[Shown], count: int, told: dict[str, Tensor]) -> Iterator[Tensor]:
    """InfoNCE and the next-token loss; `told` gets both and the accuracy."""
    parts, texts, images = _embedded(step, shown, count)
    contrast = step.contrast(texts, images, shown)
    told |= {"info_nce": contrast.info_nce.detach(), "accuracy": contrast.accuracy}
    log_scale, info_nce = step.model.log_scale, step.weights.info_nce * contrast.info_nce
    of_texts, of_images, of_scale = torch.autograd.grad(info_nce, [texts, images, log_scale])
    after = random_state(texts.device)
    yield _with_gradient(log_scale * of_scale) + info_nce.detach()
    for part in parts:
        set_random_state(part.random, texts.device)
        asked, pictures = step.model.ask(part.prompts), step.images_of([shown[row] for row in part.rows])
        next_token = part.share * step.model.next_token_loss(asked, _captions(shown, part.rows))
        _add(told, "next_token", next_token)
        passed_on = (asked.embeddings * of_texts[part.rows]).sum() + (pictures * of_images[part.rows]).sum()
        yield _with_gradient(passed_on) + step.weights.next_token * next_token
    set_random_state(after, texts.device)


@torch.no_grad()
def _embedded(step: FinetuneStep, shown: Sequence[Shown], count: int) -> tuple[list[_Part], Tensor, Tensor]:
    """The parts, and the embeddings of texts and pictures, both (B, S) in the order of `shown`: leaves of a graph."""
    most, every = _share(len(shown), count), step.in_order(shown)
    sizes = [_counts(step, shown, together) for together in every]
    parts, texts, images = [], [], []
    for together, (size, weight) in zip(every, sizes, strict=True):
        for start in range(0, len(together), most):
            own = dict(list(together.items())[start : start + most])
            share = size / sum(each for each, _ in sizes) * _counts(step, shown, own)[1] / weight
            parts.append(_Part(list(own), list(own.values()), share, random_state(step.model.lm.device)))
            texts.append(step.model.ask(parts[-1].prompts).embeddings)
            images.append(step.images_of([shown[row] for row in own]))
    back = torch.tensor([row for part in parts for row in part.rows]).argsort().to(texts[0].device)
    return parts, torch.cat(texts)[back].requires_grad_(), torch.cat(images)[back].requires_grad_()


def _counts(step: FinetuneStep, shown: Sequence[Shown], together: dict[int, Prompt]) -> tuple[int, int]:
    """What prompts that stand together count among others, and how many tokens of theirs are learned.

    Of a caption that is all but the first, and [RET]; of anything else [RET] alone.
    """
    lengths = {row: step.length_of(prompt) for row, prompt in together.items()}
    learned = sum(length if shown[row].caption is not None else 1 for row, length in lengths.items())
    return sum(lengths.values()) if step.weights.by_token else len(together), learned


def _talk(step: FinetuneStep, talks: Sequence[Talk], count: int) -> Iterator[Tensor]:
    most = _share(len(talks), count)
    for small_talk in (True, False):
        some = [talk for talk in talks if talk.small_talk == small_talk]
        first = step.first_token_weight(small_talk=small_talk)
        weight = {id(talk): first + len(step.reply_to(talk)) - 1 for talk in some}
        for start in range(0, len(some), most):
            own = some[start : start + most]
            share = sum(weight[id(talk)] for talk in own) / sum(weight[id(talk)] for talk in some)
            yield step.talk_loss(own) * share * len(some) / len(talks)


def _caption(step: FinetuneStep, items: Sequence[int], count: int, *, concatenate: bool) -> Iterator[Tensor]:
    most = _share(len(items), count)
    most += most % 2 if concatenate else 0  # two that share a sequence stay together
    captions = [step.sampler.caption_of(item) for item in items]
    cut_to = step.weights.caption_max_tokens
    total = sum(len(caption_labels(step.model, caption, max_tokens=cut_to)) for caption in captions)
    for start in range(0, len(items), most):
        found = step.captioned(items[start : start + most], concatenate=concatenate)
        yield found.loss * found.tokens / total


def _captions(shown: Sequence[Shown], rows: Sequence[int]) -> Tensor:
    return torch.tensor([float(shown[row].caption is not None) for row in rows])


def _share(size: int, count: int) -> int:
    return max(1, -(-size // count))


def _with_gradient(value: Tensor) -> Tensor:
    """0, with the gradient of `value`."""
    return value - value.detach()


def _add(told: dict[str, Tensor], name: str, loss: Tensor) -> None:
    told[name] = told.get(name, torch.zeros((), device=loss.device)) + loss.detach()
