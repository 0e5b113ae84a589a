"""Fromage: a frozen LM and a frozen vision encoder joined by trained maps and [RET] (Koh et al., ICML 2023).

This class wires finished parts; `build.py` makes them and `bundle.py` loads them. What it knows is how text and
pictures get into the shared space; the losses are `objectives.py`, decoding is `decoding.py`, conversations `chat.py`.

Shapes: B batch, T positions, D LM width, F feature width, S shared width, N visual tokens, V vocabulary.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from fromage_model.chat import reply as chat
from fromage_model.config import FromageConfig
from fromage_model.errors import ConfigError, InvalidInput, PromptTooLong
from fromage_model.index import RetrievalIndex
from fromage_model.language.model import LanguageModel
from fromage_model.language.tokens import Tokens
from fromage_model.model import objectives
from fromage_model.model.batching import PromptBatch, embed_prompts
from fromage_model.model.objectives import CaptionLoss, ContrastiveLoss
from fromage_model.model.reading import Opening, consume_ret, find_opening, read_prompts, states_after
from fromage_model.model.trained import TrainedParts
from fromage_model.prompts.messages import Event, Message, Part, RetrievalMode, Sampling
from fromage_model.prompts.segments import Picture, Prompt, raw_prompt, token_count, token_ids
from fromage_model.vision.encoders import VisionEncoder


@dataclass(frozen=True)
class Asked:
    """A batch of prompts up to [RET], and what the LM made of them.

    `embeddings`, (B, S), are the retrieval embeddings; `at_ret`, (B, D) for each layer, the states they come from;
    `last`, (B, T, D), the LM's states before [RET], constants unless LoRA is trained.
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
        lineage: dict[str, Any] | None = None,
    ):
        """`lineage` says where the trained parts come from, in JSON's types; a bundle keeps it."""
        super().__init__()
        self.lm = lm
        self.tokens = tokens
        self.trained = trained
        self.encoder = encoder
        self.index = index
        self.config = config
        self.fingerprint = fingerprint
        self.lineage = lineage or {}
        self._opening: Opening | None = None
        self._opening_of: tuple[object, ...] = ()

    def train(self, mode: bool = True) -> "Fromage":
        """Only the trained parts change mode; what is frozen has no dropout or batch statistics to switch on."""
        self.trained.train(mode)
        self.training = mode
        return self

    @property
    def shared_width(self) -> int:
        """S, also where the config leaves it to the LM."""
        return self.trained.image_head.shared_width

    @property
    def opening(self) -> Opening | None:
        """What every chat begins with, read once, at first use; None where that is not worth it or can't be."""
        made_of = (self.config, self.lm.device, self.lm.dtype, self.trained.lora)
        if self._opening_of != made_of:
            self._opening, self._opening_of = find_opening(self), made_of
        return self._opening

    def read_opening(self) -> None:
        """Read ahead of the first chat what every chat begins with."""
        if self.opening is not None:
            _ = self.opening.layers

    def encode(self, images: Sequence[Image.Image]) -> Tensor:
        """RGB pictures -> features (B, F) float32 on the CPU. Raises ConfigError where the model has no encoder."""
        if self.encoder is None:
            raise ConfigError("this model was loaded without its vision encoder (vision=False); pass features instead")
        return torch.from_numpy(self.encoder.encode(images))

    def embed_prompts(self, prompts: Sequence[Prompt], *, more: int = 0) -> PromptBatch:
        """Prompts -> one right-padded batch of input embeddings.

        Raises PromptTooLong where one of them, and `more` tokens after it, exceed the LM's positions.
        """
        self._check_room(
            max(token_count(prompt, visual_tokens=self.config.visual_tokens) for prompt in prompts), more=more
        )
        parts = self.trained
        return embed_prompts(prompts, lm=self.lm, ret=parts.ret, standardise=parts.standardise, prefix=parts.prefix)

    def _check_room(self, tokens: int, *, more: int) -> None:
        if tokens + more > self.lm.max_positions:
            raise PromptTooLong(
                f"a prompt of {tokens} tokens, with {more} after it; together at most {self.lm.max_positions} fit"
            )

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

    def check_text(self, text: str) -> None:
        """Raises what `text_embeddings` raises for a text that can't be embedded: InvalidInput, PromptTooLong."""
        ids = token_ids(raw_prompt([text], self.tokens))
        if not ids:
            raise InvalidInput("the text is empty; expected at least one character")
        self._check_room(len(ids), more=1)

    @torch.inference_mode()
    def text_embeddings(self, texts: Sequence[str], *, batch_size: int = 64) -> Tensor:
        """Each text followed by [RET] -> retrieval embeddings (B, S) float32 on the CPU.

        Texts of like length share a batch; the order of the result is the order of `texts`. Raises InvalidInput on an
        empty text where the tokenizer puts no start token before it.
        """
        result = torch.empty(len(texts), self.shared_width)
        ids = [token_ids(raw_prompt([text], self.tokens)) for text in texts]
        if [] in ids:
            raise InvalidInput("the text is empty; expected at least one character", field=f"texts.{ids.index([])}")
        for read in states_after(self, ids, batch_size=batch_size):
            result[read.rows] = self.trained.text_head(read.states).float().cpu()
        return result

    def ask(self, prompts: Sequence[Prompt]) -> Asked:
        """Prompts, each without its final [RET] -> retrieval embeddings, with gradients for what is trained.

        Where the LM is frozen, everything before [RET] needs no gradient: it runs under no-grad and leaves its KV
        cache, and only the position that consumes [RET] is differentiated. Pictures of these prompts are constants.
        Where LoRA is trained, every position is differentiated, and so are the pictures. Raises InvalidInput where a
        prompt is empty, PromptTooLong.
        """
        if any(token_count(prompt, visual_tokens=self.config.visual_tokens) == 0 for prompt in prompts):
            raise InvalidInput("a prompt is empty; expected text or a picture before [RET]")
        if self.trained.lm_learns:
            return self._ask_through_lm(prompts)
        with torch.no_grad():
            read = read_prompts(self, prompts, more=1, keep_cache=True)
        at_ret = consume_ret(self, read)
        embeddings = self.trained.text_head(at_ret)
        return Asked(embeddings=embeddings, at_ret=at_ret, last=read.states.last, batch=read.batch)

    def _ask_through_lm(self, prompts: Sequence[Prompt]) -> Asked:
        whole = self.embed_prompts([[*prompt, [self.tokens.ret_id]] for prompt in prompts])
        states = self.lm(whole.embeddings, attention_mask=whole.mask)
        every = torch.arange(len(whole.mask), device=whole.mask.device)
        at_ret = states.at(every, whole.lengths - 1)
        before = PromptBatch(embeddings=whole.embeddings[:, :-1], ids=whole.ids[:, :-1], mask=whole.mask[:, 1:])
        return Asked(embeddings=self.trained.text_head(at_ret), at_ret=at_ret, last=states.last[:, :-1], batch=before)

    def caption_loss(
        self, features: Tensor, captions: Sequence[str], *, max_tokens: int = 48, concatenate: bool = False
    ) -> CaptionLoss:
        """How well captions follow from features (B, F) (section 3.1); see `objectives.caption_loss`."""
        return objectives.caption_loss(self, features, captions, max_tokens=max_tokens, concatenate=concatenate)

    def contrastive_loss(
        self,
        features: Tensor,
        captions: Sequence[str],
        *,
        max_tokens: int = 48,
        positives: Tensor | None = None,
    ) -> ContrastiveLoss:
        """How near captions come to their features (B, F) (section 3.2); see `objectives.contrastive_loss`."""
        return objectives.contrastive_loss(self, features, captions, max_tokens=max_tokens, positives=positives)

    @property
    def log_scale(self) -> Tensor:
        """The learned log inverse temperature; whoever trains it calls `trained.bound_log_scale` after each step."""
        return self.trained.log_scale

    def next_token_loss(self, asked: Asked, caption_weights: Tensor) -> Tensor:
        """Cross-entropy over [RET] and, weighed by row, (B,), the prompts' tokens; see `objectives.next_token_loss`."""
        return objectives.next_token_loss(self, asked, caption_weights)

    def reply_loss(
        self,
        prompts: Sequence[Prompt],
        replies: Sequence[Sequence[int]],
        *,
        through_lm: bool,
        first_token_weight: float = 1.0,
    ) -> Tensor:
        """Cross-entropy of replies after their prompts, a scalar; see `objectives.reply_loss`."""
        return objectives.reply_loss(
            self, prompts, replies, through_lm=through_lm, first_token_weight=first_token_weight
        )

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
