"""Prompts through the LM, up to [RET] and with it. What prompts have in common at their beginning is read once.

Knows no losses and no decoding.

Shapes: B batch, T positions, D LM width, O positions of the opening.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fromage_model.language.model import States
from fromage_model.model.batching import PromptBatch, embed_tokens
from fromage_model.model.core import FromageCore
from fromage_model.model.opening import Opening
from fromage_model.model.sequence_packing import Packing
from fromage_model.prompts.segments import Prompt, after_opening, token_count

WORTH_SHARING = 64
"""Tokens that must not be read again for a common beginning to be read by itself."""
POSITIONS_AT_ONCE = 1 << 15
"""Most positions of a batch of texts, padding among them: a few texts of thousands of tokens fill the memory."""


def opening_of(model: FromageCore, prompt: Prompt) -> Opening | None:
    """The model's opening, where the prompt begins with it and goes on."""
    opening = model.opening
    return None if opening is None or after_opening(prompt, opening.ids) is None else opening


@dataclass(frozen=True)
class AtRet:
    """The states at a [RET] after some texts, (B, D) for each layer; `rows` says which texts these are."""

    rows: list[int]
    states: tuple[Tensor, ...]


@dataclass(frozen=True)
class Read:
    """A batch of prompts and the LM's states there. Where all begin with the opening, the batch holds what follows it,
    and `opened` is the number of positions before. With `packing` the cache has its rows.
    """

    batch: PromptBatch
    states: States
    opened: int
    packing: Packing | None = None

    @property
    def mask(self) -> Tensor:
        """(B, O + T), 1 at content."""
        return opened_mask(self.batch.mask, self.opened)


def opened_mask(mask: Tensor, opened: int) -> Tensor:
    """(B, T) -> (B, O + T): everybody sees the opening."""
    return torch.cat([mask.new_ones(len(mask), opened), mask], dim=1)


def read_prompts(model: FromageCore, prompts: Sequence[Prompt], *, more: int = 0, keep_cache: bool = False) -> Read:
    """Raises PromptTooLong where a prompt, and `more` tokens after it, exceed the LM's positions."""
    opening = model.opening
    rest = [] if opening is None else [after_opening(prompt, opening.ids) for prompt in prompts]
    shared = [prompt for prompt in rest if prompt is not None]
    if opening is None or len(shared) < len(prompts):
        return _read(model, model.embed_prompts(prompts, more=more), opening=None, keep_cache=keep_cache)
    batch = model.embed_prompts(shared, more=more + len(opening.ids))
    return _read(model, batch, opening=opening, keep_cache=keep_cache)


def _read(model: FromageCore, batch: PromptBatch, *, opening: Opening | None, keep_cache: bool) -> Read:
    """A batch of what follows the opening, or of whole prompts."""
    from transformers import DynamicCache

    opened = 0 if opening is None else len(opening.ids)
    packing = Packing.of(model.lm, batch.mask, opened=opened)
    cache = DynamicCache() if keep_cache else None
    if opening is not None:
        cache = opening.cache(len(batch.mask) if packing is None else packing.rows)
    if packing is None:
        states = model.lm(batch.embeddings, attention_mask=opened_mask(batch.mask, opened), cache=cache)
    else:
        states = packing.read(model.lm, batch.embeddings, opened=opened, cache=cache)
    return Read(batch, states, opened, packing)


def alike(model: FromageCore, prompts: Sequence[Prompt], *, at_once: int) -> list[list[int]]:
    """The rows of `prompts` in batches of at most `at_once`, of like length, the shortest first; those that begin with
    the opening by themselves, because one that does not would have them read it again.
    """
    sizes = [token_count(prompt, visual_tokens=model.config.visual_tokens) for prompt in prompts]
    opened = [opening_of(model, prompt) is not None for prompt in prompts]
    batches: list[list[int]] = []
    for kind in (False, True):
        order = sorted((row for row in range(len(prompts)) if opened[row] == kind), key=lambda row: sizes[row])
        batches += [order[start : start + at_once] for start in range(0, len(order), at_once)]
    return batches


