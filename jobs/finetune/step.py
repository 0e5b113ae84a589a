"""One training step: examples -> a loss, over all workers' items at once. Knows no loop and no optimizer.

Shapes: B batch of one worker, W workers, S shared width.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from fromage_model.fromage import Fromage
from fromage_model.model import losses
from fromage_model.model.asking import Asked
from fromage_model.prompts.messages import Message
from fromage_model.prompts.segments import Prompt, chat_prompt, token_count
from jobs.finetune.examples.examples import Sampler, Shown, StepExamples, Talk

ROWS_AT_ONCE = 16
"""Prompts in one pass through the LM."""


@dataclass(frozen=True)
class StepWeights:
    """How much each loss counts, and what training adds to keep the maps from overfitting."""

    caption: float = 1.0
    info_nce: float = 1.0
    next_token: float = 1.0
    talk: float = 1.0
    decision: float = 20.0
    sibling: float = 0.25
    feature_noise: float = 0.3
    caption_max_tokens: int = 24


@dataclass(frozen=True)
class Contrast:
    """The contrastive half of a step, scalars."""

    info_nce: Tensor
    next_token: Tensor
    accuracy: Tensor


class FinetuneStep(nn.Module):
    """Everything that one step computes, as one module, so that DistributedDataParallel can wrap it."""

    def __init__(self, model: Fromage, sampler: Sampler, weights: StepWeights):
        super().__init__()
        self.model = model
        self.sampler = sampler
        self.weights = weights
        self._groups = [item.group for item in sampler.items]

    def forward(self, examples: StepExamples) -> dict[str, Tensor]:
        """-> `loss` and its parts, scalars; `accuracy`: share of texts nearest to their own picture in the batch."""
        contrast = self._contrast(examples.shown)
        parts = {
            "info_nce": contrast.info_nce,
            "next_token": contrast.next_token,
            "talk": self._talk(examples.talks),
            "caption": self._caption(examples.captioned, concatenate=examples.concatenate),
        }
        loss = torch.stack([getattr(self.weights, name) * part for name, part in parts.items()]).sum()
        return {"loss": loss, **parts, "accuracy": contrast.accuracy}

    def prompt_of(self, shown: Shown) -> Prompt:
        if shown.caption is not None:
            tokens = self.model.tokens
            ids = [*tokens.start_ids, *tokens.encode(shown.caption)]
            return [ids[: self.weights.caption_max_tokens * 2]]
        return self._chat_prompt(shown.messages)

    def _contrast(self, shown: Sequence[Shown]) -> Contrast:
        embeddings, next_token = self._ask(shown)
        images = self.model.image_embeddings(self._features([one.item for one in shown]))
        groups = gather_objects([self._groups[one.item] for one in shown])
        items = gather_objects([one.item for one in shown])
        asked = gather_objects([one.asked for one in shown])
        positives = positive_pairs(items, groups, sibling=self.weights.sibling)
        positives = torch.maximum(positives, self.sampler.facts.pairs(asked, items)).to(images.device)
        texts, pictures = gather(embeddings), gather(images)
        contrast = losses.info_nce(texts, pictures, self.model.log_scale, positives=positives)
        with torch.no_grad():
            nearest = (texts @ pictures.T).argmax(dim=1)
            accuracy = (nearest == torch.arange(len(texts), device=nearest.device)).float().mean()
        return Contrast(info_nce=contrast, next_token=next_token, accuracy=accuracy)

    def _ask(self, shown: Sequence[Shown]) -> tuple[Tensor, Tensor]:
        """Retrieval embeddings (B, S) in the order of `shown`, and the mean next-token loss.

        Prompts of like length go through the LM together: a caption is not padded to a conversation's length.
        """
        embeddings, next_token, order = [], [], []
        for rows, asked in self.asked(shown):
            captions = torch.tensor([float(shown[row].caption is not None) for row in rows])
            embeddings.append(asked.embeddings)
            next_token.append(self.model.next_token_loss(asked, captions) * len(rows) / len(shown))
            order += rows
        back = torch.tensor(order).argsort().to(embeddings[0].device)
        return torch.cat(embeddings)[back], torch.stack(next_token).sum()

    def asked(self, shown: Sequence[Shown]) -> Iterator[tuple[list[int], Asked]]:
        """Rows of `shown` with what the LM made of their prompts, those of like length together."""
        prompts = [self.prompt_of(one) for one in shown]
        sizes = [token_count(prompt, visual_tokens=self.model.config.visual_tokens) for prompt in prompts]
        order = sorted(range(len(shown)), key=lambda row: sizes[row])
        for start in range(0, len(order), ROWS_AT_ONCE):
            rows = order[start : start + ROWS_AT_ONCE]
            yield rows, self.model.ask([prompts[row] for row in rows])

    def _talk(self, talks: Sequence[Talk]) -> Tensor:
        """Small talk costs no gradient through the LM; what follows a [RET] or a picture does, for what it follows."""
        tokens, total = self.model.tokens, torch.zeros((), device=self.model.lm.device)
        for small_talk in (True, False):
            some = [talk for talk in talks if talk.small_talk == small_talk]
            if some:
                prompts = [self.opening_of(talk) for talk in some]
                replies = [tokens.encode(talk.reply) + [tokens.stop_id] * talk.ends for talk in some]
                first = self.weights.decision if small_talk else 1.0
                loss = self.model.reply_loss(prompts, replies, through_lm=not small_talk, first_token_weight=first)
                total = total + loss * len(some) / len(talks)
        return total

    def opening_of(self, talk: Talk) -> Prompt:
        """What stands before the talk's reply."""
        prompt = self._chat_prompt(talk.messages)
        return [*prompt, [self.model.tokens.ret_id]] if talk.after_ret else prompt

    def _chat_prompt(self, messages: Sequence[Message]) -> Prompt:
        config = self.model.config
        return chat_prompt(messages, self.model.tokens, system_prompt=config.system_prompt, examples=config.examples)

    def _caption(self, items: Sequence[int], *, concatenate: bool) -> Tensor:
        if not items:
            return torch.zeros((), device=self.model.lm.device)
        captions = [self.sampler.caption_of(item) for item in items]
        return self.model.caption_loss(
            self._features(items), captions, max_tokens=self.weights.caption_max_tokens, concatenate=concatenate
        ).loss

    def _features(self, items: Sequence[int]) -> Tensor:
        features = torch.from_numpy(self.sampler.features[list(items)]).to(self.model.lm.device, non_blocking=True)
        noise = torch.randn_like(features) * self.model.trained.standardise.std
        return features + self.weights.feature_noise * noise


