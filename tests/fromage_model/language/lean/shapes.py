"""Small LMs of every shape that the lean forward takes: ours of every family, and kinds of positions beside them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from fromage_model.language.model import LanguageModel, load_language_model
from tests.fromage_model import families

VOCABULARY = 320
POSITIONS = 128
WINDOW = 12
SIZES = {
    "vocab_size": VOCABULARY + 9,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": POSITIONS,
    "initializer_range": 0.4,
}
OPT_SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "ffn_dim": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "max_position_embeddings": POSITIONS,
    "init_std": 0.4,
}


def _rotated(kind: str, **more: Any) -> Callable[[], Any]:
    rope = {"rope_type": kind, "rope_theta": 10000.0, **more}
    return lambda: LlamaForCausalLM(LlamaConfig(**SIZES, rope_parameters=rope))


def _qwen2_with_a_window() -> Any:
    more = {"use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 0}
    return Qwen2ForCausalLM(Qwen2Config(**SIZES, **more))


MADE: dict[str, Callable[[], Any]] = {
    "linear": _rotated("linear", factor=4.0),
    "dynamic": _rotated("dynamic", factor=4.0),
    "yarn": _rotated("yarn", factor=4.0, original_max_position_embeddings=32),
    "biases": lambda: LlamaForCausalLM(
        LlamaConfig(**SIZES, attention_bias=True, mlp_bias=True, tie_word_embeddings=True)
    ),
    "wide heads": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, head_dim=16, hidden_act="gelu")),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SIZES, sliding_window=None)),
    "mistral, window": lambda: MistralForCausalLM(MistralConfig(**SIZES, sliding_window=WINDOW)),
    "qwen2, window": _qwen2_with_a_window,
    "opt, projections": lambda: OPTForCausalLM(OPTConfig(**OPT_SIZES, word_embed_proj_dim=16)),
    "opt, no biases": lambda: OPTForCausalLM(OPTConfig(**OPT_SIZES, word_embed_proj_dim=32, enable_bias=False)),
}
FAMILIES = ("llama", "llama3", "smollm", "qwen2", "opt", "opt_350m")
NAMES = (*FAMILIES, *MADE)


def load(name: str, folder: Path, **settings: Any) -> LanguageModel:
    """The LM of that name, written to `folder` and read from there, with biases that are not zero."""
    if name in FAMILIES:
        families.FAMILIES[name](folder)
    else:
        torch.manual_seed(0)
        model = MADE[name]()
        for parameter_name, parameter in model.named_parameters():
            if parameter_name.endswith("bias"):
                torch.nn.init.normal_(parameter, std=0.1)
        model.save_pretrained(folder)
    return load_language_model(folder, vocabulary=VOCABULARY, **settings)
