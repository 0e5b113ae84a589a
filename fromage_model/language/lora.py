"""LoRA on the frozen LM (Hu et al., 2022), through peft: small trained matrices beside chosen linear layers.

The LM's own weights stay as they are. What is trained is reached through `LoraAdapter`, whose state has keys such as
`layers.0.self_attn.q_proj.lora_A`. It starts as the identity: B is zero. Knows no losses and no files.

Shapes: R rank, I a layer's inputs, O its outputs.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from fromage_model.errors import ConfigError
from fromage_model.language.lora_settings import LoraSettings
from fromage_model.language.model import LanguageModel

NAME = "default"
"""What peft calls an adapter that has no name of its own."""
USUAL_TARGETS = (("q_proj", "v_proj"), ("c_attn",), ("query_key_value",), ("qkv_proj",))
"""The queries' and values' maps, by family: LLaMA, Qwen2, OPT, GPT-J, GPT-Neo; GPT-2; GPT-NeoX; Phi-3."""


class LoraAdapter(nn.Module):
    """The matrices A, (R, I), and B, (O, R), of every target: the very parameters with which the LM computes.

    `settings` are those that made it, with the targets that were found.
    """

    def __init__(self, layers: dict[str, Any], settings: LoraSettings):
        super().__init__()
        self.settings = settings
        for name, layer in layers.items():
            leaf = _descend(self, name)
            leaf.register_parameter("lora_A", layer.lora_A[NAME].weight)
            leaf.register_parameter("lora_B", layer.lora_B[NAME].weight)
            leaf.add_module("dropout", layer.lora_dropout[NAME])


def add_lora(lm: LanguageModel, settings: LoraSettings, *, seed: int = 0) -> LoraAdapter:
    """Put LoRA beside layers of `lm`, in float32 whatever the LM's dtype -> what is trained of it.

    `seed` draws A. Raises ConfigError when a target names no linear layer of the LM.
    """
    from peft import LoraConfig
    from peft.tuners.lora import LoraModel

    settings = dataclasses.replace(settings, targets=_found_targets(lm, settings.targets))
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(settings.targets),
        fan_in_fan_out=_is_transposed(lm, settings.targets),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        LoraModel(lm.backbone.base_model, config, NAME)
    lm.eval()
    return LoraAdapter(dict(_lora_layers(lm)), settings)


def merge_into(lm: LanguageModel) -> None:
    """Add LoRA to the weights that it stands beside and take it away: the same function up to the LM's rounding."""
    base = lm.backbone.base_model
    for name, layer in list(_lora_layers(lm)):
        layer.merge(safe_merge=True)
        parent, _, child = name.rpartition(".")
        setattr(base.get_submodule(parent), child, layer.get_base_layer())
    lm.has_merged_lora = True


def _lora_layers(lm: LanguageModel) -> Iterator[tuple[str, Any]]:
    from peft.tuners.lora import LoraLayer

    for name, module in lm.backbone.base_model.named_modules():
        if isinstance(module, LoraLayer):
            yield name, module


def _found_targets(lm: LanguageModel, targets: tuple[str, ...]) -> tuple[str, ...]:
    """`targets`, or the family's own. Raises ConfigError listing what the LM has."""
    have = sorted({name.rpartition(".")[2] for name, _ in _linear_layers(lm)})
    if not targets:
        usual = next((family for family in USUAL_TARGETS if set(family) <= set(have)), None)
        if usual is None:
            raise ConfigError(f"LoRA's targets are not known for this LM; name some of {', '.join(have)}")
        return usual
    missing = [target for target in targets if target not in have]
    if missing:
        raise ConfigError(
            f"LoRA's targets {', '.join(missing)} are no linear layers of this LM; it has {', '.join(have)}"
        )
    return targets


def _linear_layers(lm: LanguageModel) -> Iterator[tuple[str, nn.Module]]:
    from transformers.pytorch_utils import Conv1D

    for name, module in lm.backbone.base_model.named_modules():
        if isinstance(module, nn.Linear | Conv1D):
            yield name, module


def _is_transposed(lm: LanguageModel, targets: tuple[str, ...]) -> bool:
    """GPT-2 keeps its weights as (I, O)."""
    return any(
        not isinstance(module, nn.Linear) for name, module in _linear_layers(lm) if name.rpartition(".")[2] in targets
    )


def _descend(module: nn.Module, name: str) -> nn.Module:
    """The module of that dotted name below `module`, made where it is not there."""
    for part in name.split("."):
        if part not in dict(module.named_children()):
            module.add_module(part, nn.Module())
        module = module.get_submodule(part)
    return module
