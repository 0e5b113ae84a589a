"""Tokens per second of the lean step alone, greedy, against what its matrix products would take by themselves.

The default LM, as the chat serves it: prompts of 349 positions of which 300 are everybody's. A step chooses from the
logits, embeds what was chosen and reads it. Both take turns within a round; the medians over the rounds count.

    python -m tests.benchmarks.lean_step
"""

import json
import math
import os
import statistics
import time
from dataclasses import dataclass
from typing import Literal

import torch
import tyro
from torch import Tensor

from fromage_model.language.lean.model import LeanLM
from fromage_model.language.lean.reading import Opening
from fromage_model.language.lean.weights import LeanWeights
from fromage_model.language.model import load_language_model
from fromage_model.language.precision import Precision
from fromage_model.storage.pretrained import DEFAULT_LANGUAGE_MODEL, locate_language_model

VOCABULARY = 49152
OPENING, PROMPT = 300, 349


@dataclass(frozen=True)
class Args:
    """Compare the lean step with its products."""

    rows: tuple[int, ...] = (1, 8, 16)
    """Rows of a step."""
    new_tokens: int = 64
    """Steps of a round."""
    rounds: int = 5
    """Measured turns, after one that is not."""
    threads: int = 2
    """Torch threads."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of the LM; auto is what the processor multiplies fastest."""
    few_bits_mb: float = math.inf
    """Memory for weights of few bits beside the others."""


def decode(lean: LeanLM, opening: Opening, prompt: Tensor, embed, *, rows: int, new_tokens: int) -> float:
    """-> seconds of a step."""
    decoder = lean.decoder(rows)
    joined = [decoder.join(opening) for _ in range(rows)]
    last = torch.cat([decoder.prefill(row, prompt).last for row in joined])
    start_s = time.perf_counter()
    for _ in range(new_tokens):
        last = decoder.step(embed(lean.logits(last).argmax(-1)), joined).last
    return (time.perf_counter() - start_s) / new_tokens


def products(lean: LeanWeights, *, rows: int, new_tokens: int) -> float:
    """-> seconds of a step's matrix products."""
    layers = lean.products(rows)
    inputs = [torch.randn(rows, width) for width in (lean.shape.width, lean.shape.feed_forward_width)]
    given = [[inputs[place == 3].to(product.dtype) for place, product in enumerate(layer)] for layer in layers]
    last = torch.randn(rows, lean.shape.width)
    start_s = time.perf_counter()
    for _ in range(new_tokens):
        for layer, x in zip(layers, given, strict=True):
            for product, one in zip(layer, x, strict=True):
                product(one)
        lean.logits(last)
    return (time.perf_counter() - start_s) / new_tokens


@torch.inference_mode()
def main(args: Args) -> dict:
    """-> what the JSON line says."""
    torch.set_num_threads(args.threads)
    dtype = Precision.choose(args.dtype, "cpu").lm
    folder = locate_language_model(DEFAULT_LANGUAGE_MODEL).path
    lm = load_language_model(folder, vocabulary=VOCABULARY, dtype=dtype)
    ids = torch.randint(0, VOCABULARY, (1, PROMPT), generator=torch.Generator().manual_seed(0))
    prompt = lm.embed(ids)[0]
    lean = LeanLM(LeanWeights(lm, few_bits_bytes=args.few_bits_mb * 1e6))
    opening = lean.read_opening(prompt[:OPENING])
    size_mb = lean.weights.weight_bytes / 1e6
    print(f"{dtype}, {args.threads} threads, load {os.getloadavg()[0]:.1f}, {size_mb:.0f} MB of weights")
    print(f"{'rows':>4}{'tokens/s':>12}{'products':>12}{'share':>8}")
    figures: dict = {"engine": {}, "products": {}, "share_of_products": {}}
    for rows in args.rows:
        step, alone = _measured(lean, opening, prompt[OPENING:], lm.embed, rows, args)
        figures["engine"][rows] = round(rows / step, 1)
        figures["products"][rows] = round(rows / alone, 1)
        figures["share_of_products"][rows] = round(alone / step, 3)
        print(f"{rows:4}{rows / step:12.1f}{rows / alone:12.1f}{alone / step:8.2f}", flush=True)
    return figures | {"load": round(os.getloadavg()[0], 1)}


def _measured(lean: LeanLM, opening: Opening, prompt: Tensor, embed, rows: int, args: Args) -> tuple[float, float]:
    decode(lean, opening, prompt, embed, rows=rows, new_tokens=2)
    turns = []
    for _ in range(args.rounds):
        step = decode(lean, opening, prompt, embed, rows=rows, new_tokens=args.new_tokens)
        turns.append((step, products(lean.weights, rows=rows, new_tokens=args.new_tokens)))
    return statistics.median(step for step, _ in turns), statistics.median(alone for _, alone in turns)


if __name__ == "__main__":
    print(json.dumps(main(tyro.cli(Args, description=__doc__))))
