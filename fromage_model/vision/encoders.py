"""Frozen vision encoders: pictures -> features. Knows nothing of the LM, of tokens, or of where pictures come from.

Shapes: B batch, F feature width, H = W side in pixels.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from fromage_model.errors import ConfigError
from fromage_model.language.frozen_linear import use_frozen_linear
from fromage_model.storage.pretrained import (
    EMBEDDED_VISION_ENCODERS,
    STAGES_VISION_ENCODER,
    Weights,
    load_pretrained,
    locate_vision_encoder,
)
from fromage_model.vision.palette import LEVELS, WIDTH, palette

SIDE_PX = 224
"""Side of the squares that EfficientNet-Lite0 sees."""
COLOUR_BLOCK, COLOUR_WIDTH = 7, 80
"""The last block of EfficientNet-Lite0 whose map still tells colours apart, counted from 0; its map is 14 x 14."""

# Of a whole CLIP or a classifier, what stands beside the tower that ends in the pooler.
BESIDE_POOLER = ("text_model.", "text_projection.", "visual_projection.", "logit_scale", "classifier.")


class VisionEncoder(nn.Module):
    """A frozen backbone with its preprocessing. `fingerprint` covers both."""

    def __init__(self, *, name: str, feature_width: int, fingerprint: str):
        super().__init__()
        self.name = name
        self.feature_width = feature_width
        self.fingerprint = fingerprint

    def preprocess(self, images: Sequence[Image.Image]) -> Tensor:
        """RGB pictures of any size -> (B, 3, H, W) float32 on the CPU, normalised as the backbone expects."""
        raise NotImplementedError

    def normalise(self, squares: np.ndarray) -> Tensor:
        """What `load_squares` makes, (B, H, W, 3) uint8 -> (B, 3, H, W) float32, as `preprocess` gives it."""
        raise NotImplementedError

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) -> pooled features (B, F), in the backbone's dtype."""
        raise NotImplementedError

    @torch.inference_mode()
    def encode(self, images: Sequence[Image.Image]) -> np.ndarray:
        """RGB pictures -> features (B, F) float32."""
        if not images:
            return np.empty((0, self.feature_width), dtype=np.float32)
        return self._encode(self.preprocess(images))

    @torch.inference_mode()
    def encode_squares(self, squares: np.ndarray) -> np.ndarray:
        """What `load_squares` makes, (B, H, W, 3) uint8 -> features (B, F) float32, those of `encode`."""
        return self._encode(self.normalise(squares))

    def _encode(self, pixels: Tensor) -> np.ndarray:
        weight = next(self.parameters())
        if weight.is_cuda:
            pixels = pixels.pin_memory()
        return self(pixels.to(weight.device, weight.dtype, non_blocking=True)).float().cpu().numpy()


class EfficientNetLite(VisionEncoder):
    """EfficientNet-Lite (Apache-2.0, ImageNet): mean of the last feature map.

    A picture is fitted into the square on white, never cropped: a portrait of a whole outfit keeps its shoes and hat.
    """

    def __init__(self, backbone: Any, *, name: str, side_px: int, feature_width: int, fingerprint: str):
        super().__init__(name=name, feature_width=feature_width, fingerprint=fingerprint)
        self.backbone = backbone
        self.side_px = side_px

    def preprocess(self, images: Sequence[Image.Image]) -> Tensor:
        return self.normalise(np.stack([np.asarray(fit_on_white(image, self.side_px)) for image in images]))

    def normalise(self, squares: np.ndarray) -> Tensor:
        return torch.from_numpy(squares).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.backbone.extract_features(pixels).mean(dim=(2, 3))


class EfficientNetLiteStages(EfficientNetLite):
    """The same, and beside it mean and maximum of an earlier block's map, and the picture's palette: the last map says
    what a thing is and has lost which colour it has.
    """

    def forward(self, pixels: Tensor) -> Tensor:
        backbone, pooled = self.backbone, []
        maps = backbone._swish(backbone._bn0(backbone._conv_stem(pixels)))
        for place, block in enumerate(backbone._blocks):
            maps = block(maps)
            if place == COLOUR_BLOCK:
                pooled = [maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))]
        last = backbone._swish(backbone._bn1(backbone._conv_head(maps)))
        return torch.cat([last.mean(dim=(2, 3)), *pooled, palette(pixels).to(last.dtype)], dim=1)


class PooledVision(VisionEncoder):
    """The pooler output of a backbone of transformers, with the processor that stands beside its weights.

    For CLIP that is the final layer norm's output at the class token, as FROMAGe uses it (section 3.1); for ResNet the
    mean of the last feature map.
    """

    def __init__(self, backbone: nn.Module, processor: Any, *, name: str, feature_width: int, fingerprint: str):
        super().__init__(name=name, feature_width=feature_width, fingerprint=fingerprint)
        self.backbone = backbone
        self.processor = processor

    def preprocess(self, images: Sequence[Image.Image]) -> Tensor:
        rgb = [image.convert("RGB") for image in images]
        return self.processor(images=rgb, return_tensors="pt")["pixel_values"]

    def normalise(self, squares: np.ndarray) -> Tensor:
        mean, std = (torch.tensor(values) for values in (self.processor.image_mean, self.processor.image_std))
        scaled = torch.from_numpy(squares).float() * self.processor.rescale_factor
        return scaled.sub_(mean).div_(std).permute(0, 3, 1, 2)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.backbone(pixel_values=pixels).pooler_output.flatten(1)


