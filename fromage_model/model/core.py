"""The core of a Fromage: its parts, and what they make of text and pictures: features, embeddings, logits.

Prompts are read through it by `reading.py`, [RET] is asked for by `asking.py`, trained by `objectives.py`, and written
by `chat/`; the class that has all of these as methods is `fromage_model.fromage.Fromage`.

Shapes: B batch, T positions, D LM width, F feature width, S shared width, N visual tokens, V vocabulary.
"""

from collections.abc import Sequence
from typing import Any, Self

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from fromage_model.config import FromageConfig
from fromage_model.errors import ConfigError, PromptTooLong
from fromage_model.language.model import LanguageModel
from fromage_model.language.tokens import Tokens
from fromage_model.model.batching import PromptBatch, embed_prompts
from fromage_model.model.opening import Opening, find_opening
from fromage_model.model.trained import TrainedParts
from fromage_model.prompts.segments import Picture, Prompt, token_count
from fromage_model.vision.encoders import VisionEncoder


class FromageCore(nn.Module):
    """A frozen LM, a frozen encoder (or none, where features come ready), and the trained parts."""

    def __init__(
        self,
        *,
        lm: LanguageModel,
        tokens: Tokens,
        trained: TrainedParts,
        config: FromageConfig,
        encoder: VisionEncoder | None = None,
    ):
        super().__init__()
        self.lm = lm
        self.tokens = tokens
        self.trained = trained
        self.encoder = encoder
        self.config = config
        self._opening: Opening | None = None
        self._opening_of: tuple[object, ...] = ()

    def train(self, mode: bool = True) -> Self:
        """Only the trained parts change mode; what is frozen has no dropout or batch statistics to switch on."""
        self.trained.train(mode)
        self.training = mode
        return self

    @property
    def shared_width(self) -> int:
        """S, also where the config leaves it to the LM."""
        return self.trained.image_head.shared_width

    @property
    def log_scale(self) -> Tensor:
        """The learned log inverse temperature; whoever trains it calls `trained.bound_log_scale` after each step."""
        return self.trained.log_scale

    @property
    def opening(self) -> Opening | None:
        """What every chat begins with, read once, at first use; None where that is not worth it or can't be."""
        made_of = (self.config, self.lm.device, self.lm.dtype, self.trained.lora)
        if self._opening_of != made_of:
            found = find_opening(self.config, lm=self.lm, tokens=self.tokens, trained=self.trained)
            self._opening, self._opening_of = found, made_of
        return self._opening

    def read_opening(self) -> None:
        """Read ahead of the first chat what every chat begins with."""
        if self.opening is not None:
            _ = self.opening.kept

    def encode(self, images: Sequence[Image.Image]) -> Tensor:
        """RGB pictures -> features (B, F) float32 on the CPU. Raises ConfigError where the model has no encoder."""
        if self.encoder is None:
            raise ConfigError("this model was loaded without its vision encoder (vision=False); pass features instead")
        return torch.from_numpy(self.encoder.encode(images))

    def with_features(self, parts: Sequence[Any]) -> list[Any]:
        """A message's parts, its pictures replaced by their features; all of them in one pass through the encoder."""
        images = [part for part in parts if isinstance(part, Image.Image)]
        if not images:
            return list(parts)
        features = iter(self.encode(images).numpy())
        return [next(features) if isinstance(part, Image.Image) else part for part in parts]

    def embed_prompts(self, prompts: Sequence[Prompt], *, more: int = 0) -> PromptBatch:
        """Prompts -> one right-padded batch of input embeddings.

        Raises PromptTooLong where one of them, and `more` tokens after it, exceed the LM's positions.
        """
        visual_tokens = self.config.visual_tokens
        self.check_room(max(token_count(prompt, visual_tokens=visual_tokens) for prompt in prompts), more=more)
        parts = self.trained
        return embed_prompts(prompts, lm=self.lm, ret=parts.ret, standardise=parts.standardise, prefix=parts.prefix)

    def check_room(self, tokens: int, *, more: int) -> None:
        """Raises PromptTooLong where a prompt of `tokens` tokens, and `more` after it, exceed the LM's positions."""
        if tokens + more > self.lm.max_positions:
            raise PromptTooLong(
                f"a prompt of {tokens} tokens, with {more} after it; together at most {self.lm.max_positions} fit"
            )

    def logits(self, last: Tensor) -> Tensor:
        """States (..., D) -> (..., V + 1) float32: the LM's own logits and, last, [RET]'s."""
        words = self.lm.logits(last)
        logits = words.new_empty(*words.shape[:-1], words.shape[-1] + 1, dtype=torch.float32)
        logits[..., :-1] = words
        logits[..., -1] = last.float() @ self.trained.ret.head_row
        return logits

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