def positive_pairs(items: Sequence[int], groups: Sequence[str], *, sibling: float) -> Tensor:
    """(B, B): 1 where text and picture are of the same item, `sibling` where only of the same group."""
    return torch.maximum(_equal(items), sibling * _equal(groups))


def _equal(values: Sequence[Hashable]) -> Tensor:
    numbers = {value: number for number, value in enumerate(dict.fromkeys(values))}
    column = torch.tensor([numbers[value] for value in values])
    return (column[:, None] == column[None, :]).float()


def world_size() -> int:
    return distributed.get_world_size() if distributed.is_initialized() else 1


def gather(own: Tensor) -> Tensor:
    """(B, S) of each worker -> (W * B, S) in rank order; the gradient flows into this worker's rows, W times over.

    Averaged over workers, that is the gradient of one loss over all rows, for what every worker shares as well.
    """
    if world_size() == 1:
        return own
    parts = [torch.empty_like(own) for _ in range(world_size())]
    distributed.all_gather(parts, own.detach().contiguous())
    parts[distributed.get_rank()] = own.detach() + world_size() * (own - own.detach())
    return torch.cat(parts)


def gather_objects(own: list) -> list:
    """Each worker's list -> all of them in rank order."""
    if world_size() == 1:
        return own
    parts: list = [None] * world_size()
    distributed.all_gather_object(parts, own)
    return [value for part in parts for value in part]
