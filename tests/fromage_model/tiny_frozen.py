"""Small real parts for FROZEN: GPT-2, a ResNet with batch statistics that matter, and pictures of one colour."""

import json
from pathlib import Path

import torch
from PIL import Image
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, ResNetConfig, ResNetForImageClassification

from fromage_model.frozen.model import FrozenModel
from tests.fromage_model import tiny

SIDE_PX = 32
RESNET_WIDTH = 12


def write_gpt2(folder: Path, *, positions: int = 256) -> Path:
    """A GPT-2 of two layers, tied, with learned absolute positions."""
    torch.manual_seed(0)
    length = tiny.write_chat_tokenizer(folder)
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": positions}
    config = GPT2Config(vocab_size=length, bos_token_id=0, eos_token_id=1, initializer_range=0.4, **sizes)
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def write_resnet(folder: Path) -> Path:
    """A classifier of stem and two stages, maps of 4 x 4 cells, for pictures of 32 pixels normalised its own way."""
    torch.manual_seed(0)
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, RESNET_WIDTH], depths=[1, 2], layer_type="basic")
    model = ResNetForImageClassification(config)
    unsettle_batch_norm(model)
    model.save_pretrained(folder)
    said = {"size": {"shortest_edge": SIDE_PX}, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    return folder


def unsettle_batch_norm(module: nn.Module) -> None:
    """Running statistics as training would leave them, and not the identity."""
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.running_mean, -0.5, 0.5)
            nn.init.uniform_(norm.running_var, 0.5, 2.0)


def build(lm: Path, resnet: Path, **settings) -> FrozenModel:
    """In float32, with a map whose batch norm, where it has one, is not the identity."""
    settings = {"vision_encoder": str(resnet), "local_cells": 2} | settings
    model = FrozenModel.from_pretrained(str(lm), device="cpu", dtype=torch.float32, **settings)
    unsettle_batch_norm(model.visual_map)
    return model


def pictures(count: int, *, seed: int = 0) -> list[Image.Image]:
    """Of different sizes and colours."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randint(0, 256, (count, 3), generator=generator).tolist()
    return [Image.new("RGB", (20 + 7 * index, 40), tuple(colour)) for index, colour in enumerate(numbers)]
