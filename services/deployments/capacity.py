"""How many replies an LM decodes at once on this machine: what memory holds, and what leaves each a readable rate.

Knows of an LM that its steps take time, and nothing of how; and nothing of Ray.
"""

import ctypes
import time
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from fromage_model.language.model import LanguageModel
from fromage_model.model.core import FromageCore
from services.settings import MOST_REPLIES

FEWEST, MOST = 2, MOST_REPLIES
"""Replies at once, whatever memory and time say."""
SIZES = [FEWEST << doublings for doublings in range((MOST // FEWEST).bit_length())]
LONG_CHAT = 2048
"""Positions that every reply is given memory for, or as many as the LM has."""
SHARE_OF_FREE_MEMORY = 0.5
"""What else runs on the machine, and a step's own results, have the rest."""
STEPS = 3
"""Steps that are timed for each number of replies. The fastest counts: a neighbour can only slow one down."""
CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Capacity:
    """Replies at once, and why no more."""

    replies: int
    reason: str


def measure_capacity(model: FromageCore, *, least_rate: float) -> Capacity:
    """Replies at once: the largest power of 2 that fits into free memory and leaves each `least_rate` tokens/s.

    Between `FEWEST` and `MOST`. It decodes for half a second or few, and nobody may decode beside it. Of numbers of
    replies it tries few, since each twice as many take longer: the middle one, then that of those above or below.
    """
    fits = free_bytes(model.lm.device) * SHARE_OF_FREE_MEMORY // chat_bytes(model.lm)
    sizes = [rows for rows in SIZES if rows <= fits]
    rates: dict[int, float] = {}

    def is_too_slow(rows: int) -> bool:
        rates[rows] = 1 / step_s(model, rows=rows)
        return rates[rows] < least_rate

    fast = bisect_left(sizes, True, key=is_too_slow)
    if fast == 0:
        return Capacity(FEWEST, "fewer are never chosen")
    if fast < len(sizes):
        slow = sizes[fast]
        reason = f"each of {slow} would get {rates[slow]:.1f} tokens/s, less than {least_rate:g}"
        return Capacity(sizes[fast - 1], reason)
    return Capacity(
        sizes[-1], "more are never chosen" if sizes[-1] == MOST else f"free memory holds {fits:.0f} long chats"
    )


def chat_bytes(lm: LanguageModel) -> int:
    """Keys and values of one long chat. A packed LM keeps them in float32 on a CPU, whatever it computes in."""
    config = lm.backbone.config
    item_bytes = 4 if lm.packed is not None and lm.device.type == "cpu" else lm.dtype.itemsize
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    head_width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    position = 2 * config.num_hidden_layers * heads * head_width * item_bytes
    return position * min(LONG_CHAT, lm.max_positions)


def free_bytes(device: torch.device) -> int:
    """Memory of a GPU, or of this machine or the container we are in, that nobody has; in bytes."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    available = psutil.virtual_memory().available
    limit = _container_bytes()
    return available if limit is None else min(available, limit)


def _container_bytes() -> int | None:
    """What the container's limit leaves; None where there is none. Of files, it gives back what it keeps in memory."""
    for folder, limit, used in (
        (CGROUP, "memory.max", "memory.current"),
        (CGROUP / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        try:
            most, taken = int((folder / limit).read_text()), int((folder / used).read_text())
            stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        except (OSError, ValueError):  # no such file, or "max", which is no limit
            continue
        return max(0, most - taken + int(stat.get("inactive_file", 0)))
    return None


def give_back_memory() -> None:
    """What loading a model took and freed goes back to the system, where the C library can do that (glibc).

    By itself it keeps such memory: a quarter of what a small LM's process holds.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


@torch.inference_mode()
def step_s(model: FromageCore, *, rows: int) -> float:
    """Seconds in which the LM reads a token more in each of `rows` replies that have begun, and says what may come
    next: the fastest of a few. What their tokens are chosen by takes little beside it, and their prompts are not read.
    """
    decoder = model.lm.decoder(rows)
    opening = None if model.opening is None else model.opening.kept
    numbers = [decoder.join(opening) for _ in range(rows)]
    token = model.lm.embed(torch.zeros(rows, dtype=torch.long, device=model.lm.device))
    decoder.prefill_many(numbers, list(token.split(1)))
    times: list[float] = []
    for _ in range(STEPS + 1):
        start_s = time.perf_counter()
        model.logits(decoder.step(token, numbers).last).argmax(dim=-1).tolist()
        times.append(time.perf_counter() - start_s)
    return min(times[1:])
