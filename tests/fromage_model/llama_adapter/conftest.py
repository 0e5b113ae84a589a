"""The original's files of each kind, written once for the session, and the models loaded from them."""

import numpy as np
import pytest
import torch
from PIL import Image

from fromage_model.llama_adapter import LlamaAdapter
from tests.fromage_model.llama_adapter import originals
from tests.fromage_model.llama_adapter.originals import Originals


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> dict[str, Originals]:
    """By kind."""
    return {
        kind: originals.write_originals(tmp_path_factory.mktemp("original"), kind=kind, seed=seed)
        for seed, kind in enumerate(originals.KINDS)
    }


@pytest.fixture(scope="session")
def models(files) -> dict[str, LlamaAdapter]:
    """By kind, in float32."""
    return {kind: load(original) for kind, original in files.items()}


@pytest.fixture(scope="session")
def pictures() -> list[Image.Image]:
    """Of different sizes."""
    draw = np.random.default_rng(0)
    sizes = ((40, 50), (32, 32), (64, 30), (33, 90))
    return [Image.fromarray(draw.integers(0, 256, (*size, 3), dtype=np.uint8)) for size in sizes]


def load(original: Originals, **changed) -> LlamaAdapter:
    places = {"llama_dir": original.llama_dir, "adapter_checkpoint": original.checkpoint, "clip": original.clip}
    return LlamaAdapter.from_original(**(places | changed), device="cpu", dtype=torch.float32)
