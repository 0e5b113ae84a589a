"""What makes a FROZEN model, as one frozen dataclass: JSON in and out, validated on construction."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Self, get_args

from fromage_model.errors import ConfigError
from fromage_model.frozen.visual_maps import VisualMapKind
from fromage_model.storage.pretrained import DEFAULT_LANGUAGE_MODEL, DEFAULT_VISION_ENCODER


@dataclass(frozen=True)
class FrozenConfig:
    """Which parts, and how a picture becomes a prefix."""

    language_model: str = DEFAULT_LANGUAGE_MODEL
    """The frozen LM: the embedded default, a hub id such as `gpt2`, or a folder."""
    vision_encoder: str = DEFAULT_VISION_ENCODER
    """The trained encoder: `efficientnet-lite0`, `resnet-50` (random weights), a ResNet's hub id, or a folder."""
    visual_map: VisualMapKind = "global"
    """From feature map to prefix: global, local, duel (global, then local) or grid."""
    global_tokens: int = 2
    """Prefix tokens of the global map; the paper uses 2."""
    local_cells: tuple[int, int] = (4, 4)
    """Rows and columns to which the local map pools; one prefix token each."""
    grid_layers: int = 1
    """Convolutions of the grid map, each of which halves both sides."""
    freeze_encoder: bool = False
    """Train the visual map alone (the paper trains the encoder with it)."""
    frozen_stages: int = 0
    """How many of the encoder's first stages are not trained, the stem being the first."""

    def __post_init__(self):
        if self.visual_map not in get_args(VisualMapKind):
            kinds = ", ".join(get_args(VisualMapKind))
            raise ConfigError(f"visual_map is {self.visual_map!r}; expected one of {kinds}")
        said: Any = self.local_cells
        cells = (said, said) if isinstance(said, int) else tuple(said)
        object.__setattr__(self, "local_cells", cells)
        if not 1 <= self.global_tokens <= 64:
            raise ConfigError(f"global_tokens is {self.global_tokens}; expected 1 to 64, for example 2")
        if len(cells) != 2 or not all(isinstance(side, int) and 1 <= side <= 32 for side in cells):
            raise ConfigError(f"local_cells is {cells}; expected rows and columns from 1 to 32, for example (4, 4)")
        if not 1 <= self.grid_layers <= 5:
            raise ConfigError(f"grid_layers is {self.grid_layers}; expected 1 to 5, for example 1")
        if self.frozen_stages < 0:
            raise ConfigError(f"frozen_stages is {self.frozen_stages}; expected 0 or more")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Raises ConfigError naming a field that is not ours."""
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ConfigError(f"unknown fields {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        return cls(**values)
