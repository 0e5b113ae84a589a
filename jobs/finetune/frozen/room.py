"""Whether the LM has room for every row, before the first step is made of any. Knows no step and no optimizer."""

from collections.abc import Iterable

import torch
from PIL import Image

from fromage_model.errors import PromptTooLong
from fromage_model.frozen.model import FrozenModel
from jobs.finetune.frozen.rows import Row


@torch.inference_mode()
def check_room(model: FrozenModel, rows: Iterable[Row], *, max_tokens: int) -> None:
    """Raises PromptTooLong, naming the row, where prefix, question and what is learned of a text exceed the LM's
    positions.
    """
    with model.evaluating():
        prefix = model.visual_prefix([Image.new("RGB", (32, 32))]).shape[1]
    tokens, most = model.tokens, model.lm.max_positions
    before = prefix + len(tokens.start_ids)
    for row in rows:
        for text in row.texts:
            # No token is shorter than a byte, so that few texts need to be read.
            if before + len(text.context.encode()) + min(max_tokens, len(text.text.encode()) + 1) <= most:
                continue
            length = before + len(tokens.encode(text.context)) + min(max_tokens, len(tokens.encode(text.text)) + 1)
            if length > most:
                raise PromptTooLong(
                    f"the picture of {row.id} and its text {text.context + text.text!r:.60} take {length} positions, "
                    f"the LM has {most}; leave the row out, shorten its question, or give a smaller --max-tokens"
                )
