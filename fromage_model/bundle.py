"""The bundle: a trained model's folder, written whole and loaded with every key checked. Knows no training and no Ray.

    bundle.json           format, config, feature width, fingerprints, lineage; LoRA's settings where there is LoRA
    weights.safetensors   the trained parts, float16
    metrics.json          what jobs.evaluate measured, by name

What it says of itself is read by `header`, without torch.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from fromage_model.build import build_trained_parts, check_captions, load_frozen_lm
from fromage_model.errors import BundleError, ConfigError, FingerprintMismatch
from fromage_model.fromage import Fromage
from fromage_model.header import FORMAT, HEADER, WEIGHTS, Header, read_header
from fromage_model.index import RetrievalIndex
from fromage_model.language.lora import add_lora, merge_into
from fromage_model.language.precision import Precision, default_device
from fromage_model.model.projections import ImageHead, Standardise
from fromage_model.storage.artefacts import file_sha256, locate, writing
from fromage_model.storage.pretrained import locate_language_model
from fromage_model.storage.weights import Shape, check_shapes, lay_over, read_shapes, read_tensors, shapes_of
from fromage_model.vision.encoders import load_vision_encoder


class ImageProjection:
    """Only the image side of a bundle, without its LM: features -> retrieval embeddings. For building an index."""

    def __init__(self, standardise: Standardise, head: ImageHead, *, fingerprint: str, encoder_fingerprint: str):
        self._standardise = standardise.eval()
        self._head = head.eval()
        self.fingerprint = fingerprint
        self.encoder_fingerprint = encoder_fingerprint

    @torch.inference_mode()
    def embed(self, features: np.ndarray) -> np.ndarray:
        """(N, F) -> (N, S) float32, each of length 1. Raises ValueError on another width."""
        width = len(self._standardise.mean)
        if features.ndim != 2 or features.shape[1] != width:
            raise ValueError(f"expected features (N, {width}), got {features.shape}")
        return self._head(self._standardise(torch.from_numpy(np.ascontiguousarray(features, dtype=np.float32)))).numpy()


def save_bundle(
    model: Fromage, path: Path | str, *, feature_width: int, encoder_fingerprint: str, lineage: dict[str, Any]
) -> str:
    """Write the trained parts of `model` whole or not at all -> the new bundle's fingerprint.

    Raises ConfigError for a model whose LoRA is merged: it is no part any more that could be written.
    """
    if model.lm.has_merged_lora:
        raise ConfigError("the LM has LoRA merged into it; load the bundle with merge_lora=False to save it again")
    header = Header(
        config=model.config,
        feature_width=feature_width,
        encoder_fingerprint=encoder_fingerprint,
        lm_fingerprint=locate_language_model(model.config.language_model).fingerprint,
        lineage=lineage,
        lora=None if model.trained.lora is None else model.trained.lora.settings,
    )
    with writing(path, marker=HEADER) as folder:
        tensors = {
            name: tensor.detach().cpu().half().contiguous() for name, tensor in model.trained.state_dict().items()
        }
        save_file(tensors, folder / WEIGHTS)
        values = dataclasses.asdict(header) | {"config": header.config.to_dict(), "format": FORMAT}
        if header.lora is None:
            del values["lora"]
        (folder / HEADER).write_text(json.dumps(values, indent=2) + "\n")
    return header.fingerprint(file_sha256(Path(path) / WEIGHTS))


def load_bundle(
    name: str,
    *,
    index: str | None = None,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    vision: bool = True,
    merge_lora: bool = True,
    beside: Fromage | None = None,
) -> Fromage:
    """A bundle by name, folder or fsspec URI -> a Fromage in eval mode, with the index opened where one is named.

    `dtype` is the frozen LM's (see `Precision.choose`); the trained parts are float32. `vision=False` leaves the
    encoder out: then pictures come as features. LoRA, where the bundle has it, is added to the LM's weights and rounded
    to their dtype, which costs nothing at inference; with `merge_lora=False` it stays beside them, in float32. `beside`
    is a bundle that is open already: where the frozen LM is the same and neither has LoRA, the two share it, packed or
    not, so that it lies in memory once.

    Raises MissingArtefact, BundleError for wrong keys or shapes, FingerprintMismatch when the encoder, the LM or the
    index is not the one that the bundle was trained with.
    """
    folder = locate("bundle", name)
    header, fingerprint = read_header(folder)
    opened = RetrievalIndex.load(index, fingerprint=fingerprint) if index is not None else None
    _check_lm(header)
    device = device or default_device()
    precision = Precision.choose(dtype, device)
    if beside is not None and _has_same_lm(beside, header, device=torch.device(device), dtype=precision.lm):
        lm, tokens = beside.lm, beside.tokens
        check_captions(header.config, tokens)
    else:
        lm, tokens = load_frozen_lm(header.config, device=device, dtype=precision.lm)
    trained = build_trained_parts(header.config, lm, feature_width=header.feature_width)
    if header.lora is not None:
        trained.lora = add_lora(lm, header.lora)
    lay_over(trained, _read_weights(folder), source=folder / WEIGHTS)
    if header.lora is not None and merge_lora:
        merge_into(lm)
        trained.lora = None
    encoder = _checked_encoder(header, device) if vision else None
    model = Fromage(
        lm=lm,
        tokens=tokens,
        trained=trained.to(device, precision.trained),
        config=header.config,
        encoder=encoder,
        index=opened,
        fingerprint=fingerprint,
        lineage=header.lineage,
    )
    lm.fingerprint = header.lm_fingerprint
    return model.eval().requires_grad_(False)


def load_projection(name: str) -> ImageProjection:
    """Only the image side of a bundle. Raises MissingArtefact, BundleError."""
    folder = locate("bundle", name)
    header, fingerprint = read_header(folder)
    tensors = _read_weights(folder)
    standardise = Standardise(header.feature_width)
    shared = header.config.shared_width or _rows(shapes_of(tensors), "image_head.project.bias")
    head = ImageHead(header.feature_width, shared)
    for part, prefix in ((standardise, "standardise."), (head, "image_head.")):
        own = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        lay_over(part, own, source=folder / WEIGHTS)
    return ImageProjection(standardise, head, fingerprint=fingerprint, encoder_fingerprint=header.encoder_fingerprint)


def check_bundle(name: str) -> tuple[Header, str]:
    """A bundle's header and fingerprint, after all that can be checked without loading its LM.

    Raises MissingArtefact, BundleError where the weights are not those of the config, FingerprintMismatch when the LM
    is not the one that the bundle was trained with.
    """
    folder = locate("bundle", name)
    header, fingerprint = read_header(folder)
    _check_lm(header)
    config, width = header.config, header.feature_width
    shapes = read_shapes(folder / WEIGHTS)
    rows = config.visual_tokens * _rows(shapes, "ret.input_row")
    shared = config.shared_width or _rows(shapes, "image_head.project.bias")
    wanted = {"standardise.mean": (width,), "prefix.project.weight": (rows, width)}
    wanted |= {"image_head.project.weight": (shared, width)}
    if config.shared_width is not None:
        wanted |= {f"text_head.project.{layer}.bias": (shared,) for layer in range(len(config.text_layers))}
    if config.text_hidden:
        wanted |= {"text_head.of_hidden.weight": (shared, config.text_hidden)}
    if config.ret_hidden:
        wanted |= {"decision.of_hidden.weight": (1, config.ret_hidden)}
    check_shapes(wanted, {key: shapes[key] for key in wanted.keys() & shapes.keys()}, source=folder / WEIGHTS)
    return header, fingerprint


def _check_lm(header: Header) -> None:
    found = locate_language_model(header.config.language_model).fingerprint
    if found != header.lm_fingerprint:
        raise FingerprintMismatch(f"the LM {header.config.language_model}", expected=header.lm_fingerprint, found=found)


def _has_same_lm(beside: Fromage, header: Header, *, device: torch.device, dtype: torch.dtype) -> bool:
    lm = beside.lm
    plain = header.lora is None and beside.trained.lora is None and not lm.has_merged_lora
    same = (lm.fingerprint, lm.state_layers, lm.dtype) == (
        header.lm_fingerprint, header.config.state_layers, dtype,
    )  # fmt: skip
    return plain and same and lm.device.type == device.type and device.index in (None, lm.device.index)


def _checked_encoder(header: Header, device: str | torch.device) -> Any:
    encoder = load_vision_encoder(header.config.vision_encoder, device=device)
    if encoder.fingerprint != header.encoder_fingerprint:
        what = f"the vision encoder {header.config.vision_encoder}"
        raise FingerprintMismatch(what, expected=header.encoder_fingerprint, found=encoder.fingerprint)
    return encoder


def _read_weights(folder: Path) -> dict[str, torch.Tensor]:
    return {key: tensor.float() for key, tensor in read_tensors(folder / WEIGHTS).items()}


def _rows(shapes: dict[str, Shape], key: str) -> int:
    if key not in shapes:
        raise BundleError(f"expected {key} among the weights, found {', '.join(sorted(shapes))}")
    return shapes[key][0]
