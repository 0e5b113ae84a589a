"""A frozen LM whose layers torch compiles: what lies between their products becomes few loops instead of many calls.

One piece of code serves all layers of a shape and all batches, whatever their rows and lengths. Random numbers are
those of layers that are not compiled, so that a seed, a checkpoint and a step in parts mean the same; results differ in
their last bits. Knows no losses and no cache.
"""

from typing import Any

import torch
from torch import Tensor, nn

from fromage_model.errors import ConfigError
from fromage_model.language import frozen_linear
from fromage_model.language.differentiated import Forward, where_differentiated

WITHOUT = "install one (g++ on Linux, or what CXX names), or leave --compile out"


def compile_layers(backbone: nn.Module) -> int:
    """Let torch compile the decoder layers of a model of transformers, each as it is first run -> how many there are.

    LoRA must be there before. Raises ConfigError, after trying, where torch can't compile for the model's device.
    """
    _try(next(backbone.parameters()).device)
    frozen_linear.let_compile()
    return where_differentiated(backbone, _compiled)


def check_compiler() -> None:
    """Raises ConfigError where this machine has no C++ compiler, which torch needs to compile for a CPU."""
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler as error:
        raise ConfigError(f"compile needs a C++ compiler, and torch finds none; {WITHOUT}") from error


def _compiled(forward: Forward) -> Forward:
    compiled = torch.compile(forward, dynamic=True, options={"fallback_random": True})

    def run(hidden_states: Tensor, *args: Any, **options: Any) -> Any:
        # For what is a part of a larger tensor, as embeddings without their last position are, torch compiles anew.
        return compiled(hidden_states.contiguous(), *args, **options)

    return run


def _try(device: torch.device) -> None:
    """On a GPU torch needs Triton, and a C compiler; on a CPU one for C++ and Python's headers."""
    if device.type == "cpu":
        check_compiler()
    try:
        torch.compile(_doubled, dynamic=True)(torch.ones(8, device=device))
    except Exception as error:  # whatever a tool chain is broken by, it is this machine's, and can be put right
        last = str(error).strip().splitlines() or [type(error).__name__]
        raise ConfigError(f"compile does not work for {device}: {last[0]}; {WITHOUT}") from error


def _doubled(x: Tensor) -> Tensor:
    return 2 * x
