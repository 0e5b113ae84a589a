"""Answers read off a FROZEN model: prompts continued together, and given choices scored. Knows no losses.

Shapes: B batch, T positions, C choices, L tokens of the longest choice, D LM width, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import torch
from torch import Tensor

from fromage_model.chat.row_decoding import Written, write_rows
from fromage_model.errors import InvalidInput
from fromage_model.frozen.core import FrozenCore, positions_of
from fromage_model.language.model import States
from fromage_model.model.batching import PromptBatch
from fromage_model.prompts.messages import Sampling
from fromage_model.prompts.segments import Prompt


@dataclass(frozen=True)
class Continuation:
    """What the LM wrote: `text` without special tokens and cut before an `until`; all of its `ids`, the end excluded.

    `reason` is "stop" (the LM, or an `until`, ended it) or "length" (the token limit did).
    """

    text: str
    ids: tuple[int, ...]
    reason: Literal["stop", "length"]


@dataclass(frozen=True)
class ChoiceScores:
    """`log_likelihoods`: (C,) float32, each summed over its choice's tokens; `tokens`: (C,), how many those are."""

    log_likelihoods: Tensor
    tokens: Tensor

    @property
    def normalised(self) -> Tensor:
        """(C,) mean log-likelihood per token, so that a long choice is not held against itself."""
        return self.log_likelihoods / self.tokens

    def best(self, *, normalise: bool = False) -> int:
        """Index of the likeliest choice, by sum or, with `normalise`, by mean."""
        return int((self.normalised if normalise else self.log_likelihoods).argmax())


@torch.inference_mode()
def generate(
    model: FrozenCore, prompts: Sequence[Prompt], *, sampling: Sampling, until: Sequence[str] = ()
) -> list[Continuation]:
    """Continue all prompts at once over one KV cache, each as if it were alone.

    A row ends at the LM's own end, at the first of the strings `until`, or at the token limit. With a seed each row is
    drawn by the same numbers; settings of [RET] mean nothing here. Raises InvalidInput on an empty prompt,
    PromptTooLong where a prompt and its reply would not fit into the LM's positions.
    """
    if not prompts:
        return []
    tokens = model.tokens

    def ends(ids: list[int]) -> bool:
        return bool(until) and any(end in tokens.decode(ids) for end in until)

    with model.evaluating():
        reading = _Reading(model, prompts, reply_tokens=sampling.max_new_tokens)
        device = model.lm.device
        rows = write_rows(reading, len(prompts), sampling=sampling, stop_ids=tokens.stop_ids, device=device, ends=ends)
    return [_continuation(row, tokens.decode(row.ids), until) for row in rows]


def _continuation(row: Written, text: str, until: Sequence[str]) -> Continuation:
    ends = [text.find(end) for end in until if end in text]
    reason: Literal["stop", "length"] = "stop" if row.ended else "length"
    return Continuation(text=text[: min(ends)] if ends else text, ids=tuple(row.ids), reason=reason)


@torch.inference_mode()
def score_choices(model: FrozenCore, prompt: Prompt, choices: Sequence[str]) -> ChoiceScores:
    """Log-likelihood of each choice's tokens after `prompt`, which is read once for all of them.

    A choice is text as it continues the prompt: where the prompt ends in a word, it starts with a space. Raises
    InvalidInput on no choices or an empty one, PromptTooLong where prompt and choice exceed the LM's positions.
    """
    rows = [model.tokens.encode(choice) for choice in choices]
    if not rows or not all(rows):
        raise InvalidInput(f"expected choices that each have a token, got {list(choices)}", field="choices")
    longest = max(len(row) for row in rows)
    device = model.lm.device
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows], device=device)
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=device)
    with model.evaluating():
        reading = _Reading(model, [prompt], reply_tokens=longest)
        before = reading.repeat(len(rows)).last.unsqueeze(1)
        states = torch.cat([before, reading.read(ids[:, :-1], mask[:, :-1])], dim=1) if longest > 1 else before
    log_probabilities = model.lm.logits(states).float().log_softmax(dim=-1)
    chosen = log_probabilities.gather(-1, ids.unsqueeze(-1)).squeeze(-1)
    return ChoiceScores(log_likelihoods=(chosen * mask).sum(dim=1).cpu(), tokens=mask.sum(dim=1).cpu())


class _Reading:
    """The LM part-way through a batch of sequences: `last`, (B, D), are the states after what each row has read."""

    def __init__(self, model: FrozenCore, prompts: Sequence[Prompt], *, reply_tokens: int):
        from transformers import DynamicCache

        self._model = model
        batch: PromptBatch = model.embed_prompts(prompts)
        if int(batch.lengths.min()) == 0:
            raise InvalidInput("a prompt is empty; expected text or a picture")
        model.check_length(int(batch.lengths.max()) + reply_tokens)
        self._mask = batch.mask
        self._cache: Any = DynamicCache()
        states = self._read(batch.embeddings, positions_of(batch.mask))
        self.last = states.last[torch.arange(len(batch.mask), device=batch.mask.device), batch.lengths - 1]

    def repeat(self, times: int) -> Self:
        """One sequence becomes `times` equal ones."""
        self._cache.batch_repeat_interleave(times)
        self._mask, self.last = self._mask.expand(times, -1), self.last.expand(times, -1)
        return self

    def logits(self) -> Tensor:
        """(B, V) float32."""
        return self._model.lm.logits(self.last).float()

    def keep(self, rows: Tensor) -> None:
        self._cache.batch_select_indices(rows)
        self._mask = self._mask.index_select(0, rows)

    def consume(self, tokens: Tensor) -> None:
        self.read(tokens.unsqueeze(1))

    def read(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, T) ids, of which `mask` says what is content -> states (B, T, D)."""
        mask = torch.ones_like(ids) if mask is None else mask
        self._mask = torch.cat([self._mask, mask], dim=1)
        positions = positions_of(self._mask)[:, -ids.shape[1] :]
        states = self._read(self._model.lm.embed(ids), positions).last
        self.last = states[:, -1]
        return states

    def _read(self, embeddings: Tensor, positions: Tensor) -> States:
        return self._model.lm(embeddings, attention_mask=self._mask, position_ids=positions, cache=self._cache)
