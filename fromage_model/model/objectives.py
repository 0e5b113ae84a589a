"""The losses that train a Fromage: captions, [RET] and pictures, replies. The formulas are `losses.py`'s.

What this module knows is which tokens are labels and where a gradient may go; the model is only read.

Shapes: B batch, T positions, D LM width, F feature width, S shared width.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from fromage_model.errors import InvalidInput
from fromage_model.model import losses
from fromage_model.model.asking import Asked, ask
from fromage_model.model.batching import VISUAL, PromptBatch
from fromage_model.model.core import FromageCore
from fromage_model.model.reading import read_prompts
from fromage_model.model.sequence_packing import states_of
from fromage_model.prompts.segments import Picture, Prompt, raw_prompt, token_count, token_ids


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


def caption_loss(
    model: FromageCore, features: Tensor, captions: Sequence[str], *, max_tokens: int = 48, concatenate: bool = False
) -> CaptionLoss:
    """Visual prefix and caption prompt, then the caption: cross-entropy on caption tokens only (section 3.1).

    features (B, F); a caption is cut to `max_tokens`. By default it is learned as a sentence, and one that is not cut
    also learns to end; with the config's `original_captions` it is learned as it stands, the start token before it
    included, and no end. With `concatenate` two examples share a sequence, and the second one sees the first (the
    original's `concat_captions`); of an odd number the last stays alone.
    """
    if len(features) != len(captions):
        raise InvalidInput(f"expected one caption for each of {len(features)} pictures, got {len(captions)}")
    examples = [_captioned(model, row, caption, max_tokens) for row, caption in zip(features, captions, strict=True)]
    size = 2 if concatenate else 1
    sequences = [examples[start : start + size] for start in range(0, len(examples), size)]
    opening: Prompt = [] if model.config.original_captions else [list(model.tokens.start_ids)]
    prompts = [[*opening, *(part for one in sequence for part in one.prompt)] for sequence in sequences]
    batch = model.embed_prompts(prompts)
    # Nothing is chosen after the longest rows' last token.
    last = states_of(model.lm, batch.embeddings[:, :-1], batch.mask[:, :-1]).last
    rows, columns = _caption_places(model, sequences, start=token_count(opening, visual_tokens=0))
    targets = batch.ids[rows, columns]
    loss = _weighted_loss(model, last[rows, columns - 1], targets, torch.ones_like(targets, dtype=torch.float32))
    return CaptionLoss(loss=loss, tokens=len(targets))


def contrastive_loss(
    model: FromageCore,
    features: Tensor,
    captions: Sequence[str],
    *,
    max_tokens: int = 48,
    positives: Tensor | None = None,
) -> ContrastiveLoss:
    """Caption then [RET]: cross-entropy over both, and symmetric InfoNCE with the pictures (section 3.2).

    features (B, F). A caption that is cut to `max_tokens`, [RET] among them, still ends in [RET].
    """
    prompts: list[Prompt] = [[token_ids(raw_prompt([text], model.tokens))[: max_tokens - 1]] for text in captions]
    asked = ask(model, prompts)
    images = model.image_embeddings(features)
    next_token = next_token_loss(model, asked, torch.ones(len(captions)))
    contrast = losses.info_nce(asked.embeddings, images, model.log_scale, positives=positives)
    return ContrastiveLoss(
        loss=next_token + contrast,
        next_token=next_token,
        info_nce=contrast,
        text_embeddings=asked.embeddings,
        image_embeddings=images,
    )


def next_token_loss(model: FromageCore, asked: Asked, caption_weights: Tensor) -> Tensor:
    """Cross-entropy over [RET] after each prompt and, weighed by row, (B,), over its own tokens -> a scalar.

    The output row of [RET] gets a gradient from every position's softmax, and so does LoRA where it is trained.
    """
    ids, mask, lengths = asked.batch.ids, asked.batch.mask, asked.batch.lengths
    targets = torch.cat([ids[:, 1:], ids.new_zeros(len(ids), 1)], dim=1)
    weights = torch.cat([mask[:, 1:], mask.new_zeros(len(mask), 1)], dim=1) * caption_weights.to(mask.device)[:, None]
    weights = weights.masked_fill(targets == VISUAL, 0.0)
    every = torch.arange(len(ids), device=ids.device)
    targets[every, lengths - 1] = model.tokens.ret_id
    weights[every, lengths - 1] = 1.0
    keep = weights > 0
    return _weighted_loss(model, asked.last[keep], targets[keep], weights[keep])


def reply_loss(
    model: FromageCore,
    prompts: Sequence[Prompt],
    replies: Sequence[Sequence[int]],
    *,
    through_lm: bool,
    first_token_weight: float = 1.0,
) -> Tensor:
    """Cross-entropy of each reply's tokens after its prompt -> a scalar: what keeps [RET] out of plain talk.

    The gradient reaches the output row of [RET] and, with `through_lm`, what stands in the prompt: its input row
    and the visual prefix, which learn what the LM is to say after them. Where LoRA is trained, it and they always get
    theirs. `first_token_weight` says how much a reply's first token counts beside the others: that is where the LM
    decides whether to ask for products.
    """
    with torch.set_grad_enabled((through_lm and torch.is_grad_enabled()) or model.trained.lm_learns):
        read = read_prompts(model, [[*prompt, list(reply)] for prompt, reply in zip(prompts, replies, strict=True)])
    batch, last = read.batch, read.states.last
    rows, columns = _tail(batch, [len(reply) for reply in replies])
    targets = batch.ids[rows, columns]
    starts = torch.cat([rows.new_ones(1), (rows[1:] != rows[:-1]).long()])
    weights = torch.where(starts == 1, first_token_weight, 1.0)
    return _weighted_loss(model, last[rows, columns - 1], targets, weights)


@dataclass(frozen=True)
class _Captioned:
    """A picture and its caption; the prompt's last `labels` tokens are learned."""

    prompt: Prompt
    labels: int


def caption_labels(model: FromageCore, caption: str, *, max_tokens: int) -> list[int]:
    """The tokens of a caption that `caption_loss` learns."""
    tokens = model.tokens
    if model.config.original_captions:
        return [*tokens.start_ids, *tokens.encode(caption)][:max_tokens]
    return [*tokens.encode(f" {caption.strip()}."), tokens.stop_id][:max_tokens]


def _captioned(model: FromageCore, row: Tensor, caption: str, max_tokens: int) -> _Captioned:
    body = caption_labels(model, caption, max_tokens=max_tokens)
    return _Captioned([Picture(row), model.tokens.encode(model.config.caption_prompt), body], len(body))


def _caption_places(
    model: FromageCore, sequences: Sequence[Sequence[_Captioned]], *, start: int
) -> tuple[Tensor, Tensor]:
    """Rows and columns of all labels, where each row's first example begins at column `start`."""
    places: list[tuple[int, int]] = []
    for row, sequence in enumerate(sequences):
        end = start
        for one in sequence:
            end += token_count(one.prompt, visual_tokens=model.config.visual_tokens)
            places += [(row, column) for column in range(end - one.labels, end)]
    rows, columns = torch.tensor(places, device=model.lm.device).unbind(dim=1)
    return rows, columns


def _weighted_loss(model: FromageCore, last: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy after states (P, D), over the LM's own tokens and [RET]."""
    return losses.next_token_loss(last, model.lm.logits, targets, weights, row=model.trained.ret.head_row)


def _tail(batch: PromptBatch, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Rows and columns of the last `lengths[row]` positions with content of each row."""
    position = torch.arange(batch.ids.shape[1], device=batch.ids.device)
    first = batch.lengths - torch.tensor(list(lengths), device=batch.ids.device)
    rows, columns = torch.where((position >= first[:, None]) & (batch.mask == 1))
    return rows, columns
