"""How many positions of prompts are read beside a step of decoding, so that no step takes long. Knows no prompts.

A reply that is being written stands still while a prompt is read, and so does everything else, a request that is
cancelled too: so a prompt is read in pieces, whose size follows from how fast this machine turned out to read.
"""

from collections.abc import Sequence

FIRST = 64
"""Positions that are read at once as long as nothing is known."""
FEWEST = 16
GRAIN = 16
"""Positions are read in multiples of this: products of such sizes waste nothing."""
MOST = 2048
"""Positions that are read at once however fast it goes: what they need of memory grows with them."""
WEIGHT = 0.3
"""Of what was measured last, in the running means."""
LEAST_SHARE = 0.25
"""Of a step's time that is left to reading, however long its decoding takes: prompts must get on."""


class Pace:
    """`step_s`: seconds that a step should take while replies are written, `alone_s` while none is."""

    def __init__(self, *, step_s: float = 0.15, alone_s: float = 0.6):
        self._step_s, self._alone_s = step_s, alone_s
        self._per_position_s: float | None = None
        self._decoding_s = 0.0

    def positions(self, *, writing: bool) -> int:
        """How many positions the next step may read."""
        if self._per_position_s is None:
            return FIRST
        total_s = self._step_s if writing else self._alone_s
        left_s = max(total_s - (self._decoding_s if writing else 0.0), LEAST_SHARE * total_s)
        count = int(left_s / self._per_position_s) // GRAIN * GRAIN
        return min(max(count, FEWEST), MOST)

    def took(self, seconds: float, *, positions: int, writing: bool) -> None:
        """A step took so long, in which so many positions were read, beside decoding or not."""
        if not positions:
            self._decoding_s += WEIGHT * (seconds - self._decoding_s)
            return
        own_s = seconds - self._decoding_s if writing else seconds
        per_position_s = max(own_s, LEAST_SHARE * seconds) / positions
        known = self._per_position_s
        self._per_position_s = per_position_s if known is None else known + WEIGHT * (per_position_s - known)


def shares(total: int, wanted: Sequence[int]) -> list[int]:
    """`total` positions to those who want some, in the order in which they came.

    Half is the first one's, who so gets on whoever comes after it; of the rest those who want little get it first, so
    that a short question does not wait behind a long one.
    """
    given = [0] * len(wanted)
    given[0] = min(wanted[0], -(-total // 2))
    left = total - given[0]
    for place in sorted(range(len(wanted)), key=lambda place: wanted[place]):
        more = min(wanted[place] - given[place], left)
        given[place] += more
        left -= more
    return given
