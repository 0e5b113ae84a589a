"""What a bundle says of itself, and what was measured of it: its small files, read without any library of tensors.

The fingerprint covers all that an embedding depends on: encoder, preprocessing, LM, tokenizer, [RET] row, maps, layers
used, prompt wording, and LoRA.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fromage_model.config import FromageConfig
from fromage_model.errors import BundleError, ConfigError
from fromage_model.language.lora_settings import LoraSettings
from fromage_model.storage.artefacts import file_sha256, locate
from fromage_model.storage.file_kinds import read_json

FORMAT = 1
HEADER, WEIGHTS, METRICS = "bundle.json", "weights.safetensors", "metrics.json"
FROZEN_HEADER = "frozen.json"
"""Of the other kind of model that lies among bundles."""


@dataclass(frozen=True)
class Header:
    """What a bundle says of itself; `lineage` is free-form JSON: data, code, base weights, settings."""

    config: FromageConfig
    feature_width: int
    encoder_fingerprint: str
    lm_fingerprint: str
    lineage: dict[str, Any]
    lora: LoraSettings | None = None

    def fingerprint(self, weights_sha256: str) -> str:
        said = [self.config.to_json(), self.encoder_fingerprint, self.lm_fingerprint, weights_sha256]
        if self.lora is not None:
            said.append(json.dumps(dataclasses.asdict(self.lora), sort_keys=True))
        return hashlib.sha256("\n".join(said).encode()).hexdigest()[:32]


def read_header(folder: Path) -> tuple[Header, str]:
    """A bundle's header and its fingerprint. Raises BundleError when the folder is no bundle that we read."""
    if not (folder / HEADER).is_file():
        if (folder / FROZEN_HEADER).is_file():
            raise BundleError(
                f"{folder} has a {FROZEN_HEADER}: it is a saved FROZEN model, which FrozenModel.load opens"
            )
        raise BundleError(f"{folder} is no bundle: it has no {HEADER}, which `python -m jobs.finetune` writes")
    try:
        values = read_json(folder / HEADER)
        found = values.pop("format", None)
        if found != FORMAT:
            raise BundleError(f"{folder / HEADER}: expected format {FORMAT}, found {found}")
        lora = LoraSettings(**values["lora"]) if "lora" in values else None
        header = Header(**values | {"config": FromageConfig.from_dict(values["config"]), "lora": lora})
        return header, header.fingerprint(file_sha256(folder / WEIGHTS))
    except (OSError, KeyError, TypeError, ValueError, ConfigError) as error:
        raise BundleError(f"{folder} is no bundle: {type(error).__name__}: {error}") from error


def bundle_fingerprint(name: str) -> str:
    """The fingerprint of a bundle, without loading anything but its small files."""
    return read_header(locate("bundle", name))[1]


def bundle_config(name: str) -> FromageConfig:
    """What a bundle's model is made of, without loading it."""
    return read_header(locate("bundle", name))[0].config


def bundle_metrics(name: str) -> dict[str, Any]:
    """What was measured of a bundle, by name; empty where nothing was."""
    path = locate("bundle", name) / METRICS
    return read_json(path) if path.is_file() else {}


def record_metrics(name: str, metrics: dict[str, Any]) -> None:
    """Add to what was measured of a bundle; a name that is there already is replaced."""
    merged = bundle_metrics(name) | metrics
    path = locate("bundle", name) / METRICS
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(merged, indent=2, sort_keys=True) + "\n")
    partial.replace(path)
