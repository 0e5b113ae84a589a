"""Vision encoders that are trained: pictures -> feature maps. `encoders.py` has the frozen ones, which give one vector.

What is trained and what is not is chosen by stages, counted from the picture. Knows nothing of the LM.

Shapes: B batch, F feature width, H x W pixels, h x w cells of the feature map.
"""

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from fromage_model.errors import ConfigError, InvalidInput
from fromage_model.storage.file_kinds import read_json
from fromage_model.storage.pretrained import DEFAULT_VISION_ENCODER, load_pretrained, locate_vision_encoder
from fromage_model.storage.weights import lay_over
from fromage_model.vision.encoders import fit_on_white

UNTRAINED_RESNET = "resnet-50"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_RESNET_SETTINGS = (
    "embedding_size",
    "hidden_sizes",
    "depths",
    "layer_type",
    "hidden_act",
    "downsample_in_first_stage",
    "downsample_in_bottleneck",
)
_NORMALISER_FREE = re.compile(r"nf[-_]?resnet", re.IGNORECASE)


@dataclass(frozen=True)
class Architecture:
    """All that makes an encoder but its weights, as JSON can hold it. `mean` and `std` are of channels in 0 to 1."""

    family: Literal["efficientnet-lite0", "resnet"]
    side_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    settings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Architecture":
        """Raises ConfigError on a family or on fields that are not ours."""
        if {item.name for item in dataclasses.fields(cls)} != set(values):
            raise ConfigError(f"an encoder's architecture has the fields {', '.join(sorted(values))}: not one of ours")
        if values["family"] not in ("efficientnet-lite0", "resnet"):
            raise ConfigError(f"an encoder of the family {values['family']!r}; expected efficientnet-lite0 or resnet")
        return cls(**values | {"mean": tuple(values["mean"]), "std": tuple(values["std"])})


class FeatureMapEncoder(nn.Module):
    """A backbone that is trained, whole or from one of its stages on.

    What happens to batch norm: in training, trained stages normalise by their batch's statistics and update the running
    ones, so a picture's map then depends on the batch that it comes in; frozen stages, and every stage in eval mode,
    normalise by the running statistics and leave them as they are, so that a map depends on its own picture alone.
    """

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

    @property
    def stages(self) -> int:
        """How many there are: the stem, each group of blocks of one width and, where there is one, the last 1x1."""
        return len(self._stages)

    def freeze(self, stages: int) -> None:
        """The first `stages` are trained no more: no gradients, no dropping of paths, batch statistics as they are.

        Raises ConfigError where there are fewer.
        """
        if not 0 <= stages <= self.stages:
            raise ConfigError(f"frozen_stages is {stages}; {self.architecture.family} has {self.stages}, so 0 to that")
        self.frozen_stages = stages
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
        return self._maps(pixels)

    def _maps(self, pixels: Tensor) -> Tensor:
        raise NotImplementedError

    def _normalise(self, pixels: Tensor) -> Tensor:
        said = (self.architecture.mean, self.architecture.std)
        mean, std = (torch.tensor(values, device=pixels.device).view(3, 1, 1) for values in said)
        return (pixels - mean) / std


class EfficientNetLiteMaps(FeatureMapEncoder):
    """EfficientNet-Lite0: what comes before its pooling. Nine stages: the stem, seven of blocks, the last 1x1."""

    def _maps(self, pixels: Tensor) -> Tensor:
        return self.backbone.extract_features(pixels)  # type: ignore[operator]


class ResNetMaps(FeatureMapEncoder):
    """transformers' `ResNetModel`: its last hidden state. Five stages: the stem and four of blocks."""

    def _maps(self, pixels: Tensor) -> Tensor:
        return self.backbone(pixel_values=pixels).last_hidden_state


def build_feature_map_encoder(architecture: Architecture) -> FeatureMapEncoder:
    """An encoder whose weights are drawn at random."""
    if architecture.family == "resnet":
        return _resnet(architecture)
    return _efficientnet_lite(architecture)


