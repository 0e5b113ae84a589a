"""Loading a base and a bundle against `torch.load` of a full checkpoint into the model, which is the original's way.

The original's checkpoint repeats the frozen LM and the frozen encoder; a bundle holds what was trained. Each way runs
in a process of its own until every weight has been read; memory is its peak above what it holds with all imported.

    python -m tests.benchmarks.bundle_loading
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from transformers import AutoModelForCausalLM, CLIPVisionModel

from fromage_model.bundle import load_bundle, save_bundle
from fromage_model.vision.encoders import load_vision_encoder
from tests.benchmarks.common import shapes
from tests.benchmarks.common.memory import peak_bytes, touch

FULL, OURS = "base and full checkpoint", "base and bundle"


@dataclass(frozen=True)
class Args:
    """Compare ways of loading a trained model."""

    shape: Literal["opt-125m", "tiny"] = "opt-125m"
    """Sizes of the LM and of the encoder."""


@dataclass(frozen=True)
class Files:
    """One trained model, kept in both ways."""

    lm: Path
    encoder: Path
    bundle: Path
    checkpoint: Path


def write(folder: Path, shape: shapes.Shape) -> Files:
    """The base, a bundle over it, and a full checkpoint of the same weights, keys as under DistributedDataParallel."""
    files = Files(folder / "lm", folder / "encoder", folder / "bundle", folder / "ckpt.pth.tar")
    shapes.write_lm(files.lm, shape)
    shapes.write_encoder(files.encoder, shape)
    encoder = load_vision_encoder(str(files.encoder))
    model = shapes.build(files.lm, shape, encoder=files.encoder)
    save_bundle(
        model,
        files.bundle,
        feature_width=shape.feature_width,
        encoder_fingerprint=encoder.fingerprint,
        lineage={},
    )
    parts = {
        "lm": AutoModelForCausalLM.from_pretrained(files.lm, dtype=torch.float32),
        "visual_model": CLIPVisionModel.from_pretrained(files.encoder, dtype=torch.float32),
        "trained": model.trained,
    }
    state = {f"module.{name}.{key}": value for name, part in parts.items() for key, value in part.state_dict().items()}
    torch.save({"epoch": 1, "state_dict": state}, files.checkpoint)
    return files


def prepare_full(files: Files, shape: shapes.Shape) -> Callable[[], Any]:
    """-> the original's way: make the model from its base, read the whole checkpoint, lay it over the model."""

    def load() -> Any:
        model = shapes.build(files.lm, shape, encoder=files.encoder)
        encoder = CLIPVisionModel.from_pretrained(files.encoder, dtype=torch.float32)
        parts = {"lm": model.lm.backbone, "visual_model": encoder, "trained": model.trained}
        state = torch.load(files.checkpoint, map_location="cpu", weights_only=True)["state_dict"]
        for name, part in parts.items():
            prefix = f"module.{name}."
            own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
            part.load_state_dict(own)
        touch(*parts.values())
        return parts

    return load


def prepare_ours(files: Files, shape: shapes.Shape) -> Callable[[], Any]:
    def load() -> Any:
        model = load_bundle(str(files.bundle), device="cpu", dtype=torch.float32)
        touch(model)
        return model

    return load


def main(args: Args) -> dict:
    """-> what the JSON line says."""
    shape = shapes.SHAPES[args.shape]
    with tempfile.TemporaryDirectory() as folder:
        files = write(Path(folder), shape)
        memory = {
            FULL: peak_bytes(prepare_full, files, shape),
            OURS: peak_bytes(prepare_ours, files, shape),
        }
    print(f"{args.shape}, float32{'MB at peak':>29}")
    for way, taken in memory.items():
        print(f"{way:32}{taken / 1e6:12.0f}")
    return {"memory_ratio": round(memory[OURS] / memory[FULL], 3)}


if __name__ == "__main__":
    print(json.dumps(main(tyro.cli(Args, description=__doc__))))
