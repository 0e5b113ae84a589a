"""Asking at [RET]: prompts and texts -> retrieval embeddings, with gradients for what is trained or without any.

Shapes: B batch, T positions, D LM width, S shared width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fromage_model.errors import InvalidInput
from fromage_model.model.batching import PromptBatch
from fromage_model.model.core import FromageCore
from fromage_model.model.reading import consume_ret, read_prompts, states_after
from fromage_model.model.sequence_packing import states_of
from fromage_model.prompts.segments import Prompt, raw_prompt, token_count, token_ids

LONGEST_TEXT = 512
"""Tokens of an item's text that are read: heads learn from captions a tenth as long, and thousands take minutes."""


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


def ask(model: FromageCore, prompts: Sequence[Prompt]) -> Asked:
    """Prompts, each without its final [RET] -> retrieval embeddings, with gradients for what is trained.

    Where the LM is frozen, everything before [RET] needs no gradient: it runs under no-grad and leaves its KV cache,
    and only the position that consumes [RET] is differentiated. Pictures of these prompts are constants. Where LoRA is
    trained, every position is differentiated, and so are the pictures. Raises InvalidInput where a prompt is empty,
    PromptTooLong.
    """
    if any(token_count(prompt, visual_tokens=model.config.visual_tokens) == 0 for prompt in prompts):
        raise InvalidInput("a prompt is empty; expected text or a picture before [RET]")
    if model.trained.lm_learns:
        return _ask_through_lm(model, prompts)
    with torch.no_grad():
        read = read_prompts(model, prompts, more=1, keep_cache=True)
    at_ret = consume_ret(model, read)
    embeddings = model.trained.text_head(at_ret)
    return Asked(embeddings=embeddings, at_ret=at_ret, last=read.states.last, batch=read.batch)


def _ask_through_lm(model: FromageCore, prompts: Sequence[Prompt]) -> Asked:
    whole = model.embed_prompts([[*prompt, [model.tokens.ret_id]] for prompt in prompts])
    states = states_of(model.lm, whole.embeddings, whole.mask)
    every = torch.arange(len(whole.mask), device=whole.mask.device)
    at_ret = states.at(every, whole.lengths - 1)
    before = PromptBatch(embeddings=whole.embeddings[:, :-1], ids=whole.ids[:, :-1], mask=whole.mask[:, 1:])
    return Asked(embeddings=model.trained.text_head(at_ret), at_ret=at_ret, last=states.last[:, :-1], batch=before)


def readable(model: FromageCore, text: str) -> str:
    """The text, or as much of its beginning as is worth reading before [RET] and as the LM has positions for."""
    room = model.lm.max_positions - len(model.tokens.start_ids) - 1
    return model.tokens.beginning(text, min(room, LONGEST_TEXT))


@torch.inference_mode()
def text_embeddings(model: FromageCore, texts: Sequence[str], *, batch_size: int = 64) -> Tensor:
    """Each text followed by [RET] -> retrieval embeddings (B, S) float32 on the CPU.

    Texts of like length share a batch; the order of the result is the order of `texts`. Raises InvalidInput on an empty
    text where the tokenizer puts no start token before it, PromptTooLong on one that the LM has no positions for.
    """
    result = torch.empty(len(texts), model.shared_width)
    ids = [token_ids(raw_prompt([text], model.tokens)) for text in texts]
    if [] in ids:
        raise InvalidInput("the text is empty; expected at least one character", field=f"texts.{ids.index([])}")
    for read in states_after(model, ids, batch_size=batch_size):
        result[read.rows] = model.trained.text_head(read.states).float().cpu()
    return result
