"""Where a model computes and in which number format each of its parts does, chosen by name and device. Builds none.

The frozen LM may be in half precision; what is trained, and every loss, is float32. Gradients that travel back through
a float16 LM fall below its smallest number unless the loss is scaled up first (Micikevicius et al., Mixed Precision
Training, 2018); bfloat16 has float32's range and needs no scaling.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch

from fromage_model.errors import ConfigError

NAMES = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Precision:
    """The one place where a part's dtype is decided."""

    lm: torch.dtype
    """Of the frozen LM, its KV cache and its input embeddings."""
    trained: torch.dtype = torch.float32
    """Of the maps, [RET]'s rows, LoRA's matrices, and the losses."""

    @property
    def loss_scaling(self) -> bool:
        """Whether training multiplies the loss before the backward pass and divides the gradients after it."""
        return self.lm == torch.float16

    @classmethod
    def choose(cls, name: str | torch.dtype | None, device: str | torch.device) -> Self:
        """`name` is one of `NAMES` or a dtype; None is "auto": what the device multiplies fastest.

        Raises ConfigError on any other.
        """
        if isinstance(name, torch.dtype):
            name = str(name).removeprefix("torch.")
        if name is None or name == "auto":
            return cls(_fastest(torch.device(device)))
        if name not in NAMES:
            raise ConfigError(f"dtype is {name!r}; expected one of {', '.join(NAMES)}")
        return cls(getattr(torch, name))


def _fastest(device: torch.device) -> torch.dtype:
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    multiplies = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if multiplies else torch.float32


def default_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def default_dtype(device: str | torch.device) -> torch.dtype:
    """What a frozen model computes in where none is asked for."""
    return Precision.choose("auto", device).lm


def stored_dtype(folder: Path, device: str | torch.device) -> torch.dtype:
    """The dtype in which a folder's LM loses nothing of what is stored; see `exact_dtype`."""
    from transformers import AutoConfig

    return exact_dtype(AutoConfig.from_pretrained(folder, trust_remote_code=False).dtype, device)


def exact_dtype(stored: torch.dtype | None, device: str | torch.device) -> torch.dtype:
    """`stored`; float32 where that is unsaid, or float16 and `device` is a CPU."""
    if stored is None or (stored == torch.float16 and torch.device(device).type == "cpu"):
        return torch.float32
    return stored