def consume_ret(model: FromageCore, read: Read) -> tuple[Tensor, ...]:
    """The states at a [RET] after each prompt that was read with its cache, (B, D) for each layer.

    An attention window counts cache entries, padding among them: where it would end inside the longest row, rows are
    read again, each length by itself and without padding.
    """
    batch, window = read.batch, model.lm.window
    if read.packing is not None:
        ids = torch.tensor([[model.tokens.ret_id]], device=batch.mask.device)
        ret = embed_tokens(ids, lm=model.lm, ret=model.trained.ret)
        cache = read.states.cache
        return read.packing.read_one_more(model.lm, ret, batch.lengths, opened=read.opened, cache=cache)
    if window is None or batch.mask.shape[1] < window or bool(batch.mask.all()):
        return _states_at_ret(model, read.mask, read.opened + batch.lengths, read.states.cache)
    from transformers import DynamicCache

    states: list[tuple[Tensor, ...]] = []
    order: list[Tensor] = []
    for length in batch.lengths.unique():
        rows = torch.where(batch.lengths == length)[0]
        with torch.no_grad():
            again = model.lm(batch.embeddings[rows, :length], cache=DynamicCache())
        states.append(_states_at_ret(model, batch.mask[rows, :length], batch.lengths[rows], again.cache))
        order.append(rows)
    back = torch.cat(order).argsort()
    return tuple(torch.cat(layer)[back] for layer in zip(*states, strict=True))


def states_after(model: FromageCore, texts: Sequence[list[int]], *, batch_size: int) -> Iterator[AtRet]:
    """The states at a [RET] after each text, given by its tokens, in one pass over batches of like length.

    What all texts begin with, as the words that captions follow, is read once.
    """
    shared = _alike(texts) if texts and model.lm.window is None else 0
    beginning = None
    if shared * (len(texts) - 1) >= WORTH_SHARING:
        beginning = Opening(texts[0][:shared], lm=model.lm, ret=model.trained.ret)
    for rows in _like_lengths(texts, batch_size=batch_size):
        own = [[*texts[row], model.tokens.ret_id] for row in rows]
        opened = len(beginning.ids) if beginning else 0
        batch = model.embed_prompts([[ids[opened:]] for ids in own], more=opened)
        cache = beginning.cache(len(rows)) if beginning else None
        states = model.lm(batch.embeddings, attention_mask=opened_mask(batch.mask, opened), cache=cache)
        every = torch.arange(len(rows), device=batch.mask.device)
        yield AtRet(rows, states.at(every, batch.lengths - 1))


def _like_lengths(texts: Sequence[list[int]], *, batch_size: int) -> Iterator[list[int]]:
    """Rows in batches of like length, the shortest first, of at most POSITIONS_AT_ONCE where it is more than one."""
    rows: list[int] = []
    for row in sorted(range(len(texts)), key=lambda row: len(texts[row])):
        if len(rows) == batch_size or (rows and (len(rows) + 1) * len(texts[row]) > POSITIONS_AT_ONCE):
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows


def _alike(texts: Sequence[list[int]]) -> int:
    """How many tokens all texts begin with."""
    first, last = min(texts), max(texts)
    unlike = (place for place, (one, other) in enumerate(zip(first, last, strict=False)) if one != other)
    return next(unlike, min(len(first), len(last)))


def _states_at_ret(model: FromageCore, mask: Tensor, lengths: Tensor, cache: Any) -> tuple[Tensor, ...]:
    ret = torch.full((len(mask), 1), model.tokens.ret_id, device=mask.device)
    states = model.lm(
        embed_tokens(ret, lm=model.lm, ret=model.trained.ret),
        attention_mask=torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1),
        position_ids=lengths.unsqueeze(1),
        cache=cache,
    )
    return tuple(layer[:, -1] for layer in states.layers)
