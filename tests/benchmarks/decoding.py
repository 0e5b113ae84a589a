"""Our decoding against reading the whole sequence again for each token, which is what the original does with OPT.

Both sides have the same random weights and the same prompt, a picture (its features) and a question, and write the
same number of tokens without stop. Ours has its weights packed, as the chat serves it. They take turns, and the medians
of the rounds' ratios count.

    python -m tests.benchmarks.decoding
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
from transformers import OPTForCausalLM

from fromage_model.chat.engine import Engine
from fromage_model.fromage import Fromage
from fromage_model.language.frozen_linear import PackedLinear
from fromage_model.language.packing import pack
from fromage_model.prompts.messages import Sampling
from fromage_model.prompts.segments import Prompt, raw_prompt
from tests.benchmarks.common import shapes
from tests.benchmarks.common.rounds import take_turns, times_as_fast

REFED, ONE, MANY, MANY_BF16 = "whole sequence again", "ours, 1 request", "ours, 8 requests", "ours, 8 requests, bf16"
MATVECS = ("head times a vector, by torch", "head times a vector, packed")
BATCH = 8
QUESTION = "Q: What goes with this? A:"
LOOKS = 20
"""Times that the head is multiplied with a vector in a round: one alone is over too soon to measure."""


@dataclass(frozen=True)
class Args:
    """Compare ways of decoding."""

    shape: Literal["opt-125m", "tiny"] = "opt-125m"
    """Sizes of the LM."""
    new_tokens: int = 64
    """Tokens that each request writes."""
    rounds: int = 3
    """Measured turns of each way, after one that is not."""
    threads: int = 2
    """Torch threads."""


@torch.inference_mode()
def reread(model: Fromage, backbone: OPTForCausalLM, prompt: Prompt, *, new_tokens: int) -> list[int]:
    """The original's `generate`, greedy: all states and logits of all positions, without a cache, for each token.

    `backbone` is the LM as transformers has it; `model` gives the prompt's embeddings and its text map.
    """
    vocabulary = model.tokens.vocabulary
    embeddings = model.embed_prompts([prompt]).embeddings
    ids: list[int] = []
    for _ in range(new_tokens):
        output = backbone(inputs_embeds=embeddings, use_cache=False, output_hidden_states=True)
        model.trained.text_head([output.hidden_states[-1]])
        ids.append(int(output.logits[0, -1, :vocabulary].argmax()))
        embeddings = torch.cat([embeddings, model.lm.embed(torch.tensor([ids[-1:]]))], dim=1)
    return ids


def decode_together(model: Fromage, prompt: Prompt, *, requests: int, new_tokens: int) -> None:
    """`requests` of the same prompt through the engine, greedy, without [RET]."""
    engine = Engine(model, slots=requests)
    for _ in range(requests):
        engine.add(prompt, retrieval="never", sampling=Sampling(max_new_tokens=new_tokens))
    for _ in engine.run():
        pass


def main(args: Args) -> dict:
    """-> what the JSON line says."""
    torch.set_num_threads(args.threads)
    shape = shapes.SHAPES[args.shape]
    with tempfile.TemporaryDirectory() as folder:
        lm = shapes.write_lm(Path(folder), shape)
        backbone = OPTForCausalLM.from_pretrained(lm).eval()
        model, half = (_served(shapes.build(lm, shape, dtype=dtype)) for dtype in (torch.float32, torch.bfloat16))
    features = torch.randn(shape.feature_width, generator=torch.Generator().manual_seed(0)).numpy()
    prompt = raw_prompt([features, QUESTION], model.tokens)
    head, vector = backbone.get_output_embeddings().weight.detach(), torch.randn(shape.width)
    packed = PackedLinear(head)
    ways = {
        REFED: lambda: reread(model, backbone, prompt, new_tokens=args.new_tokens),
        ONE: lambda: decode_together(model, prompt, requests=1, new_tokens=args.new_tokens),
        MANY: lambda: decode_together(model, prompt, requests=BATCH, new_tokens=args.new_tokens),
        MANY_BF16: lambda: decode_together(half, prompt, requests=BATCH, new_tokens=args.new_tokens),
        MATVECS[0]: lambda: _look(lambda: torch.mv(head, vector)),
        MATVECS[1]: lambda: _look(lambda: packed(vector.unsqueeze(0))),
    }
    for name in (ONE, MANY, MANY_BF16, *MATVECS):
        ways[name]()
    seconds = take_turns(ways, rounds=args.rounds)
    figures = _figures(seconds, backbone, args)
    _print_table(seconds, figures, args)
    return figures


def _served(model: Fromage) -> Fromage:
    """As the chat serves it, but that nothing ends a reply."""
    model.tokens.stop_ids = frozenset()
    pack(model.lm)
    return model


def _look(multiply: Callable[[], Tensor]) -> None:
    with torch.inference_mode():
        for _ in range(LOOKS):
            multiply()


def _figures(seconds: dict[str, list[float]], backbone: OPTForCausalLM, args: Args) -> dict:
    head = backbone.get_output_embeddings().weight
    matrices = [module.weight for module in backbone.model.modules() if isinstance(module, torch.nn.Linear)]
    read_for_a_token = sum(matrix.numel() for matrix in matrices) + head.numel()
    # The machine's rate is that of the faster product: which one it is depends on the processor.
    fastest = min((seconds[name] for name in MATVECS), key=statistics.median)
    limit_s = [args.new_tokens * taken / LOOKS * read_for_a_token / head.numel() for taken in fastest]
    return {
        "speedup_batch_1": round(times_as_fast(seconds[REFED], seconds[ONE]), 3),
        "speedup_batch_8": round(BATCH * times_as_fast(seconds[REFED], seconds[MANY]), 3),
        "speedup_batch_8_bf16": round(BATCH * times_as_fast(seconds[REFED], seconds[MANY_BF16]), 3),
        "share_of_matvec_rate": round(times_as_fast(limit_s, seconds[ONE]), 3),
    }


def _print_table(seconds: dict[str, list[float]], figures: dict, args: Args) -> None:
    print(f"{args.shape}, {args.new_tokens} new tokens, {args.threads} threads, median of {args.rounds} rounds")
    print(f"{'':28}{'tokens/s':>12}{'times as many':>16}")
    rows = {
        REFED: (1, 1.0),
        ONE: (1, figures["speedup_batch_1"]),
        MANY: (BATCH, figures["speedup_batch_8"]),
        MANY_BF16: (BATCH, figures["speedup_batch_8_bf16"]),
    }
    for name, (requests, times) in rows.items():
        print(f"{name:28}{requests * args.new_tokens / statistics.median(seconds[name]):12.1f}{times:16.2f}")


if __name__ == "__main__":
    print(json.dumps(main(tyro.cli(Args, description=__doc__))))