def load_feature_map_encoder(name: str) -> FeatureMapEncoder:
    """A trainable encoder, in eval mode, by name:

    - `efficientnet-lite0`: embedded, trained on ImageNet;
    - a ResNet by hub id (`microsoft/resnet-50`) or folder as `save_pretrained` writes it, classifier or not;
    - `resnet-50`: a ResNet-50 of random weights, to train from nothing as the paper does.

    Raises ConfigError for NF-ResNet, which no library that we can import has, and for other models; MissingArtefact
    when the weights are not found; CheckpointError when they can't be read or don't fit their config.
    """
    if _NORMALISER_FREE.search(Path(name).name):
        raise ConfigError(
            f"vision_encoder {name!r}: NF-ResNet, which the paper uses, is in none of the libraries that we can import "
            f"(timm has it and needs torchvision); {UNTRAINED_RESNET!r} and {DEFAULT_VISION_ENCODER!r} work"
        )
    if name == UNTRAINED_RESNET and not Path(name).is_dir():
        return build_feature_map_encoder(_resnet_architecture(Path(name), settings={})).eval()
    weights = locate_vision_encoder(name)
    if name == DEFAULT_VISION_ENCODER:
        half = (0.5, 0.5, 0.5)
        encoder = build_feature_map_encoder(Architecture("efficientnet-lite0", side_px=224, mean=half, std=half))
        state = torch.load(weights.path, map_location="cpu", weights_only=True)
        kept = {key: tensor for key, tensor in state.items() if not key.startswith("_fc.")}
        lay_over(encoder.backbone, kept, source=weights.path)
    else:
        encoder = _pretrained_resnet(name, weights.path)
    encoder.fingerprint = f"{weights.fingerprint}:letterbox-{encoder.architecture.side_px}-bicubic:map"
    return encoder.eval()


def _efficientnet_lite(architecture: Architecture) -> EfficientNetLiteMaps:
    from efficientnet_lite_pytorch import EfficientNet

    backbone = EfficientNet.from_name("efficientnet-lite0")
    width = backbone._fc.in_features
    backbone._fc = nn.Identity()
    groups: dict[int, list[nn.Module]] = {}
    for block in backbone._blocks:
        groups.setdefault(block._block_args.output_filters, []).append(block)
    stages = [[backbone._conv_stem, backbone._bn0], *groups.values(), [backbone._conv_head, backbone._bn1]]
    return EfficientNetLiteMaps(backbone, stages, architecture=architecture, feature_width=width)


def _resnet(architecture: Architecture) -> ResNetMaps:
    from transformers import ResNetConfig, ResNetModel

    backbone = ResNetModel(ResNetConfig(**architecture.settings))
    return _with_stages(backbone, architecture)


def _pretrained_resnet(name: str, folder: Path) -> ResNetMaps:
    from transformers import AutoConfig, ResNetModel

    found = AutoConfig.from_pretrained(folder).model_type
    if found != "resnet":
        raise ConfigError(
            f"vision_encoder {name!r} is a {found!r} model, from which we take no feature map; a ResNet or "
            f"{DEFAULT_VISION_ENCODER!r} works"
        )
    backbone = load_pretrained(ResNetModel, folder, unused=("classifier.",))
    settings = {name: getattr(backbone.config, name) for name in _RESNET_SETTINGS}
    return _with_stages(backbone.float(), _resnet_architecture(folder, settings=settings))


def _with_stages(backbone: Any, architecture: Architecture) -> ResNetMaps:
    stages = [[backbone.embedder], *([stage] for stage in backbone.encoder.stages)]
    width = backbone.config.hidden_sizes[-1]
    return ResNetMaps(backbone, stages, architecture=architecture, feature_width=width)


def _resnet_architecture(folder: Path, *, settings: dict[str, Any]) -> Architecture:
    """Side and normalisation as the folder's own preprocessor says them, ImageNet's where it says nothing."""
    path = folder / "preprocessor_config.json"
    said = read_json(path) if path.is_file() else {}
    size = said.get("size", 224)
    side = size if isinstance(size, int) else size.get("shortest_edge", size.get("height", 224))
    mean, std = tuple(said.get("image_mean", IMAGENET_MEAN)), tuple(said.get("image_std", IMAGENET_STD))
    return Architecture("resnet", side_px=side, mean=mean, std=std, settings=settings)
