"""From a feature map to a visual prefix: the four maps of FROZEN. Knows neither the encoder nor the LM.

The paper has the global map (Tsimpoukelli et al. 2021, section 3.1); local, duel and grid are those of the FROZEN
repository, duel in its spelling.

Shapes: B batch, F feature width, h x w cells of the feature map, D LM width, N visual tokens.
"""

import itertools
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from fromage_model.errors import ConfigError
from fromage_model.model.projections import VisualPrefix

VisualMapKind = Literal["global", "local", "duel", "grid"]
GELU_OF_NORMAL_RMS = 0.652
"""Root mean square of GELU over a standard normal: what comes out of a grid layer, per channel."""


class VisualMap(nn.Module):
    """(B, F, h, w) -> (B, N, D)."""

    def forward(self, maps: Tensor) -> Tensor:
        raise NotImplementedError

    def scale_to(self, row_norm: float) -> None:
        """Start prefixes near the length of the LM's own token rows, for features of unit variance."""
        raise NotImplementedError


class GlobalMap(VisualMap):
    """The spatial mean, then one linear map to N tokens."""

    def __init__(self, feature_width: int, lm_width: int, *, tokens: int = 2):
        super().__init__()
        self.prefix = VisualPrefix(feature_width, lm_width, visual_tokens=tokens)

    def scale_to(self, row_norm: float) -> None:
        self.prefix.scale_to(row_norm)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, F, h, w) -> (B, N, D), N as constructed."""
        return self.prefix(maps.mean(dim=(2, 3)))


class LocalMap(VisualMap):
    """Mean pooling to `cells` (rows, columns), then one linear map, the same for every cell; cells row by row."""

    def __init__(self, feature_width: int, lm_width: int, *, cells: tuple[int, int] = (4, 4)):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(cells)
        self.prefix = VisualPrefix(feature_width, lm_width)

    def scale_to(self, row_norm: float) -> None:
        self.prefix.scale_to(row_norm)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, F, h, w) -> (B, N, D), N = rows x columns whatever h and w."""
        cells = self.pool(maps).flatten(2).transpose(1, 2)
        return self.prefix(cells).squeeze(-2)


class DuelMap(VisualMap):
    """The global tokens, then the local ones, each by maps of their own."""

    def __init__(self, feature_width: int, lm_width: int, *, tokens: int = 2, cells: tuple[int, int] = (4, 4)):
        super().__init__()
        self.of_whole = GlobalMap(feature_width, lm_width, tokens=tokens)
        self.of_cells = LocalMap(feature_width, lm_width, cells=cells)

    def scale_to(self, row_norm: float) -> None:
        self.of_whole.scale_to(row_norm)
        self.of_cells.scale_to(row_norm)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, F, h, w) -> (B, N, D), N = tokens + rows x columns."""
        return torch.cat([self.of_whole(maps), self.of_cells(maps)], dim=1)


class GridMap(VisualMap):
    """k layers of 3x3 convolution (stride 2, padding 1), batch norm and GELU, first F to D, then D to D; row by row."""

    def __init__(self, feature_width: int, lm_width: int, *, layers: int = 1):
        super().__init__()
        widths = [feature_width, *[lm_width] * layers]
        self.layers = nn.Sequential(*(_grid_layer(*pair) for pair in itertools.pairwise(widths)))

    @torch.no_grad()
    def scale_to(self, row_norm: float) -> None:
        norm = next(module for module in reversed(list(self.layers.modules())) if isinstance(module, nn.BatchNorm2d))
        norm.weight.fill_(row_norm / (GELU_OF_NORMAL_RMS * norm.num_features**0.5))

    def forward(self, maps: Tensor) -> Tensor:
        """(B, F, h, w) -> (B, N, D); each layer halves h and w, rounded up, and N is what is left of them."""
        return self.layers(maps).flatten(2).transpose(1, 2)


def build_visual_map(
    kind: VisualMapKind,
    feature_width: int,
    lm_width: int,
    *,
    global_tokens: int = 2,
    local_cells: tuple[int, int] = (4, 4),
    grid_layers: int = 1,
) -> VisualMap:
    """The map of that name, weights as PyTorch draws them. Raises ConfigError on another name."""
    match kind:
        case "global":
            return GlobalMap(feature_width, lm_width, tokens=global_tokens)
        case "local":
            return LocalMap(feature_width, lm_width, cells=local_cells)
        case "duel":
            return DuelMap(feature_width, lm_width, tokens=global_tokens, cells=local_cells)
        case "grid":
            return GridMap(feature_width, lm_width, layers=grid_layers)
    raise ConfigError(f"visual_map is {kind!r}; expected one of {', '.join(get_args(VisualMapKind))}")


def _grid_layer(inner: int, outer: int) -> nn.Sequential:
    # The bias of a convolution before batch norm would be taken off again by the mean.
    convolution = nn.Conv2d(inner, outer, kernel_size=3, stride=2, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outer), nn.GELU())
