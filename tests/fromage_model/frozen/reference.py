"""The plain way through a FROZEN model: one sequence, no padding, no cache, transformers' causal LM as a whole.

Shapes: T positions, N visual tokens, D LM width, V vocabulary.
"""

import torch
from torch import Tensor

from fromage_model import FrozenModel
from fromage_model.prompts.segments import Picture, Prompt


def read(model: FrozenModel, rows: list) -> Tensor:
    """One sequence of ids and prefixes (N, D) -> logits (T, V)."""
    table = model.lm.backbone.get_input_embeddings().weight
    pieces = [row if isinstance(row, Tensor) else table[row] for row in rows if len(row)]
    return model.lm.backbone(inputs_embeds=torch.cat(pieces)[None]).logits[0, :, : model.tokens.vocabulary]


def read_prompt(model: FrozenModel, prompt: Prompt) -> Tensor:
    """A prompt's logits (T, V), each picture encoded by itself."""
    return read(
        model, [model.visual_prefix(part.features[None])[0] if isinstance(part, Picture) else part for part in prompt]
    )
