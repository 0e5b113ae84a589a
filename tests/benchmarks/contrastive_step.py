"""The exact shortcut of `Fromage.ask` against the plain step: forward and backward of the contrastive loss.

The plain step differentiates every position; ours only the one that consumes [RET], because nothing before it is
trained. Both have the same random weights, features and captions, and end with the same loss and gradients. Time is
taken in turns in one process; memory is the peak of a process of its own, above what it holds with the model loaded.

    python -m tests.benchmarks.contrastive_step
"""

import json
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import tyro
from torch import Tensor
from torch.nn import functional as F

from fromage_model.fromage import Fromage
from fromage_model.model import losses
from fromage_model.prompts.segments import raw_prompt, token_ids
from tests.benchmarks.common import shapes
from tests.benchmarks.common.memory import peak_bytes, touch
from tests.benchmarks.common.rounds import take_turns, times_as_fast

PLAIN, OURS = "every position differentiated", "only [RET]'s"


@dataclass(frozen=True)
class Args:
    """Compare contrastive steps."""

    shape: Literal["opt-125m", "tiny"] = "opt-125m"
    """Sizes of the LM."""
    batch_size: int = 32
    """Captions in a step."""
    max_tokens: int = 24
    """Tokens of each caption, [RET] among them."""
    rounds: int = 3
    """Measured turns of each way, after one that is not."""
    threads: int = 2
    """Torch threads."""


def plain_loss(model: Fromage, features: Tensor, captions: list[str], *, max_tokens: int) -> Tensor:
    """The loss of section 3.2 as it is written: one pass over the captions and their [RET], then both terms."""
    texts = [token_ids(raw_prompt([text], model.tokens))[: max_tokens - 1] for text in captions]
    batch = model.embed_prompts([[[*text, model.tokens.ret_id]] for text in texts])
    states = model.lm(batch.embeddings, attention_mask=batch.mask)
    keep = batch.mask[:, 1:].bool()
    targets = batch.ids[:, 1:][keep]
    next_token = F.cross_entropy(model.logits(states.last[:, :-1][keep]).float(), targets)
    asked = model.trained.text_head(states.at(torch.arange(len(texts)), batch.lengths - 1))
    return next_token + losses.info_nce(asked, model.image_embeddings(features), model.log_scale)


def our_loss(model: Fromage, features: Tensor, captions: list[str], *, max_tokens: int) -> Tensor:
    return model.contrastive_loss(features, captions, max_tokens=max_tokens).loss


LOSSES = {PLAIN: plain_loss, OURS: our_loss}


def prepare(way: str, lm: str, args: Args) -> Callable[[], float]:
    """-> a step that sets the gradients and returns the loss; a function of arguments that cross processes."""
    torch.set_num_threads(args.threads)
    shape = shapes.SHAPES[args.shape]
    model = shapes.build(Path(lm), shape).train()
    touch(model)
    features = torch.randn(args.batch_size, shape.feature_width, generator=torch.Generator().manual_seed(0))
    captions = [f"A picture of a thing that has number {row}." for row in range(args.batch_size)]

    def step() -> float:
        model.zero_grad(set_to_none=True)
        loss = LOSSES[way](model, features, captions, max_tokens=args.max_tokens)
        loss.backward()
        return float(loss.detach())

    return step


def main(args: Args) -> dict:
    """-> what the JSON line says."""
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        lm = str(shapes.write_lm(Path(folder), shapes.SHAPES[args.shape]))
        memory = {way: peak_bytes(prepare, way, lm, args) for way in LOSSES}
        steps = {way: prepare(way, lm, args) for way in LOSSES}
    first = {way: step() for way, step in steps.items()}
    seconds = take_turns(steps, rounds=args.rounds)
    print(f"{args.shape}, {args.batch_size} captions of {args.max_tokens} tokens, median of {args.rounds} rounds")
    print(f"{'':32}{'s per step':>12}{'MB at peak':>12}{'loss':>10}")
    for way, values in seconds.items():
        print(f"{way:32}{statistics.median(values):12.2f}{memory[way] / 1e6:12.0f}{first[way]:10.4f}")
    return {
        "speedup": round(times_as_fast(seconds[PLAIN], seconds[OURS]), 3),
        "memory_ratio": round(memory[OURS] / memory[PLAIN], 3),
    }


if __name__ == "__main__":
    print(json.dumps(main(tyro.cli(Args, description=__doc__))))