def load_vision_encoder(
    name: str, *, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> VisionEncoder:
    """`efficientnet-lite0`, `efficientnet-lite0-stages`, or a CLIP or ResNet of transformers by hub id or local folder;
    frozen and in eval mode.

    Raises MissingArtefact when the weights are not found, ConfigError when the folder holds another kind of model.
    """
    weights = locate_vision_encoder(name)
    encoder = _efficientnet_lite(name, weights) if name in EMBEDDED_VISION_ENCODERS else _pooled(name, weights)
    return encoder.to(device=device, dtype=dtype).eval().requires_grad_(False)


def feature_bands(name: str, width: int) -> tuple[int, ...]:
    """Widths that sum to `width`: how many of an encoder's features, by its name, are of which kind."""
    if name != STAGES_VISION_ENCODER:
        return (width,)
    return (width - 2 * COLOUR_WIDTH - WIDTH, 2 * COLOUR_WIDTH, WIDTH)


def _efficientnet_lite(name: str, weights: Weights) -> EfficientNetLite:
    from efficientnet_lite_pytorch import EfficientNet

    backbone = EfficientNet.from_name("efficientnet-lite0")
    backbone.load_state_dict(torch.load(weights.path, map_location="cpu", weights_only=True))
    kind, width, pooling = EfficientNetLite, backbone._fc.in_features, "mean-pool"
    if name == STAGES_VISION_ENCODER:
        kind, pooling = EfficientNetLiteStages, f"mean-pool+block{COLOUR_BLOCK}-mean-max+palette-{LEVELS}"
        width += 2 * COLOUR_WIDTH + WIDTH
    backbone._fc = nn.Identity()
    fingerprint = f"{weights.fingerprint}:letterbox-{SIDE_PX}-bicubic:{pooling}"
    return kind(backbone, name=name, side_px=SIDE_PX, feature_width=width, fingerprint=fingerprint)


def load_squares(name: str) -> Callable[[Sequence[Image.Image]], np.ndarray]:
    """The part of an encoder's preprocessing that needs no weights and no floats, so that another process can do it.

    RGB pictures of any size -> (B, H, W, 3) uint8, for `encode_squares`. Raises as `load_vision_encoder` does.
    """
    if name in EMBEDDED_VISION_ENCODERS:
        return lambda images: np.stack([np.asarray(fit_on_white(image, SIDE_PX)) for image in images])
    weights = locate_vision_encoder(name)
    processor = _kind(name, weights)[1].from_pretrained(weights.path)

    def squares(images: Sequence[Image.Image]) -> np.ndarray:
        rgb = [image.convert("RGB") for image in images]
        whole = processor(images=rgb, do_rescale=False, do_normalize=False, return_tensors="np")["pixel_values"]
        return np.ascontiguousarray(whole.transpose(0, 2, 3, 1).astype(np.uint8))

    return squares


def _kind(name: str, weights: Weights) -> tuple[Any, Any]:
    """The classes of model and processor that the folder's config asks for. Raises ConfigError for any other."""
    from transformers import AutoConfig, CLIPVisionModel, ResNetModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil

    kinds = {
        "clip": (CLIPVisionModel, CLIPImageProcessorPil),
        "clip_vision_model": (CLIPVisionModel, CLIPImageProcessorPil),
        "resnet": (ResNetModel, ConvNextImageProcessorPil),
    }
    kind = AutoConfig.from_pretrained(weights.path).model_type
    if kind not in kinds:
        raise ConfigError(
            f"vision_encoder {name!r} is a {kind!r} model; a CLIP, a ResNet or one of "
            f"{', '.join(map(repr, EMBEDDED_VISION_ENCODERS))} works"
        )
    return kinds[kind]


def _pooled(name: str, weights: Weights) -> PooledVision:
    model, processor = _kind(name, weights)
    backbone = load_pretrained(model, weights.path, unused=BESIDE_POOLER)
    use_frozen_linear(backbone)
    config = backbone.config
    width = config.hidden_sizes[-1] if config.model_type == "resnet" else config.hidden_size
    return PooledVision(
        backbone,
        processor.from_pretrained(weights.path),
        name=name,
        feature_width=width,
        fingerprint=f"{weights.fingerprint}:pooler",
    )


def fit_on_white(image: Image.Image, side_px: int) -> Image.Image:
    """A picture of any size, whole and in its proportions, in the middle of a white square. RGB, 8 bits a channel."""
    if image.size == (side_px, side_px):
        return image.convert("RGB")
    scale = side_px / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    canvas = Image.new("RGB", (side_px, side_px), "white")
    resized = image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    canvas.paste(resized, ((side_px - size[0]) // 2, (side_px - size[1]) // 2))
    return canvas
