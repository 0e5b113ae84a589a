"""Log-probabilities of what is written, by the LM's own distribution over its own vocabulary. Knows no text.

Shapes: R rows, N rows of them that ask, V vocabulary, K likeliest that are told at most.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fromage_model.chat.sampling import likeliest


@dataclass(frozen=True)
class Scored:
    """Of one row's choice: its log-probability, and ids with theirs of the likeliest, best first."""

    logprob: float
    top: tuple[tuple[int, float], ...] = ()


class Scoring:
    """`asked`: for each row how many of the likeliest it wants to be told, None where it wants nothing."""

    def __init__(self, asked: Sequence[int | None], device: torch.device):
        self._asked = asked
        self._rows = [row for row, count in enumerate(asked) if count is not None]
        self._most = max(count for count in asked if count is not None)
        self._index = torch.tensor(self._rows, dtype=torch.long, device=device)

    def look(self, words: Tensor) -> None:
        """(R, V) logits of the words, before anything is done to them."""
        self._logprobs = words.index_select(0, self._index).log_softmax(dim=-1)
        self._top = likeliest(self._logprobs, min(self._most, words.shape[1]))

    def packed(self, ids: Tensor) -> Tensor:
        """(R,) what was chosen -> (N, 1 + 2K) float64: all that there is to tell, in one piece; exact for any id.

        What is no word, [RET] or a choice that is still to be made, has the log-probability of some other.
        """
        own = ids.index_select(0, self._index).clamp(0, self._logprobs.shape[1] - 1).unsqueeze(1)
        return torch.cat([self._logprobs.gather(1, own).double(), *(kept.double() for kept in self._top)], dim=1)

    def unpacked(self, values: Sequence[float]) -> list[Scored | None]:
        """What `packed` gave, flat and on the host -> for each row what it is told."""
        found: list[Scored | None] = [None] * len(self._asked)
        width = len(values) // len(self._rows)
        for place, row in enumerate(self._rows):
            logprob, *top = values[place * width : (place + 1) * width]
            half, told = len(top) // 2, self._asked[row] or 0
            ids = (int(id) for id in top[half : half + told])
            found[row] = Scored(logprob, tuple(zip(ids, top[:told], strict=False)))
        return found
