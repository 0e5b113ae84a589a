"""Makes the parts of a FROZEN model from its config. A trained state is laid over them by `storage.py`."""

from dataclasses import dataclass

import torch

from fromage_model.frozen.config import FrozenConfig
from fromage_model.frozen.visual_maps import VisualMap, build_visual_map
from fromage_model.language.model import LanguageModel, load_language_model
from fromage_model.language.precision import default_device, stored_dtype
from fromage_model.language.tokens import Tokens, load_tokens
from fromage_model.storage.pretrained import locate_language_model
from fromage_model.vision.feature_map_weights import load_feature_map_encoder
from fromage_model.vision.feature_maps import FeatureMapEncoder


@dataclass(frozen=True)
class FrozenParts:
    """What `FrozenCore` wires, by the names of its arguments."""

    lm: LanguageModel
    tokens: Tokens
    encoder: FeatureMapEncoder
    visual_map: VisualMap
    config: FrozenConfig


def build_parts(
    config: FrozenConfig,
    *,
    encoder: FeatureMapEncoder | None = None,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    seed: int = 0,
) -> FrozenParts:
    """An untrained map and what it joins: the LM on `device` in `dtype`, what is trained on the CPU in float32.

    `seed` draws the map and, for `resnet-50`, the encoder; an `encoder` that is given is taken as it is. Raises
    MissingArtefact, ConfigError, BundleError.
    """
    device = device or default_device()
    folder = locate_language_model(config.language_model).path
    tokens = load_tokens(folder)
    dtype = dtype or stored_dtype(folder, device)
    lm = load_language_model(folder, vocabulary=tokens.vocabulary, device=device, dtype=dtype)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = encoder or load_feature_map_encoder(config.vision_encoder)
        visual_map = build_map(config, encoder.feature_width, lm.width)
        visual_map.scale_to(lm.mean_row_norm())
    return FrozenParts(lm=lm, tokens=tokens, encoder=encoder, visual_map=visual_map, config=config)


def build_map(config: FrozenConfig, feature_width: int, lm_width: int) -> VisualMap:
    """The config's map between an encoder and an LM of these widths, weights as PyTorch draws them."""
    return build_visual_map(
        config.visual_map,
        feature_width,
        lm_width,
        global_tokens=config.global_tokens,
        local_cells=config.local_cells,
        grid_layers=config.grid_layers,
    )
