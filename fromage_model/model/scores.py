"""How likely a text is to the model: that of an interleaved prompt, and answers to one. Writes and retrieves nothing.

Shapes: B batch, T positions, L labels, V vocabulary.
"""

import copy
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from fromage_model.errors import InvalidInput, PromptTooLong
from fromage_model.language.model import States
from fromage_model.model.batching import VISUAL, embed_tokens
from fromage_model.model.core import FromageCore
from fromage_model.prompts.messages import Part
from fromage_model.prompts.original import RetMark, original_prompt
from fromage_model.prompts.segments import Picture, Prompt, token_count


@torch.inference_mode()
def prompt_log_likelihoods(
    model: FromageCore, prompts: Sequence[Sequence[Part | RetMark]], *, batch_size: int = 16
) -> list[float]:
    """The mean log-likelihood over each prompt's text tokens, given all that stands before them.

    The original's `get_log_lik_scores`, many prompts at once: each is laid out as `original_prompt` does it,
    pictures are no labels, and neither is a token in first place, before which nothing stands. Raises InvalidInput for
    a prompt without such tokens, PromptTooLong, and what `original_prompt` raises.
    """
    laid_out = [original_prompt(model.with_features(parts), model.tokens) for parts in prompts]
    for number, prompt in enumerate(laid_out):
        field = f"prompts.{number}"
        _check_length(model, token_count(prompt, visual_tokens=model.config.visual_tokens), field)
        if not _has_labels(prompt):
            raise InvalidInput("the prompt has no text that follows anything; expected some", field=field)
    scores = [0.0] * len(laid_out)
    for rows in _alike([token_count(prompt, visual_tokens=1) for prompt in laid_out], batch_size):
        for row, score in zip(rows, _means(model, [laid_out[row] for row in rows]), strict=True):
            scores[row] = score
    return scores


@torch.inference_mode()
def answer_log_likelihoods(
    model: FromageCore, context: Sequence[Part | RetMark], answers: Sequence[str], *, batch_size: int = 16
) -> list[float]:
    """The summed log-likelihood of each answer's tokens after `context`: the likelier answer has the higher score.

    For ranking the answers to a question about a picture, as VisDial is evaluated (FROMAGe section 4.2). The context is
    read once, whatever the number of answers. The original's script (`evals/eval_visdial_generation.py`) puts a second
    start token before each answer and compares each token with the logits of the position that reads it, one too late;
    here it is those of the position before. Raises InvalidInput for an empty context or answer, PromptTooLong.
    """
    from transformers import DynamicCache

    prompt = original_prompt(model.with_features(context), model.tokens)
    count = token_count(prompt, visual_tokens=model.config.visual_tokens)
    if count == 0:
        raise InvalidInput("the context is empty; expected text or a picture", field="context")
    encoded = [model.tokens.encode(answer) for answer in answers]
    for number, ids in enumerate(encoded):
        if not ids:
            raise InvalidInput("an answer is empty; expected text", field=f"answers.{number}")
        _check_length(model, count + len(ids), f"answers.{number}")
    read = model.lm(model.embed_prompts([prompt]).embeddings, cache=DynamicCache())
    scores = [0.0] * len(encoded)
    for rows in _alike([len(ids) for ids in encoded], batch_size):
        for row, score in zip(rows, _sums(model, read, [encoded[row] for row in rows]), strict=True):
            scores[row] = score
    return scores


def _means(model: FromageCore, prompts: Sequence[Prompt]) -> list[float]:
    batch = model.embed_prompts(prompts)
    last = model.lm(batch.embeddings, attention_mask=batch.mask).last
    targets = batch.ids[:, 1:]
    rows, columns = torch.where((batch.mask[:, 1:] == 1) & (targets != VISUAL))
    likelihoods = _log_likelihoods(model, last[rows, columns], targets[rows, columns])
    counts = torch.bincount(rows, minlength=len(prompts))
    return (_by_row(likelihoods, rows, len(prompts)) / counts).tolist()


def _sums(model: FromageCore, context: States, answers: Sequence[list[int]]) -> list[float]:
    """The answers' first tokens are predicted by the context's last state, the others by the answers' own."""
    width = max(len(ids) for ids in answers)
    ids = torch.tensor([answer + [0] * (width - len(answer)) for answer in answers], device=model.lm.device)
    cache = copy.deepcopy(context.cache)
    cache.batch_repeat_interleave(len(answers))
    last = context.last[:, -1:].expand(len(answers), 1, -1)
    if width > 1:
        embeddings = embed_tokens(ids[:, :-1], lm=model.lm, ret=model.trained.ret)
        last = torch.cat([last, model.lm(embeddings, cache=cache).last], dim=1)
    lengths = torch.tensor([len(answer) for answer in answers], device=ids.device)
    rows, columns = torch.where(torch.arange(width, device=ids.device) < lengths[:, None])
    return _by_row(_log_likelihoods(model, last[rows, columns], ids[rows, columns]), rows, len(answers)).tolist()


def _log_likelihoods(model: FromageCore, last: Tensor, targets: Tensor) -> Tensor:
    """States (L, D) before each target, and (L,) targets -> (L,) float32."""
    return -F.cross_entropy(model.logits(last), targets, reduction="none")


def _by_row(values: Tensor, rows: Tensor, count: int) -> Tensor:
    """(L,) values and the row of each -> (count,) sums."""
    return values.new_zeros(count).index_add(0, rows, values)


def _alike(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Row numbers in batches of like length, so that little of a batch is padding."""
    order = sorted(range(len(lengths)), key=lambda row: lengths[row])
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def _has_labels(prompt: Prompt) -> bool:
    segments = [segment for segment in prompt if isinstance(segment, Picture) or segment]
    texts = [segment for segment in segments if isinstance(segment, list)]
    return sum(len(segment) for segment in texts) > int(bool(segments) and isinstance(segments[0], list))


def _check_length(model: FromageCore, count: int, field: str) -> None:
    if count > model.lm.max_positions:
        raise PromptTooLong(f"{count} tokens; at most {model.lm.max_positions} fit", field=field)
