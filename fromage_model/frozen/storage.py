"""A trained FROZEN model's folder, written whole and loaded with every key checked. Knows no training.

    frozen.json           format, config, the encoder's architecture, fingerprints, lineage
    weights.safetensors   `visual_map.*` and `encoder.*`, float32 (counters int64)

The LM is not stored. The encoder is, unless all of it is frozen and it can be had again by its name.
"""

import dataclasses
import json
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from fromage_model.errors import BundleError, ConfigError, FingerprintMismatch
from fromage_model.frozen.build import FrozenParts, build_map, build_parts
from fromage_model.frozen.config import FrozenConfig
from fromage_model.frozen.core import FrozenCore
from fromage_model.frozen.visual_maps import VisualMap
from fromage_model.header import FROZEN_HEADER as HEADER
from fromage_model.header import HEADER as FROMAGE_HEADER
from fromage_model.language.model import width_of
from fromage_model.storage.artefacts import locate, writing
from fromage_model.storage.file_kinds import read_json
from fromage_model.storage.pretrained import locate_language_model
from fromage_model.storage.weights import check_shapes, lay_over, read_shapes, read_tensors, shapes_of
from fromage_model.vision.feature_map_weights import load_feature_map_encoder
from fromage_model.vision.feature_maps import Architecture, FeatureMapEncoder, build_feature_map_encoder

FORMAT = 1
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class Header:
    """What the folder says of itself; `lineage` is free-form JSON: data, code, settings."""

    config: FrozenConfig
    architecture: Architecture
    encoder_stored: bool
    encoder_fingerprint: str
    lm_fingerprint: str
    lineage: dict[str, Any]


def save_frozen(model: FrozenCore, path: Path | str, *, lineage: dict[str, Any]) -> None:
    """Write the map and, unless it is frozen and has a name, the encoder. Raises ConfigError where `path` is taken."""
    encoder = model.encoder
    header = Header(
        config=model.config,
        architecture=encoder.architecture,
        encoder_stored=encoder.frozen_stages < encoder.stages or not encoder.fingerprint,
        encoder_fingerprint=encoder.fingerprint,
        lm_fingerprint=locate_language_model(model.config.language_model).fingerprint,
        lineage=lineage,
    )
    state = _stored(model.visual_map, encoder, with_encoder=header.encoder_stored).state_dict()
    with writing(path, marker=HEADER) as folder:
        save_file({key: tensor.detach().cpu().contiguous() for key, tensor in state.items()}, folder / WEIGHTS)
        (folder / HEADER).write_text(json.dumps(dataclasses.asdict(header) | {"format": FORMAT}, indent=2) + "\n")


def read_frozen(
    name: str | Path, *, device: str | torch.device | None = None, dtype: torch.dtype | None = None
) -> FrozenParts:
    """The parts of what `save_frozen` wrote; see `FrozenModel.load`."""
    folder = locate("bundle", name)
    header = read_header(folder)
    _check_lm(header)
    parts = build_parts(header.config, encoder=_encoder(header), device=device, dtype=dtype)
    stored = _stored(parts.visual_map, parts.encoder, with_encoder=header.encoder_stored)
    lay_over(stored, read_tensors(folder / WEIGHTS), source=folder / WEIGHTS)
    return parts


def check_frozen(name: str | Path) -> Header:
    """What the folder says of itself, after all that can be checked without loading its LM.

    Raises MissingArtefact, BundleError where it is no saved FROZEN model or its weights are not those of its config,
    ConfigError where its encoder has fewer stages than it freezes, and FingerprintMismatch when the LM or the encoder
    is another than in training.
    """
    folder = locate("bundle", name)
    header = read_header(folder)
    _check_lm(header)
    with torch.device("meta") if header.encoder_stored else nullcontext():
        encoder = _encoder(header)
    if not header.config.freeze_encoder:
        encoder.freeze(header.config.frozen_stages)
    with torch.device("meta"):
        width = width_of(locate_language_model(header.config.language_model).path)
        visual_map = build_map(header.config, encoder.feature_width, width)
    stored = _stored(visual_map, encoder, with_encoder=header.encoder_stored)
    check_shapes(shapes_of(stored.state_dict()), read_shapes(folder / WEIGHTS), source=folder / WEIGHTS)
    return header


def is_saved(name: str | Path) -> bool:
    """Whether `name` is a folder that `save_frozen` wrote."""
    return (Path(name).expanduser() / HEADER).is_file()


def _stored(visual_map: VisualMap, encoder: FeatureMapEncoder, *, with_encoder: bool) -> nn.ModuleDict:
    parts: dict[str, nn.Module] = {"visual_map": visual_map}
    return nn.ModuleDict(parts | ({"encoder": encoder.backbone} if with_encoder else {}))


def _encoder(header: Header) -> FeatureMapEncoder:
    if header.encoder_stored:
        return build_feature_map_encoder(header.architecture)
    encoder = load_feature_map_encoder(header.config.vision_encoder)
    _check(header.config.vision_encoder, header.encoder_fingerprint, encoder)
    return encoder


def _check_lm(header: Header) -> None:
    name = header.config.language_model
    _check(f"the LM {name}", header.lm_fingerprint, locate_language_model(name))


def _check(what: str, expected: str, found: Any) -> None:
    if found.fingerprint != expected:
        raise FingerprintMismatch(what, expected=expected, found=found.fingerprint)


def read_header(folder: Path) -> Header:
    """What the folder says of itself. Raises BundleError where it is no saved FROZEN model."""
    if not (folder / HEADER).is_file():
        if (folder / FROMAGE_HEADER).is_file():
            raise BundleError(f"{folder} has a {FROMAGE_HEADER}: it is a FROMAGe bundle, which load_bundle opens")
        raise BundleError(f"{folder} is no saved FROZEN model: it has no {HEADER}, which FrozenModel.save writes")
    try:
        values = read_json(folder / HEADER)
        found = values.pop("format", None)
        if found != FORMAT:
            raise BundleError(f"{folder / HEADER}: expected format {FORMAT}, found {found}")
        values["config"] = FrozenConfig.from_dict(values["config"])
        values["architecture"] = Architecture.from_dict(values["architecture"])
        return Header(**values)
    except (OSError, KeyError, TypeError, ValueError, AttributeError, ConfigError) as error:
        raise BundleError(f"{folder} is no saved FROZEN model: {type(error).__name__}: {error}") from error
