"""Fromage: a frozen LM and a frozen vision encoder joined by trained maps and [RET] (Koh et al., ICML 2023).

This class wires finished parts; `build.py` makes them and `bundle.py` loads them. What it knows is the two losses of
the paper and how text and pictures get into the shared space; decoding is `decoding.py`, conversations are `chat.py`.

Shapes: B batch, T positions, D LM width, F feature width, S shared width, N visual tokens, V vocabulary.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from fromage_model import chat, losses
from fromage_model.batching import VISUAL, PromptBatch, embed_prompts, embed_tokens
from fromage_model.config import FromageConfig
from fromage_model.errors import ConfigError, InvalidInput
from fromage_model.index import RetrievalIndex
from fromage_model.language import LanguageModel, States
from fromage_model.messages import Event, Message, Part, RetrievalMode, Sampling
from fromage_model.prompts import Picture, Prompt, raw_prompt, token_count, token_ids
from fromage_model.tokens import Tokens
from fromage_model.trained import TrainedParts
from fromage_model.vision import VisionEncoder

MAX_SCALE = 100.0
"""Bound of the learned temperature's inverse, as in CLIP."""


@dataclass(frozen=True)
class CaptionLoss:
    """`loss`: mean cross-entropy over caption tokens, a scalar; `tokens`: how many there were."""

    loss: Tensor
    tokens: int


@dataclass(frozen=True)
class ContrastiveLoss:
    """`loss` = `next_token` + `info_nce`; the embeddings, (B, S), serve metrics."""

    loss: Tensor
    next_token: Tensor
    info_nce: Tensor
    text_embeddings: Tensor = field(repr=False)
    image_embeddings: Tensor = field(repr=False)


@dataclass(frozen=True)
class Asked:
    """A batch of prompts up to [RET], and what the LM made of them.

    `embeddings`, (B, S), are the retrieval embeddings; `at_ret`, (B, D) for each layer, the states they come from;
    `last`, (B, T, D), the LM's states before [RET], constants.
    """

    embeddings: Tensor
    at_ret: tuple[Tensor, ...]
    last: Tensor
    batch: PromptBatch


