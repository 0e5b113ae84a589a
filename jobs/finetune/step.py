"""One training step: examples -> a loss, over all workers' items at once. Knows no loop and no optimizer.

Shapes: B batch of one worker, W workers, S shared width.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fromage_model.fromage import Fromage
from fromage_model.model import losses
from fromage_model.model.asking import Asked
from fromage_model.model.objectives import CaptionLoss
from fromage_model.model.reading import alike
from fromage_model.prompts.messages import Message
from fromage_model.prompts.segments import Prompt, chat_prompt, token_count
from jobs.finetune.examples.examples import Sampler, Shown, StepExamples, Talk
from jobs.finetune.settings import FinetuneArgs
from jobs.finetune.workers import gather, gather_objects

ROWS_AT_ONCE = 16
"""Prompts in one pass through the LM."""


@dataclass(frozen=True)
class StepWeights:
    """How much each loss counts, and what training adds to keep the maps from overfitting.

    Captions before [RET] are cut to `shown_max_tokens`. `by_token`: the next-token loss is the mean over all tokens of
    a batch, and not over prompts of like length first.
    """

    caption: float = 1.0
    info_nce: float = 1.0
    next_token: float = 1.0
    talk: float = 1.0
    decision: float = 20.0
    sibling: float = 0.25
    feature_noise: float = 0.3
    caption_max_tokens: int = 24
    shown_max_tokens: int = 48
    by_token: bool = False

    @classmethod
    def of(cls, args: FinetuneArgs) -> "StepWeights":
        return cls(
            caption=args.cap_loss_scale,
            info_nce=args.ret_loss_scale,
            next_token=args.ret_loss_scale,
            feature_noise=args.feature_noise,
            sibling=args.sibling_weight,
            caption_max_tokens=args.caption_max_tokens,
            shown_max_tokens=2 * args.caption_max_tokens if args.conversations else args.caption_max_tokens - 1,
            by_token=not args.conversations,
        )


@dataclass(frozen=True)
class Contrast:
    """InfoNCE of a step, and the share of texts nearest to their own picture; scalars."""

    info_nce: Tensor
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
        texts, next_token = self._ask(examples.shown)
        contrast = self.contrast(texts, self.images_of(examples.shown), examples.shown)
        parts = {
            "info_nce": contrast.info_nce,
            "next_token": next_token,
            "talk": self.talk_loss(examples.talks),
            "caption": self._caption(examples.captioned, concatenate=examples.concatenate),
        }
        loss = torch.stack([getattr(self.weights, name) * part for name, part in parts.items()]).sum()
        return {"loss": loss, **parts, "accuracy": contrast.accuracy}

    def prompt_of(self, shown: Shown) -> Prompt:
        if shown.caption is not None:
            tokens = self.model.tokens
            ids = [*tokens.start_ids, *tokens.encode(shown.caption)]
            return [ids[: self.weights.shown_max_tokens]]
        return self._chat_prompt(shown.messages)

    def images_of(self, shown: Sequence[Shown]) -> Tensor:
        """(B, S), of noisy features."""
        return self.model.image_embeddings(self._features([one.item for one in shown]))

    def contrast(self, own_texts: Tensor, own_images: Tensor, shown: Sequence[Shown]) -> Contrast:
        """Both (B, S) in the order of `shown`, among those of all workers."""
        groups = gather_objects([self._groups[one.item] for one in shown])
        items = gather_objects([one.item for one in shown])
        asked = gather_objects([one.asked for one in shown])
        positives = positive_pairs(items, groups, sibling=self.weights.sibling)
        positives = torch.maximum(positives, self.sampler.facts.pairs(asked, items)).to(own_images.device)
        texts, pictures = gather(own_texts), gather(own_images)
        contrast = losses.info_nce(texts, pictures, self.model.log_scale, positives=positives)
        with torch.no_grad():
            nearest = (texts @ pictures.T).argmax(dim=1)
            accuracy = (nearest == torch.arange(len(texts), device=nearest.device)).float().mean()
        return Contrast(info_nce=contrast, accuracy=accuracy)

    def _ask(self, shown: Sequence[Shown]) -> tuple[Tensor, Tensor]:
        """Retrieval embeddings (B, S) in the order of `shown`, and the mean next-token loss.

        Prompts of like length go through the LM together: a caption is not padded to a conversation's length.
        """
        embeddings, next_token, counts, order = [], [], [], []
        for rows, asked in self.asked(shown):
            captions = torch.tensor([float(shown[row].caption is not None) for row in rows])
            embeddings.append(asked.embeddings)
            next_token.append(self.model.next_token_loss(asked, captions))
            counts.append(int(asked.batch.lengths.sum()) if self.weights.by_token else len(rows))
            order += rows
        back = torch.tensor(order).argsort().to(embeddings[0].device)
        shares = torch.tensor(counts, device=back.device) / sum(counts)
        return torch.cat(embeddings)[back], (torch.stack(next_token) * shares).sum()

    def asked(self, shown: Sequence[Shown]) -> Iterator[tuple[list[int], Asked]]:
        """Rows of `shown` with what the LM made of their prompts, those of like length together."""
        for together in self.in_order(shown):
            yield list(together), self.model.ask(list(together.values()))

    def in_order(self, shown: Sequence[Shown]) -> list[dict[int, Prompt]]:
        """Prompts by their rows of `shown`, those of like length together."""
        prompts = [self.prompt_of(one) for one in shown]
        batches = alike(self.model, prompts, at_once=ROWS_AT_ONCE)
        return [{row: prompts[row] for row in rows} for rows in batches]

    def length_of(self, prompt: Prompt) -> int:
        """Positions that it takes."""
        return token_count(prompt, visual_tokens=self.model.config.visual_tokens)

    def talk_loss(self, talks: Sequence[Talk]) -> Tensor:
        """Small talk costs no gradient through the LM; what follows a [RET] or a picture does, for what it follows."""
        total = torch.zeros((), device=self.model.lm.device)
        for small_talk in (True, False):
            some = [talk for talk in talks if talk.small_talk == small_talk]
            if some:
                prompts = [self.opening_of(talk) for talk in some]
                replies = [self.reply_to(talk) for talk in some]
                first = self.first_token_weight(small_talk=small_talk)
                loss = self.model.reply_loss(prompts, replies, through_lm=not small_talk, first_token_weight=first)
                total = total + loss * len(some) / len(talks)
        return total

    def opening_of(self, talk: Talk) -> Prompt:
        """What stands before the talk's reply."""
        prompt = self._chat_prompt(talk.messages)
        return [*prompt, [self.model.tokens.ret_id]] if talk.after_ret else prompt

    def reply_to(self, talk: Talk) -> list[int]:
        return self.model.tokens.encode(talk.reply) + [self.model.tokens.stop_id] * talk.ends

    def first_token_weight(self, *, small_talk: bool) -> float:
        """What a reply's first token counts beside each other."""
        return self.weights.decision if small_talk else 1.0

    def _chat_prompt(self, messages: Sequence[Message]) -> Prompt:
        config = self.model.config
        return chat_prompt(messages, self.model.tokens, system_prompt=config.system_prompt, examples=config.examples)

    def _caption(self, items: Sequence[int], *, concatenate: bool) -> Tensor:
        if not items:
            return torch.zeros((), device=self.model.lm.device)
        return self.captioned(items, concatenate=concatenate).loss

    def captioned(self, items: Sequence[int], *, concatenate: bool) -> CaptionLoss:
        """Of noisy features."""
        captions = [self.sampler.caption_of(item) for item in items]
        return self.model.caption_loss(
            self._features(items), captions, max_tokens=self.weights.caption_max_tokens, concatenate=concatenate
        )

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
