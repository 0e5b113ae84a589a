"""Fromage: a frozen LM and a frozen vision encoder joined by trained maps and [RET] (Koh et al., ICML 2023).

What users hold: the core with everything that is done with it as methods. `build.py` makes one and `bundle.py` loads
one; each method says where its work is done.

Shapes: B batch, F feature width, S shared width.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from torch import Tensor

from fromage_model.chat import reply
from fromage_model.chat.reply import Reply
from fromage_model.config import FromageConfig
from fromage_model.index import RetrievalIndex
from fromage_model.language.model import LanguageModel
from fromage_model.language.tokens import Tokens
from fromage_model.model import asking, objectives
from fromage_model.model.asking import Asked
from fromage_model.model.core import FromageCore
from fromage_model.model.objectives import CaptionLoss, ContrastiveLoss
from fromage_model.model.trained import TrainedParts
from fromage_model.prompts.messages import Event, Message, Part, RetrievalMode, Sampling
from fromage_model.prompts.segments import Prompt
from fromage_model.vision.encoders import VisionEncoder


class Fromage(FromageCore):
    """A model and, where one is opened with it, the index that its [RET] are answered from."""

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
        super().__init__(lm=lm, tokens=tokens, trained=trained, config=config, encoder=encoder)
        self.index = index
        self.fingerprint = fingerprint
        self.lineage = lineage or {}

    def readable(self, text: str) -> str:
        """The text, or as much of its beginning as is read before [RET]; see `asking.readable`."""
        return asking.readable(self, text)

    def text_embeddings(self, texts: Sequence[str], *, batch_size: int = 64) -> Tensor:
        """Each text followed by [RET] -> (B, S) float32 on the CPU; see `asking.text_embeddings`."""
        return asking.text_embeddings(self, texts, batch_size=batch_size)

    def ask(self, prompts: Sequence[Prompt]) -> Asked:
        """Prompts, each without its final [RET] -> retrieval embeddings with gradients; see `asking.ask`."""
        return asking.ask(self, prompts)

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
    ) -> Reply:
        """Continue a raw interleaved prompt of text and pictures. `sampling`: fields of `Sampling`."""
        settings = Sampling(max_new_tokens=max_new_tokens, **sampling)
        return reply.generate(self, parts, sampling=settings, index=self.index, top_k=top_k, exclude=exclude)

    def generate_batch(
        self,
        prompts: Sequence[Sequence[Part]],
        *,
        max_new_tokens: int = 32,
        top_k: int = 5,
        slots: int = 8,
        **sampling: Any,
    ) -> list[Reply]:
        """`generate` for many prompts, at most `slots` at once -> what it gives for each alone, only sooner."""
        settings = Sampling(max_new_tokens=max_new_tokens, **sampling)
        return reply.generate_batch(self, prompts, sampling=settings, index=self.index, top_k=top_k, slots=slots)

    def chat(
        self,
        messages: Sequence[Message | dict],
        *,
        retrieval: RetrievalMode = "auto",
        top_k: int = 5,
        exclude: Collection[str] = (),
        **sampling: Any,
    ) -> Reply:
        """Reply to a conversation, through the LM's chat template if it has one. `sampling`: fields of `Sampling`.

        The text after a [RET] does not read it, unless `ret_in_context=True` asks for the original's way.
        """
        turns = [reply.as_message(message) for message in messages]
        settings = Sampling(**({"ret_in_context": False} | sampling))
        return reply.chat(
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
        return reply.chat_stream(
            self, messages, retrieval=retrieval, sampling=sampling or Sampling(ret_in_context=False), stop=stop
        )