class Fromage(nn.Module):
    """A frozen LM, a frozen encoder (or none, where features come ready), and the trained parts."""

    def __init__(
        self,
        *,
        lm: LanguageModel,
        tokens: Tokens,
        trained: TrainedParts,
        config: FromageConfig,
        encoder: VisionEncoder | None = None,
        index: RetrievalIndex | None = None,
        fingerprint: str = "",
    ):
        super().__init__()
        self.lm = lm
        self.tokens = tokens
        self.trained = trained
        self.encoder = encoder
        self.index = index
        self.config = config
        self.fingerprint = fingerprint

    def train(self, mode: bool = True) -> "Fromage":
        """Only the trained parts change mode; what is frozen has no dropout or batch statistics to switch on."""
        self.trained.train(mode)
        self.training = mode
        return self

    def encode(self, images: Sequence[Image.Image]) -> Tensor:
        """RGB pictures -> features (B, F) float32 on the CPU. Raises ConfigError where the model has no encoder."""
        if self.encoder is None:
            raise ConfigError("this model was loaded without its vision encoder (vision=False); pass features instead")
        return torch.from_numpy(self.encoder.encode(images))

    def embed_prompts(self, prompts: Sequence[Prompt]) -> PromptBatch:
        """Prompts -> one right-padded batch of input embeddings."""
        parts = self.trained
        return embed_prompts(prompts, lm=self.lm, ret=parts.ret, standardise=parts.standardise, prefix=parts.prefix)

    def logits(self, last: Tensor) -> Tensor:
        """States (..., D) -> (..., V + 1) float32: the LM's own logits and, last, [RET]'s."""
        ret = last.float() @ self.trained.ret.head_row
        return torch.cat([self.lm.logits(last).float(), ret.unsqueeze(-1)], dim=-1)

    def image_embeddings(self, features: Tensor) -> Tensor:
        """Features (B, F) -> retrieval embeddings (B, S)."""
        return self.trained.image_head(self.trained.standardise(features.to(self.lm.device)))

    def retrieval_embedding(self, at_ret: Sequence[Tensor], pictures: Sequence[Picture]) -> Tensor:
        """States at [RET], (D,) for each layer, and the pictures that it answers -> (S,), of length 1.

        With `picture_weight`, what the pictures look like is added to what the LM made of the conversation.
        """
        asked = self.trained.text_head(at_ret)
        if not pictures or self.config.picture_weight == 0:
            return asked
        seen = self.image_embeddings(torch.stack([picture.features for picture in pictures])).mean(dim=0)
        return functional.normalize(asked + self.config.picture_weight * seen, dim=-1)

    @torch.inference_mode()
    def text_embeddings(self, texts: Sequence[str], *, batch_size: int = 64) -> Tensor:
        """Each text followed by [RET] -> retrieval embeddings (B, S) float32 on the CPU.

        Texts of like length share a batch; the order of the result is the order of `texts`. Raises InvalidInput on an
        empty text where the tokenizer puts no start token before it.
        """
        result = torch.empty(len(texts), self.config.shared_width)
        prompts = [raw_prompt([text], self.tokens) for text in texts]
        counts = [token_count(prompt, visual_tokens=0) for prompt in prompts]
        if 0 in counts:
            raise InvalidInput("the text is empty; expected at least one character", field=f"texts.{counts.index(0)}")
        order = sorted(range(len(texts)), key=counts.__getitem__)
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            result[rows] = self.ask([prompts[row] for row in rows]).embeddings.float().cpu()
        return result

    def ask(self, prompts: Sequence[Prompt]) -> Asked:
        """Prompts, each without its final [RET] -> retrieval embeddings, with gradients for what is trained.

        The LM is frozen, so everything before [RET] needs no gradient: it runs under no-grad and leaves its KV cache,
        and only the position that consumes [RET] is differentiated. Pictures of these prompts are constants.
        """
        from transformers import DynamicCache

        with torch.no_grad():
            batch = self.embed_prompts(prompts)
            before = self.lm(batch.embeddings, attention_mask=batch.mask, cache=DynamicCache())
        states = self._consume_ret(batch, before)
        at_ret = tuple(layer[:, -1] for layer in states.layers)
        return Asked(embeddings=self.trained.text_head(at_ret), at_ret=at_ret, last=before.last, batch=batch)

    def _consume_ret(self, batch: PromptBatch, before: States) -> States:
        rows = len(batch.mask)
        ret = torch.full((rows, 1), self.tokens.ret_id, device=batch.mask.device)
        return self.lm(
            embed_tokens(ret, lm=self.lm, ret=self.trained.ret),
            attention_mask=torch.cat([batch.mask, batch.mask.new_ones(rows, 1)], dim=1),
            position_ids=batch.lengths.unsqueeze(1),
            cache=before.cache,
        )

    def caption_loss(self, features: Tensor, captions: Sequence[str], *, max_tokens: int = 48) -> CaptionLoss:
        """Visual prefix and caption prompt, then the caption: cross-entropy on caption tokens only (section 3.1).

        features (B, F); a caption is cut to `max_tokens`, and one that is not cut also learns to end.
        """
        if len(features) != len(captions):
            raise InvalidInput(f"expected one caption for each of {len(features)} pictures, got {len(captions)}")
        stop = [self.tokens.stop_id]
        opening = self.tokens.encode(self.config.caption_prompt)
        bodies = [(self.tokens.encode(f" {caption.strip()}.") + stop)[:max_tokens] for caption in captions]
        prompts: list[Prompt] = [
            [list(self.tokens.start_ids), Picture(row), opening, body]
            for row, body in zip(features, bodies, strict=True)
        ]
        batch = self.embed_prompts(prompts)
        last = self.lm(batch.embeddings, attention_mask=batch.mask).last
        rows, columns = _tail(batch, [len(body) for body in bodies])
        targets = batch.ids[rows, columns]
        logits = self.logits(last[rows, columns - 1])
        loss = losses.next_token_loss(logits, targets, torch.ones_like(targets, dtype=torch.float32))
        return CaptionLoss(loss=loss, tokens=len(targets))

    def contrastive_loss(
        self,
        features: Tensor,
        captions: Sequence[str],
        *,
        max_tokens: int = 48,
        positives: Tensor | None = None,
    ) -> ContrastiveLoss:
        """Caption then [RET]: cross-entropy over both, and symmetric InfoNCE with the pictures (section 3.2).

        features (B, F). A caption that is cut to `max_tokens`, [RET] among them, still ends in [RET].
        """
        prompts: list[Prompt] = [[token_ids(raw_prompt([text], self.tokens))[: max_tokens - 1]] for text in captions]
        asked = self.ask(prompts)
        images = self.image_embeddings(features)
        next_token = self.next_token_loss(asked, torch.ones(len(captions)))
        contrast = losses.info_nce(asked.embeddings, images, self.log_scale, positives=positives)
        return ContrastiveLoss(
            loss=next_token + contrast,
            next_token=next_token,
            info_nce=contrast,
            text_embeddings=asked.embeddings,
            image_embeddings=images,
        )

    @property
    def log_scale(self) -> Tensor:
        """The learned log inverse temperature, bounded."""
        return self.trained.log_scale.clamp(max=float(np.log(MAX_SCALE)))

    def next_token_loss(self, asked: Asked, caption_weights: Tensor) -> Tensor:
        """Cross-entropy over [RET] after each prompt and, weighed by row, (B,), over its own tokens -> a scalar.

        Only the output row of [RET] gets a gradient, from every position's softmax.
        """
        ids, mask, lengths = asked.batch.ids, asked.batch.mask, asked.batch.lengths
        targets = torch.cat([ids[:, 1:], ids.new_zeros(len(ids), 1)], dim=1)
        weights = (
            torch.cat([mask[:, 1:], mask.new_zeros(len(mask), 1)], dim=1) * caption_weights.to(mask.device)[:, None]
        )
        weights = weights.masked_fill(targets == VISUAL, 0.0)
        every = torch.arange(len(ids), device=ids.device)
        targets[every, lengths - 1] = self.tokens.ret_id
        weights[every, lengths - 1] = 1.0
        keep = weights > 0
        return self._frozen_loss(asked.last[keep], targets[keep], weights[keep])

    def reply_loss(
        self,
        prompts: Sequence[Prompt],
        replies: Sequence[Sequence[int]],
        *,
        through_lm: bool,
        first_token_weight: float = 1.0,
    ) -> Tensor:
        """Cross-entropy of each reply's tokens after its prompt -> a scalar: what keeps [RET] out of plain talk.

        The gradient reaches the output row of [RET] and, with `through_lm`, what stands in the prompt: its input row
        and the visual prefix, which learn what the LM is to say after them. `first_token_weight` says how much a
        reply's first token counts beside the others: that is where the LM decides whether to ask for products.
        """
        with torch.set_grad_enabled(through_lm and torch.is_grad_enabled()):
            batch = self.embed_prompts([[*prompt, list(reply)] for prompt, reply in zip(prompts, replies, strict=True)])
            last = self.lm(batch.embeddings, attention_mask=batch.mask).last
        rows, columns = _tail(batch, [len(reply) for reply in replies])
        targets = batch.ids[rows, columns]
        starts = torch.cat([rows.new_ones(1), (rows[1:] != rows[:-1]).long()])
        weights = torch.where(starts == 1, first_token_weight, 1.0)
        states = last[rows, columns - 1]
        if not through_lm:
            return self._frozen_loss(states, targets, weights)
        return losses.next_token_loss(self.logits(states), targets, weights)

    def _frozen_loss(self, last: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        with torch.no_grad():
            logits = self.lm.logits(last)
        return losses.next_token_loss_frozen(last, logits, self.trained.ret.head_row, targets, weights)

    def generate(
        self,
        parts: Sequence[Part],
        *,
        max_new_tokens: int = 32,
        top_k: int = 5,
        exclude: Collection[str] = (),
        **sampling: Any,
    ) -> chat.Reply:
        """Continue a raw interleaved prompt of text and pictures. `sampling`: fields of `Sampling`."""
        settings = Sampling(max_new_tokens=max_new_tokens, **sampling)
        return chat.generate(self, parts, sampling=settings, index=self.index, top_k=top_k, exclude=exclude)

    def generate_batch(
        self,
        prompts: Sequence[Sequence[Part]],
        *,
        max_new_tokens: int = 32,
        top_k: int = 5,
        slots: int = 8,
        **sampling: Any,
    ) -> list[chat.Reply]:
        """`generate` for many prompts, at most `slots` at once -> what it gives for each alone, only sooner."""
        settings = Sampling(max_new_tokens=max_new_tokens, **sampling)
        return chat.generate_batch(self, prompts, sampling=settings, index=self.index, top_k=top_k, slots=slots)

    def chat(
        self,
        messages: Sequence[Message | dict],
        *,
        retrieval: RetrievalMode = "auto",
        top_k: int = 5,
        exclude: Collection[str] = (),
        **sampling: Any,
    ) -> chat.Reply:
        """Reply to a conversation, through the LM's chat template if it has one. `sampling`: fields of `Sampling`.

        The text after a [RET] does not read it, unless `ret_in_context=True` asks for the original's way.
        """
        turns = [chat.as_message(message) for message in messages]
        settings = Sampling(**({"ret_in_context": False} | sampling))
        return chat.chat(
            self, turns, retrieval=retrieval, sampling=settings, index=self.index, top_k=top_k, exclude=exclude
        )

    def chat_stream(
        self,
        messages: Sequence[Message],
        *,
        retrieval: RetrievalMode = "auto",
        sampling: Sampling | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Iterator[Event]:
        """The same, event by event and without an index: what a service sends on."""
        return chat.chat_stream(
            self, messages, retrieval=retrieval, sampling=sampling or Sampling(ret_in_context=False), stop=stop
        )


def _tail(batch: PromptBatch, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Rows and columns of the last `lengths[row]` positions with content of each row."""
    position = torch.arange(batch.ids.shape[1], device=batch.ids.device)
    first = batch.lengths - torch.tensor(list(lengths), device=batch.ids.device)
    rows, columns = torch.where((position >= first[:, None]) & (batch.mask == 1))
    return rows, columns
