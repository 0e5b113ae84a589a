"""One request decoded: pure samplers, and the loop over a KV cache that yields text and retrieval embeddings.

Knows prompts only as segments of ids and pictures; conversations and catalogues are others' business.

Shapes: V vocabulary, D LM width, S shared width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from fromage_model.batching import embed_tokens
from fromage_model.errors import InvalidInput, PromptTooLong
from fromage_model.messages import Event, Finished, Retrieval, RetrievalMode, Sampling, TextDelta
from fromage_model.prompts import Prompt, open_pictures, token_count

if TYPE_CHECKING:
    from fromage_model.fromage import Fromage


def scale_ret(logits: Tensor, factor: float) -> Tensor:
    """(V + 1) -> the same with the last logit, [RET]'s, multiplied by `factor` (the original's `ret_scale_factor`)."""
    return torch.cat([logits[:-1], logits[-1:] * factor])


def forbid(logits: Tensor, ids: Sequence[int]) -> Tensor:
    """(V + 1) -> the same with `ids` impossible."""
    return logits.index_fill(0, torch.tensor(list(ids), dtype=torch.long, device=logits.device), float("-inf"))


def penalise_repetition(logits: Tensor, ids: Sequence[int], penalty: float) -> Tensor:
    """(V + 1) -> logits of ids already written divided (or, below 0, multiplied) by `penalty` (CTRL, section 4.1)."""
    if penalty == 1.0 or not ids:
        return logits
    seen = torch.tensor(sorted(set(ids)), device=logits.device)
    chosen = logits[seen]
    return logits.index_copy(0, seen, torch.where(chosen > 0, chosen / penalty, chosen * penalty))


def sample(logits: Tensor, *, temperature: float, top_p: float, generator: torch.Generator | None = None) -> int:
    """(V + 1) -> one id: the best at temperature 0, else drawn from the smallest set that holds `top_p` of the mass."""
    if temperature == 0:
        return int(logits.argmax())
    probabilities, order = (logits / temperature).softmax(dim=-1).sort(descending=True)
    before = probabilities.cumsum(dim=-1) - probabilities
    probabilities = probabilities.masked_fill(before >= top_p, 0.0)
    return int(order[torch.multinomial(probabilities, 1, generator=generator)])


class Chooser:
    """Which token comes next: the request's sampling and its retrieval mode over the model's logits."""

    def __init__(
        self, sampling: Sampling, mode: RetrievalMode, *, ret_id: int, stop_ids: Sequence[int], device: torch.device
    ):
        self._sampling = sampling
        self._mode = mode
        self._ret_id = ret_id
        self._stop_ids = list(stop_ids)
        self._rets_left = 0 if mode == "never" else sampling.max_rets
        self._rets = 0
        self._just_asked = False
        self._text_ids: list[int] = []
        self._generator = torch.Generator(device=device)
        if sampling.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(sampling.seed)

    def __call__(self, logits: Tensor) -> int:
        """(V + 1) float32 -> the next id, which is remembered."""
        token = self._choose(logits)
        if token == self._ret_id:
            self._rets += 1
            self._rets_left -= 1
        else:
            self._text_ids.append(token)
        self._just_asked = token == self._ret_id
        return token

    def _choose(self, logits: Tensor) -> int:
        early = len(self._text_ids) < self._sampling.min_tokens_before_ret
        owed = self._mode == "always" and self._rets == 0 and self._rets_left > 0
        if owed and not early:
            return self._ret_id
        logits = penalise_repetition(logits, self._text_ids, self._sampling.repetition_penalty)
        logits = scale_ret(logits, self._sampling.ret_scale_factor)
        again = self._just_asked and not self._sampling.ret_in_context
        if early or again or self._rets_left == 0:
            logits = forbid(logits, [self._ret_id])
        token = self._sample(logits)
        return self._ret_id if owed and token in self._stop_ids else token

    def _sample(self, logits: Tensor) -> int:
        return sample(
            logits, temperature=self._sampling.temperature, top_p=self._sampling.top_p, generator=self._generator
        )


def decode(
    model: Fromage,
    prompt: Prompt,
    *,
    retrieval: RetrievalMode = "auto",
    sampling: Sampling | None = None,
    stop: Callable[[], bool] | None = None,
) -> Iterator[Event]:
    """Yield text as its characters become whole, a Retrieval wherever the LM writes [RET], and one Finished.

    The embedding of a [RET] comes from the state at the position that consumes it, so a [RET] in last place costs one
    forward pass more. With `ret_in_context` off, the cache then goes back to before [RET], and the next token, which
    can't be [RET] again, comes from there. `stop` is asked before each token; when it says yes the iterator ends
    without Finished.

    Raises InvalidInput where there is nothing to continue, PromptTooLong when the prompt and the reply would not fit
    into the LM's positions.
    """
    sampling = sampling or Sampling()
    count = token_count(prompt, visual_tokens=model.config.visual_tokens)
    if count == 0:
        raise InvalidInput("the prompt is empty; expected text or a picture")
    limit = model.lm.max_positions
    if count + sampling.max_new_tokens > limit:
        message = (
            f"the prompt has {count} tokens and the reply up to {sampling.max_new_tokens}; together at most {limit}"
        )
        raise PromptTooLong(message, field="messages")
    return _steps(model, prompt, count, retrieval, sampling, stop or (lambda: False))


def _steps(
    model: Fromage, prompt: Prompt, count: int, retrieval: RetrievalMode, sampling: Sampling, stop: Callable[[], bool]
) -> Iterator[Event]:
    tokens = model.tokens
    choose = Chooser(
        sampling, retrieval, ret_id=tokens.ret_id, stop_ids=sorted(tokens.stop_ids), device=model.lm.device
    )
    text = tokens.stream()
    reading = _Reading(model, prompt)
    offset = 0
    for step in range(1, sampling.max_new_tokens + 1):
        if stop():
            return
        token = choose(reading.logits())
        if token in tokens.stop_ids:
            yield Finished("stop", count, step)
            return
        if token == tokens.ret_id:
            yield Retrieval(embedding=reading.consume_ret(keep=sampling.ret_in_context), offset=offset)
            continue
        piece = text.push(token)
        offset += len(piece)
        if piece:
            yield TextDelta(piece)
        if step < sampling.max_new_tokens:
            reading.consume(token)
    yield Finished("length", count, sampling.max_new_tokens)


class _Reading:
    """The LM part-way through a sequence: its KV cache and its last states."""

    def __init__(self, model: Fromage, prompt: Prompt):
        from transformers import DynamicCache

        self._model = model
        self._cache = DynamicCache()
        self._pictures = open_pictures(prompt, ret_id=model.tokens.ret_id)
        with torch.inference_mode():
            self._states = model.lm(model.embed_prompts([prompt]).embeddings, cache=self._cache)

    @torch.inference_mode()
    def logits(self) -> Tensor:
        """(V + 1) float32 after everything read so far."""
        return self._model.logits(self._states.last[0, -1])

    @torch.inference_mode()
    def consume(self, token: int) -> None:
        ids = torch.tensor([[token]], device=self._model.lm.device)
        embeddings = embed_tokens(ids, lm=self._model.lm, ret=self._model.trained.ret)
        self._states = self._model.lm(embeddings, cache=self._cache)

    @torch.inference_mode()
    def consume_ret(self, *, keep: bool) -> np.ndarray:
        """Read [RET] -> its retrieval embedding, (S,) float32. Unless `keep`, go back to where it had not been read."""
        before, length = self._states, self._cache.get_seq_length()
        self.consume(self._model.tokens.ret_id)
        at_ret = [layer[0, -1] for layer in self._states.layers]
        if not keep:
            self._cache.crop(length - self._cache.get_seq_length())
            self._states = before
        return self._model.retrieval_embedding(at_ret, self._pictures).float().cpu().numpy()
