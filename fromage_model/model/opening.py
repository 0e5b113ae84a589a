"""What every chat begins with, system prompt and examples, or some texts in common: read through the LM once and kept.

Shapes: O positions of the opening, H key heads, E width of a head.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch

from fromage_model.config import FromageConfig
from fromage_model.language.model import LanguageModel, RetToken
from fromage_model.language.tokens import Tokens
from fromage_model.model.batching import embed_tokens
from fromage_model.model.trained import TrainedParts
from fromage_model.prompts.segments import chat_opening

SHORTEST_OPENING = 16
"""Tokens from which on an opening is worth keeping."""


class Opening:
    """Token ids that several prompts begin with, and what the LM makes of them."""

    def __init__(self, ids: Sequence[int], *, lm: LanguageModel, ret: RetToken):
        self.ids = list(ids)
        self._lm = lm
        self._ret = ret

    @cached_property
    def kept(self) -> Any:
        """What a row of the LM's decoder may begin with, read at first use. Of transformers' modules, for each layer
        the keys and values, (1, H, O, E).
        """
        # Not under inference mode, even where the caller is: what is kept must serve training too.
        with torch.inference_mode(False), torch.no_grad():
            ids = torch.tensor(self.ids, device=self._lm.device)
            return self._lm.read_opening(embed_tokens(ids, lm=self._lm, ret=self._ret))

    def cache(self, rows: int) -> Any:
        """A KV cache that has read the opening in each of `rows` rows."""
        from transformers import DynamicCache

        cache = DynamicCache()
        for number, (keys, values) in enumerate(self.kept):
            cache.update(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), number)
        return cache


def find_opening(config: FromageConfig, *, lm: LanguageModel, tokens: Tokens, trained: TrainedParts) -> Opening | None:
    """The opening of a model's chats, or None where it is short, LoRA may change what the LM makes of it, or an
    attention window counts positions from the end.
    """
    ids = chat_opening(tokens, system_prompt=config.system_prompt, examples=config.examples)
    if len(ids) < SHORTEST_OPENING or trained.lora is not None or lm.window is not None:
        return None
    return Opening(ids, lm=lm, ret=trained.ret)
