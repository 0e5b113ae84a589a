"""Vision encoders that are trained: pictures -> feature maps. `encoders.py` has the frozen ones, which give one vector.

What is trained and what is not is chosen by stages, counted from the picture; what the frozen ones make of a picture
can be kept (`begin`) and gone on with (`finish`). Knows nothing of the LM.

Shapes: B batch, F feature width, H x W pixels, h x w cells of the feature map, K numbers that are kept of a picture.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from fromage_model.errors import ConfigError, InvalidInput
from fromage_model.storage.pretrained import EMBEDDED_VISION_ENCODERS, STAGES_VISION_ENCODER
from fromage_model.vision.encoders import COLOUR_BLOCK, COLOUR_WIDTH, fit_on_white

COLOUR_STAGE = 4
"""The stage of EfficientNet-Lite0 that ends with its block `COLOUR_BLOCK`, counted from 0."""


@dataclass(frozen=True)
class Architecture:
    """All that makes an encoder but its weights, as JSON can hold it. `mean` and `std` are of channels in 0 to 1."""

    family: Literal["efficientnet-lite0", "efficientnet-lite0-stages", "resnet"]
    side_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    settings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Architecture":
        """Raises ConfigError on a family or on fields that are not ours."""
        if {item.name for item in dataclasses.fields(cls)} != set(values):
            raise ConfigError(f"an encoder's architecture has the fields {', '.join(sorted(values))}: not one of ours")
        families = (*EMBEDDED_VISION_ENCODERS, "resnet")
        if values["family"] not in families:
            raise ConfigError(f"an encoder of the family {values['family']!r}; expected one of {', '.join(families)}")
        return cls(**values | {"mean": tuple(values["mean"]), "std": tuple(values["std"])})


class FeatureMapEncoder(nn.Module):
    """A backbone that is trained, whole or from one of its stages on.

    What happens to batch norm: in training, trained stages normalise by their batch's statistics and update the running
    ones, so a picture's map then depends on the batch that it comes in; frozen stages, and every stage in eval mode,
    normalise by the running statistics and leave them as they are, so that a map depends on its own picture alone.
    """

    beside: int | None = None
    """The stage whose map is kept beside the last one's, counted from 0; most have none."""

    def __init__(
        self,
        backbone: nn.Module,
        stages: Sequence[Sequence[nn.Module]],
        *,
        architecture: Architecture,
        feature_width: int,
        fingerprint: str = "",
    ):
        super().__init__()
        self.backbone = backbone
        self._stages = tuple(tuple(stage) for stage in stages)
        self.architecture = architecture
        self.feature_width = feature_width
        self.fingerprint = fingerprint
        self.frozen_stages = 0
        self._kept_shapes: list[torch.Size] = []

    @property
    def stages(self) -> int:
        """How many there are: the stem, each group of blocks of one width and, where there is one, the last 1x1."""
        return len(self._stages)

    @property
    def bands(self) -> tuple[int, ...]:
        """Widths that sum to F: how many of the features come from which map."""
        return (self.feature_width,)

    def freeze(self, stages: int) -> None:
        """The first `stages` are trained no more: no gradients, no dropping of paths, batch statistics as they are.

        Raises ConfigError where there are fewer.
        """
        if not 0 <= stages <= self.stages:
            raise ConfigError(f"frozen_stages is {stages}; {self.architecture.family} has {self.stages}, so 0 to that")
        self.frozen_stages = stages
        self._kept_shapes = []
        for index, stage in enumerate(self._stages):
            for module in stage:
                module.requires_grad_(index >= stages)
        self.train(self.training)

    def train(self, mode: bool = True) -> "FeatureMapEncoder":
        """Frozen stages stay in eval mode."""
        super().train(mode)
        for stage in self._stages[: self.frozen_stages]:
            for module in stage:
                module.eval()
        return self

    def preprocess(self, images: Sequence[Image.Image]) -> Tensor:
        """RGB pictures of any size -> (B, 3, side, side) float32 on the CPU, fitted whole on white and normalised."""
        side = self.architecture.side_px
        if not images:
            return torch.empty(0, 3, side, side)
        pixels = np.stack([np.asarray(fit_on_white(image, side)) for image in images])
        return self._normalise(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255)

    def blank(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) -> pictures of that size that are black all over: what a blind model is shown."""
        return self._normalise(torch.zeros_like(pixels))

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) normalised pixels -> (B, F, h, w). Raises InvalidInput on another shape."""
        if pixels.ndim != 4 or pixels.shape[1] != 3 or not pixels.is_floating_point():
            raise InvalidInput(
                f"expected normalised pixels (B, 3, H, W) in floating point, got {tuple(pixels.shape)} {pixels.dtype}"
            )
        return self._joined(self._through([pixels], 0, self.stages))

    @torch.no_grad()
    def begin(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) -> what the frozen stages make of it, (B, K): the same for as long as they are frozen."""
        held = self._through([pixels], 0, self.frozen_stages)
        if self.frozen_stages == self.stages:
            held = [self._joined(held)]
        self._kept_shapes = [maps.shape[1:] for maps in held]
        return torch.cat([maps.flatten(1) for maps in held], dim=1)

    def finish(self, kept: Tensor) -> Tensor:
        """What `begin` gave, of pictures of one size -> the map (B, F, h, w), as `forward` gives it of the pixels.

        Raises InvalidInput where nothing was begun since stages were frozen.
        """
        if not self._kept_shapes:
            raise InvalidInput("expected what begin gave of pictures, but since stages were frozen nothing was begun")
        parts = kept.split([shape.numel() for shape in self._kept_shapes], dim=1)
        held = [part.unflatten(1, shape) for part, shape in zip(parts, self._kept_shapes, strict=True)]
        if self.frozen_stages == self.stages:
            return held[0]
        return self._joined(self._through(held, self.frozen_stages, self.stages))

    def _through(self, held: Sequence[Tensor], first: int, end: int) -> list[Tensor]:
        """The map and, where there is one, that beside it, through the stages from `first` to before `end`."""
        maps, *beside = held
        for index in range(first, end):
            maps = self._stage(index, maps)
            if index == self.beside:
                beside = [maps]
        return [maps, *beside]

    def _stage(self, index: int, maps: Tensor) -> Tensor:
        raise NotImplementedError

    def _joined(self, held: Sequence[Tensor]) -> Tensor:
        return held[0]

    def _normalise(self, pixels: Tensor) -> Tensor:
        said = (self.architecture.mean, self.architecture.std)
        mean, std = (torch.tensor(values, device=pixels.device).view(3, 1, 1) for values in said)
        return (pixels - mean) / std


class EfficientNetLiteMaps(FeatureMapEncoder):
    """EfficientNet-Lite0: what comes before its pooling. Nine stages: the stem, seven of blocks, the last 1x1."""

    def _stage(self, index: int, maps: Tensor) -> Tensor:
        net: Any = self.backbone
        if index == 0:
            return net._swish(net._bn0(net._conv_stem(maps)))
        if index == self.stages - 1:
            return net._swish(net._bn1(net._conv_head(maps)))
        all_blocks, dropped = list(net._blocks), net._global_params.drop_connect_rate or 0.0
        for block in self._stages[index]:
            maps = block(maps, drop_connect_rate=dropped * all_blocks.index(block) / len(all_blocks))
        return maps


class EfficientNetLiteStagesMaps(EfficientNetLiteMaps):
    """The same, and in each cell mean and maximum of the earlier map that still tells colours apart."""

    beside = COLOUR_STAGE

    @property
    def bands(self) -> tuple[int, ...]:
        return (self.feature_width - 2 * COLOUR_WIDTH, 2 * COLOUR_WIDTH)

    def _joined(self, held: Sequence[Tensor]) -> Tensor:
        last, earlier = held
        cells = (last.shape[2], last.shape[3])
        pooled = [F.adaptive_avg_pool2d(earlier, cells), F.adaptive_max_pool2d(earlier, cells)]
        return torch.cat([last, *pooled], dim=1)


class ResNetMaps(FeatureMapEncoder):
    """transformers' `ResNetModel`: its last hidden state. Five stages: the stem and four of blocks."""

    def _stage(self, index: int, maps: Tensor) -> Tensor:
        (stage,) = self._stages[index]
        return stage(maps)


