"""Where the LM stands when it begins to answer each saying. Judges nothing.

Shapes: M sayings, F feature width.
"""

import logging
from collections.abc import Sequence

import numpy as np
import torch

from fromage_model.model.core import FromageCore
from fromage_model.model.reading import read_prompts
from fromage_model.prompts.segments import Prompt, chat_prompt, token_count
from jobs.common.reporting.report import Progress
from jobs.common.showing.positions import Positions
from jobs.common.showing.sayings import Saying

log = logging.getLogger(__name__)
PROMPTS_AT_ONCE = 16


def prompts_of(model: FromageCore, said: Sequence[Saying], pictures: np.ndarray) -> list[Prompt]:
    """As the chat reads them; `pictures`, (N, F) features, are dealt out in turn to those that want one."""
    config, tokens = model.config, model.tokens
    prompts: list[Prompt] = []
    for saying in said:
        picture = pictures[len(prompts) % len(pictures)] if saying.pictured else None
        messages = saying.messages(picture)
        prompts.append(chat_prompt(messages, tokens, system_prompt=config.system_prompt, examples=config.examples))
    return prompts


def readable(model: FromageCore, said: Sequence[Saying], *, pictures: int) -> list[Saying]:
    """Those that have a picture, where they want one, and that the LM has positions for."""
    some = [saying for saying in said if pictures or not saying.pictured]
    blank = np.zeros((1, len(model.trained.standardise.mean)), dtype=np.float32)
    tokens = [
        token_count(prompt, visual_tokens=model.config.visual_tokens) for prompt in prompts_of(model, some, blank)
    ]
    kept = [saying for saying, count in zip(some, tokens, strict=True) if count < model.lm.max_positions]
    if len(kept) < len(said):
        log.warning(
            "%d of %d messages are left out: no picture, or too long for the LM", len(said) - len(kept), len(said)
        )
    return kept


@torch.no_grad()
def read_beginnings(model: FromageCore, prompts: Sequence[Prompt], *, what: str) -> Positions:
    """(M,) positions at which the first token after each prompt is chosen, in the order of the prompts."""
    sizes = [token_count(prompt, visual_tokens=model.config.visual_tokens) for prompt in prompts]
    order = sorted(range(len(prompts)), key=lambda row: sizes[row])
    progress = Progress(f"reading {what}", total=len(prompts), of="messages")
    read = []
    for start in range(0, len(order), PROMPTS_AT_ONCE):
        some = read_prompts(model, [prompts[row] for row in order[start : start + PROMPTS_AT_ONCE]])
        every = torch.arange(len(some.batch.lengths), device=some.batch.mask.device)
        ends = some.batch.lengths - 1
        read.append(Positions.of(model, some.states.last[every, ends], some.states.at(every, ends)))
        progress.add(len(every))
    return Positions.join(read).part(torch.tensor(order).argsort())
