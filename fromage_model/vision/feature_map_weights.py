"""Trainable vision encoders by name: weights and preprocessing, found and put together. Knows no training."""

import re
from pathlib import Path
from typing import Any

import torch

from fromage_model.errors import ConfigError
from fromage_model.storage.file_kinds import read_json
from fromage_model.storage.pretrained import (
    DEFAULT_VISION_ENCODER,
    EMBEDDED_VISION_ENCODERS,
    STAGES_VISION_ENCODER,
    load_pretrained,
    locate_vision_encoder,
)
from fromage_model.storage.weights import lay_over
from fromage_model.vision.feature_maps import (
    COLOUR_STAGE,
    Architecture,
    FeatureMapEncoder,
    ResNetMaps,
    build_feature_map_encoder,
    resnet_maps,
)

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


def load_feature_map_encoder(name: str) -> FeatureMapEncoder:
    """A trainable encoder, in eval mode, by name:

    - `efficientnet-lite0`: embedded, trained on ImageNet;
    - `efficientnet-lite0-stages`: the same, and an earlier map beside its last one, which has lost colours;
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
    if name in EMBEDDED_VISION_ENCODERS:
        half = (0.5, 0.5, 0.5)
        family: Any = name
        encoder = build_feature_map_encoder(Architecture(family, side_px=224, mean=half, std=half))
        state = torch.load(weights.path, map_location="cpu", weights_only=True)
        kept = {key: tensor for key, tensor in state.items() if not key.startswith("_fc.")}
        lay_over(encoder.backbone, kept, source=weights.path)
    else:
        encoder = _pretrained_resnet(name, weights.path)
    kind = f"map+stage{COLOUR_STAGE}" if name == STAGES_VISION_ENCODER else "map"
    encoder.fingerprint = f"{weights.fingerprint}:letterbox-{encoder.architecture.side_px}-bicubic:{kind}"
    return encoder.eval()


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
    return resnet_maps(backbone.float(), _resnet_architecture(folder, settings=settings))


def _resnet_architecture(folder: Path, *, settings: dict[str, Any]) -> Architecture:
    """Side and normalisation as the folder's own preprocessor says them, ImageNet's where it says nothing."""
    path = folder / "preprocessor_config.json"
    said = read_json(path) if path.is_file() else {}
    size = said.get("size", 224)
    side = size if isinstance(size, int) else size.get("shortest_edge", size.get("height", 224))
    mean, std = tuple(said.get("image_mean", IMAGENET_MEAN)), tuple(said.get("image_std", IMAGENET_STD))
    return Architecture("resnet", side_px=side, mean=mean, std=std, settings=settings)