def build_feature_map_encoder(architecture: Architecture) -> FeatureMapEncoder:
    """An encoder whose weights are drawn at random."""
    if architecture.family == "resnet":
        return _resnet(architecture)
    return _efficientnet_lite(architecture)


def _efficientnet_lite(architecture: Architecture) -> EfficientNetLiteMaps:
    from efficientnet_lite_pytorch import EfficientNet

    backbone = EfficientNet.from_name("efficientnet-lite0")
    width = backbone._fc.in_features
    backbone._fc = nn.Identity()
    groups: dict[int, list[nn.Module]] = {}
    for block in backbone._blocks:
        groups.setdefault(block._block_args.output_filters, []).append(block)
    stages = [[backbone._conv_stem, backbone._bn0], *groups.values(), [backbone._conv_head, backbone._bn1]]
    if architecture.family == STAGES_VISION_ENCODER:
        earlier = backbone._blocks[COLOUR_BLOCK]._block_args.output_filters
        return EfficientNetLiteStagesMaps(
            backbone, stages, architecture=architecture, feature_width=width + 2 * earlier
        )
    return EfficientNetLiteMaps(backbone, stages, architecture=architecture, feature_width=width)


def _resnet(architecture: Architecture) -> ResNetMaps:
    from transformers import ResNetConfig, ResNetModel

    backbone = ResNetModel(ResNetConfig(**architecture.settings))
    return resnet_maps(backbone, architecture)


def resnet_maps(backbone: Any, architecture: Architecture) -> ResNetMaps:
    """The encoder around a `ResNetModel` that is there."""
    stages = [[backbone.embedder], *([stage] for stage in backbone.encoder.stages)]
    width = backbone.config.hidden_sizes[-1]
    return ResNetMaps(backbone, stages, architecture=architecture, feature_width=width)
