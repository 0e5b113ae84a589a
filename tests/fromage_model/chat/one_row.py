"""The plain way to choose a reply's next token: one row, one operation after the other, everything sorted.

Shapes: V vocabulary; the last of V + 1 logits is [RET]'s.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from fromage_model.prompts.messages import RetrievalMode, Sampling


def sample(logits: Tensor, *, temperature: float, top_p: float, generator: torch.Generator) -> int:
    """(V + 1) -> one id: the best at temperature 0, else drawn from the smallest set that holds `top_p` of the mass."""
    if temperature < 1e-6:
        return int(logits.argmax())
    probabilities = ((logits - logits.max()) / temperature).softmax(dim=-1)
    likeliest, ids = probabilities.sort(descending=True)
    before = likeliest.cumsum(dim=-1, dtype=torch.float64) - likeliest
    ids = (ids if top_p == 1 else ids[: max(1, int((before < top_p).sum()))]).sort().values
    mass = probabilities[ids].cumsum(dim=-1, dtype=torch.float64)
    drawn = torch.rand(1, generator=generator, dtype=torch.float64) * mass[-1]
    return int(ids[torch.searchsorted(mass, drawn, right=True)])


class RowChooser:
    """Called with the logits (V + 1) of each step of one reply -> its next id."""

    def __init__(
        self, sampling: Sampling, mode: RetrievalMode, *, ret_id: int, stop_ids: list[int], begun: Sequence[int] = ()
    ):
        self.sampling, self.mode, self.ret_id, self.stop_ids = sampling, mode, ret_id, stop_ids
        self.generator = torch.Generator().manual_seed(sampling.seed or 0)
        self.ids: list[int] = list(begun)
        self.begun = len(begun)
        self.logprobs: list[Tensor] = []

    def __call__(self, logits: Tensor) -> int:
        self.logprobs.append(logits[:-1].log_softmax(dim=-1))
        token = self._choose(logits)
        self.ids.append(token)
        return token

    def _choose(self, logits: Tensor) -> int:
        sampling, rets = self.sampling, self.ids.count(self.ret_id)
        words = len(self.ids) - rets
        allowed = 0 if self.mode == "never" else sampling.max_rets
        early = words < sampling.min_tokens_before_ret
        late = sampling.max_tokens_before_ret is not None and words > sampling.max_tokens_before_ret
        again = self.ids[-1:] == [self.ret_id] and not sampling.ret_in_context
        owed = self.mode == "always" and rets == 0 and allowed > 0
        if owed and (not early or len(self.ids) == self.begun + sampling.max_new_tokens - 1):
            return self.ret_id
        odds = float(logits[-1] - logits[:-1].logsumexp(dim=-1))
        logits = penalise(logits, [token for token in self.ids if token != self.ret_id], sampling)
        if early or late or again or rets >= allowed:
            logits[-1] = float("-inf")
        elif sampling.ret_log_odds is not None:
            if odds >= sampling.ret_log_odds:
                sample(logits, temperature=sampling.temperature, top_p=sampling.top_p, generator=self.generator)
                return self.ret_id
            logits[-1] = float("-inf")
        else:
            logits[-1] *= 1.0 if sampling.ret_scale_factor is None else sampling.ret_scale_factor
        token = sample(logits, temperature=sampling.temperature, top_p=sampling.top_p, generator=self.generator)
        return self.ret_id if owed and token in self.stop_ids else token


def penalise(logits: Tensor, ids: list[int], sampling: Sampling) -> Tensor:
    """(V + 1) -> the same with written words less likely, [RET] as far from the best of them as before."""
    penalised = logits.clone()
    for token in set(ids):
        penalised[token] *= 1 / sampling.repetition_penalty if logits[token] > 0 else sampling.repetition_penalty
        penalised[token] -= sampling.presence_penalty + sampling.frequency_penalty * ids.count(token)
    penalised[-1] += penalised[:-1].max() - logits[:-1].max()
    return penalised
