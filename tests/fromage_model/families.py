"""A small LM of every family that we promise, each written as `save_pretrained` does, with weights drawn wide."""

from collections.abc import Callable
from pathlib import Path

import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTJConfig,
    GPTJForCausalLM,
    GPTNeoConfig,
    GPTNeoForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from tests.fromage_model import tiny

POSITIONS = 96
WINDOW = 12
"""Of GPT-Neo's local layer: short enough that the tests' prompts reach beyond it."""


def _write(folder: Path, make: Callable[[int], PreTrainedModel], *, seed: int = 0) -> Path:
    vocabulary = tiny.write_plain_tokenizer(folder)
    torch.manual_seed(seed)
    make(vocabulary).save_pretrained(folder)
    return folder


def opt(folder: Path) -> Path:
    return tiny.write_opt(folder, padding_rows=5)


def opt_350m(folder: Path) -> Path:
    """Token embeddings narrower than the layers, norms after them and none at the end, as OPT-350m."""
    sizes = {"hidden_size": 32, "word_embed_proj_dim": 16, "ffn_dim": 64, "num_hidden_layers": 2}
    return _write(
        folder,
        lambda vocabulary: OPTForCausalLM(
            OPTConfig(
                **sizes,
                vocab_size=vocabulary,
                num_attention_heads=2,
                do_layer_norm_before=False,
                max_position_embeddings=POSITIONS,
                init_std=0.4,
                pad_token_id=1,
                bos_token_id=0,
                eos_token_id=1,
            )
        ),
    )


def gpt2(folder: Path) -> Path:
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": POSITIONS, "n_ctx": POSITIONS}
    ends = {"bos_token_id": 0, "eos_token_id": 1, "initializer_range": 0.4}
    return _write(folder, lambda vocabulary: GPT2LMHeadModel(GPT2Config(**sizes, **ends, vocab_size=vocabulary)))


def gpt_neo(folder: Path) -> Path:
    """One layer that sees everything and one with a window."""
    sizes = {"hidden_size": 32, "num_layers": 2, "num_heads": 2, "max_position_embeddings": POSITIONS}
    kinds = {"attention_types": [[["global", "local"], 1]], "window_size": WINDOW}
    ends = {"bos_token_id": 0, "eos_token_id": 1, "initializer_range": 0.4}
    return _write(
        folder, lambda vocabulary: GPTNeoForCausalLM(GPTNeoConfig(**sizes, **kinds, **ends, vocab_size=vocabulary))
    )


def gptj(folder: Path) -> Path:
    """Untied, with a bias on its logits."""
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": POSITIONS, "rotary_dim": 8}
    ends = {"bos_token_id": 0, "eos_token_id": 1, "initializer_range": 0.4}

    def make(vocabulary: int) -> GPTJForCausalLM:
        model = GPTJForCausalLM(GPTJConfig(**sizes, **ends, vocab_size=vocabulary))
        torch.nn.init.normal_(model.lm_head.bias)
        return model

    return _write(folder, make, seed=3)


def llama(folder: Path) -> Path:
    return tiny.write_llama(folder, tied=False)


def llama3(folder: Path) -> Path:
    """Fewer key heads than heads, and positions stretched by frequency, as LLaMA 3.1 and later."""
    rope = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "original_max_position_embeddings": 16}
    rope |= {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    more = {"num_key_value_heads": 2, "max_position_embeddings": POSITIONS, "rope_parameters": rope}
    ends = {"bos_token_id": 0, "eos_token_id": [1, 5], "initializer_range": 0.4}
    return _write(
        folder, lambda vocabulary: LlamaForCausalLM(LlamaConfig(**sizes, **more, **ends, vocab_size=vocabulary))
    )


def smollm(folder: Path) -> Path:
    return tiny.write_llama(folder, padding_rows=9)


def qwen2(folder: Path) -> Path:
    """With rows to spare, as all Qwen have: transformers' Qwen tokenizer adds a token of its own to ours."""
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    more = {"num_key_value_heads": 1, "max_position_embeddings": POSITIONS, "tie_word_embeddings": True}
    ends = {"bos_token_id": 0, "eos_token_id": 1, "initializer_range": 0.4}
    return _write(
        folder, lambda vocabulary: Qwen2ForCausalLM(Qwen2Config(**sizes, **more, **ends, vocab_size=vocabulary + 7))
    )


FAMILIES: dict[str, Callable[[Path], Path]] = {
    "opt": opt,
    "opt_350m": opt_350m,
    "gpt2": gpt2,
    "gpt_neo": gpt_neo,
    "gptj": gptj,
    "llama": llama,
    "llama3": llama3,
    "smollm": smollm,
    "qwen2": qwen2,
}
