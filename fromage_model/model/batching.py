"""Prompts of different lengths -> one right-padded batch of LM input embeddings. Knows nothing of losses or decoding.

Shapes: B batch, T positions, D LM width, N visual tokens, F feature width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fromage_model.language.model import LanguageModel, RetToken
from fromage_model.model.projections import Standardise, VisualPrefix
from fromage_model.prompts.segments import Picture, Prompt

VISUAL = -1
"""Stands in `PromptBatch.ids` where a position is a picture's and not a token's."""


@dataclass(frozen=True)
class PromptBatch:
    """`embeddings` (B, T, D) in the LM's dtype; `ids` (B, T), VISUAL at pictures; `mask` (B, T), 1 at content."""

    embeddings: Tensor
    ids: Tensor
    mask: Tensor

    @property
    def lengths(self) -> Tensor:
        """(B,) positions with content."""
        return self.mask.sum(dim=1)


def embed_tokens(ids: Tensor, *, lm: LanguageModel, ret: RetToken) -> Tensor:
    """(..., T) ids up to and including [RET] -> (..., T, D), with a gradient into [RET]'s input row alone."""
    is_ret = ids == lm.vocabulary
    embeddings = lm.embed(ids.masked_fill(is_ret, 0))
    return torch.where(is_ret.unsqueeze(-1), ret.input_row.to(embeddings.dtype), embeddings)


def embed_prompts(
    prompts: Sequence[Prompt], *, lm: LanguageModel, ret: RetToken, standardise: Standardise, prefix: VisualPrefix
) -> PromptBatch:
    """Prompts -> one batch; all pictures go through the prefix together, all tokens through one look-up."""
    ids, mask = lay_out(prompts, visual_tokens=prefix.visual_tokens, device=lm.device)
    is_visual = ids == VISUAL
    embeddings = embed_tokens(ids.masked_fill(is_visual, 0), lm=lm, ret=ret)
    pictures = [segment.features for prompt in prompts for segment in prompt if isinstance(segment, Picture)]
    if pictures:
        features = torch.stack(pictures).to(lm.device)
        visual = prefix(standardise(features)).flatten(0, 1)
        embeddings = embeddings.masked_scatter(is_visual.unsqueeze(-1), visual.to(embeddings.dtype))
    return PromptBatch(embeddings=embeddings, ids=ids, mask=mask)


def lay_out(
    prompts: Sequence[Prompt], *, visual_tokens: int, device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """Prompts -> `ids` (B, T), VISUAL where a picture's prefix goes, and `mask` (B, T), 1 at content; right-padded."""
    rows = [_ids(prompt, visual_tokens) for prompt in prompts]
    width = max(len(row) for row in rows)
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return ids.to(device), mask.to(device)


def _ids(prompt: Prompt, visual_tokens: int) -> list[int]:
    row: list[int] = []
    for segment in prompt:
        row += [VISUAL] * visual_tokens if isinstance(segment, Picture) else segment
    return row
