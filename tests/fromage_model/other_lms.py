"""Small LMs of other shapes than LLaMA's and OPT's, which transformers' own modules compute."""

import torch
from transformers import GPT2Config, GPT2LMHeadModel, GPTNeoConfig, GPTNeoForCausalLM

from tests.fromage_model import tiny

POSITIONS = 256


def write_gpt2(folder):
    length = tiny.write_plain_tokenizer(folder)
    torch.manual_seed(0)
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": POSITIONS, "vocab_size": length}
    GPT2LMHeadModel(GPT2Config(**sizes, initializer_range=0.4, bos_token_id=0, eos_token_id=1)).save_pretrained(folder)
    return folder


def write_gpt_neo(folder):
    """Its second layer sees the nearest 12 positions only."""
    length = tiny.write_plain_tokenizer(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_layers": 2, "num_heads": 2, "max_position_embeddings": POSITIONS}
    kinds = {"attention_types": [[["global", "local"], 1]], "window_size": 12, "vocab_size": length}
    config = GPTNeoConfig(**sizes, **kinds, initializer_range=0.4, bos_token_id=0, eos_token_id=1)
    GPTNeoForCausalLM(config).save_pretrained(folder)
    return folder
