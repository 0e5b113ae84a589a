"""Which token comes next: pure samplers over logits, and the rules of a request. Knows no prompts and no LM.

Shapes: V vocabulary; the last of V + 1 logits is [RET]'s.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from fromage_model.prompts.messages import RetrievalMode, Sampling

LIKELIEST = 256
"""Tokens that top-p sorts at first; only where they hold too little of the mass does it sort them all."""

COLDEST = 1e-6
"""Temperatures below are 0: the best alone has any mass, and a division by them would overflow float32."""


def scale_ret(logits: Tensor, factor: float) -> Tensor:
    """(V + 1) -> the same with the last logit, [RET]'s, multiplied by `factor` (the original's `ret_scale_factor`)."""
    scaled = logits.clone()
    scaled[-1] *= factor
    return scaled


def forbid(logits: Tensor, ids: Sequence[int]) -> Tensor:
    """(V + 1) -> the same with `ids` impossible."""
    return logits.index_fill(0, torch.tensor(list(ids), dtype=torch.long, device=logits.device), float("-inf"))


def penalise_repetition(logits: Tensor, ids: Sequence[int] | Tensor, penalty: float) -> Tensor:
    """(V) -> logits of ids already written divided (or, below 0, multiplied) by `penalty` (CTRL, section 4.1)."""
    if penalty == 1.0 or len(ids) == 0:
        return logits
    seen = torch.as_tensor(ids, dtype=torch.long, device=logits.device)
    chosen = logits[seen]
    return logits.index_copy(0, seen, torch.where(chosen > 0, chosen / penalty, chosen * penalty))


def penalise_repeated_words(logits: Tensor, ids: Sequence[int] | Tensor, penalty: float) -> Tensor:
    """(V + 1) -> the same, where the penalty is between words: [RET], the last, keeps its distance to the best of them,
    or it would come wherever the LM's first choice has been written before.
    """
    words = penalise_repetition(logits[:-1], ids, penalty)
    return torch.cat([words, logits[-1:] + words.max() - logits[:-1].max()])


def sample(logits: Tensor, *, temperature: float, top_p: float, generator: torch.Generator | None = None) -> int:
    """(V + 1) -> one id: the best at temperature 0, else drawn from the smallest set that holds `top_p` of the mass.

    One number is drawn, and sought in the mass summed up in the order of ids: rounding in the logits, which depends on
    who decodes in the same batch, then moves no token's share by more than itself.
    """
    if temperature < COLDEST:
        return int(logits.argmax())
    probabilities = ((logits - logits.max()) / temperature).softmax(dim=-1)
    ids = None if top_p == 1 else _smallest_set(probabilities, top_p)
    mass = (probabilities if ids is None else probabilities[ids]).cumsum(dim=-1, dtype=torch.float64)
    drawn = torch.rand(1, generator=generator, dtype=torch.float64, device=logits.device) * mass[-1]
    place = torch.searchsorted(mass, drawn, right=True).clamp(max=len(mass) - 1)
    return int(place if ids is None else ids[place])


def _smallest_set(probabilities: Tensor, top_p: float) -> Tensor:
    """(V + 1) -> the ids of the likeliest tokens that hold `top_p` of the mass, in ascending order; never none."""
    for count in (min(LIKELIEST, len(probabilities)), len(probabilities)):
        likeliest, ids = probabilities.topk(count)
        before = likeliest.cumsum(dim=-1) - likeliest
        inside = max(1, int((before < top_p).sum()))
        if inside < count:
            break
    return ids[:inside].sort().values


def row_generator(seed: int | None, device: torch.device) -> torch.Generator:
    """What one reply's tokens are drawn from: seeded by `seed`, or by chance where there is none."""
    generator = torch.Generator(device=device)
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    return generator


class Chooser:
    """Which token comes next: the request's sampling and its retrieval mode over the model's logits."""

    def __init__(
        self, sampling: Sampling, mode: RetrievalMode, *, ret_id: int, stop_ids: Sequence[int], device: torch.device
    ):
        self._sampling = sampling
        self._mode = mode
        self._ret_id = ret_id
        self._stop_ids = frozenset(stop_ids)
        self._rets_left = 0 if mode == "never" else sampling.max_rets
        self._rets = 0
        self._just_asked = False
        self._words = 0
        self._written: set[int] = set()
        self._written_ids = torch.empty(sampling.max_new_tokens, dtype=torch.long, device=device)
        self._generator = row_generator(sampling.seed, device)

    def __call__(self, logits: Tensor) -> int:
        """(V + 1) float32 -> the next id, which is remembered."""
        token = self._choose(logits)
        if token == self._ret_id:
            self._rets += 1
            self._rets_left -= 1
        else:
            self._remember(token)
        self._just_asked = token == self._ret_id
        return token

    def _remember(self, token: int) -> None:
        self._words += 1
        if self._sampling.repetition_penalty != 1 and token not in self._written:
            self._written_ids[len(self._written)] = token
            self._written.add(token)

    def _choose(self, logits: Tensor) -> int:
        sampling = self._sampling
        early = self._words < sampling.min_tokens_before_ret
        late = sampling.max_tokens_before_ret is not None and self._words > sampling.max_tokens_before_ret
        last = self._words + self._rets == sampling.max_new_tokens - 1
        owed = self._mode == "always" and self._rets == 0 and self._rets_left > 0
        if owed and (last or not early):
            return self._ret_id
        if self._written:
            written = self._written_ids[: len(self._written)]
            logits = penalise_repeated_words(logits, written, sampling.repetition_penalty)
        if sampling.ret_scale_factor != 1:
            logits = scale_ret(logits, sampling.ret_scale_factor)
        again = self._just_asked and not sampling.ret_in_context
        if early or late or again or self._rets_left == 0:
            logits = forbid(logits, [self._ret_id])
        token = sample(logits, temperature=sampling.temperature, top_p=sampling.top_p, generator=self._generator)
        return self._ret_id if owed and token in self._stop_ids else token
