"""transformers' `generate` over a batch, in the dtype that ours computes in."""

import time
from typing import Any

import torch
from transformers import AutoModelForCausalLM, StoppingCriteria, StoppingCriteriaList

from fromage_model.storage.pretrained import DEFAULT_LANGUAGE_MODEL, locate_language_model
from tests.benchmarks.serving.workload import PROMPT_TOKENS, Span, decode_rate


class Generate:
    def __init__(self, *, dtype: torch.dtype):
        folder = locate_language_model(DEFAULT_LANGUAGE_MODEL).path
        self._lm = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()

    @torch.inference_mode()
    def measure(self, count: int, *, new_tokens: int) -> dict[str, float]:
        """One batch of `count` rows of random ids, none of which ends early."""
        ids = torch.randint(100, 40_000, (count, PROMPT_TOKENS), generator=torch.Generator().manual_seed(0))
        clock = _Clock()
        asked_s = time.perf_counter()
        self._lm.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=True,
            temperature=1.0,
            top_k=0,
            min_new_tokens=new_tokens,
            max_new_tokens=new_tokens,
            stopping_criteria=StoppingCriteriaList([clock]),
        )
        spans = [Span(asked_s, clock.times_s[0], clock.times_s[-1], new_tokens)] * count
        return {"generate": decode_rate(spans)}


class _Clock(StoppingCriteria):
    """Stops nothing; notes when each token came."""

    def __init__(self) -> None:
        self.times_s: list[float] = []

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        self.times_s.append(time.perf_counter())
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
