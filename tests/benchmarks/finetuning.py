"""Our training step against the original's recipe: same LM, same maps, same pictures and captions, same losses.

Three ways take turns, round after round, and medians are compared, so that a busy machine slows all of them alike:
the original's recipe, the same with features that were computed once, and our step (such features, gradients for the
maps and [RET]'s row alone, no gradient before [RET], no padding beyond the batch's longest caption).

Before that, the original's recipe by plain modules and our step over OPT-125m and CLIP ViT-B/32 of random weights, in
the two shapes of batch that were trained with: 6 captions padded to 177 tokens, and 32 padded to 24. Memory is the peak
of a process of its own, above what it holds with the models loaded.

    python -m tests.benchmarks.finetuning
"""

import json
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import tyro
from torch import Tensor

from fromage_model.build import build_fromage
from fromage_model.catalogue import Catalogue
from fromage_model.config import FromageConfig
from fromage_model.fromage import Fromage
from fromage_model.vision.encoders import VisionEncoder, load_vision_encoder
from fromage_model.vision.images import decode_image
from tests.benchmarks.common import recipes
from tests.benchmarks.common.memory import peak_bytes
from tests.benchmarks.common.original_recipe import OriginalRecipe
from tests.benchmarks.common.rounds import take_turns, times_as_fast

PROMPT = "A picture of"
ORIGINAL, CACHED, OURS = "the original's recipe", "the same with cached features", "our step"

CASES = (recipes.Case(batch_size=6, max_length=177), recipes.Case(batch_size=32, max_length=24))


@dataclass(frozen=True)
class Args:
    """Compare training steps."""

    batch_size: int = 16
    """Pictures and captions in a step."""
    max_length: int = 24
    """Tokens that the original pads each caption to."""
    rounds: int = 5
    """Measured turns of each way, after one that is not."""
    dtype: str = "float32"
    """Of the frozen LM, on both sides."""
    threads: int = 2
    """Torch threads."""
    shape: Literal["opt-125m", "tiny"] = "opt-125m"
    """Sizes of the LM and the encoder that have random weights."""
    openmoji: bool = True
    """Compare over the default LM and OpenMoji's pictures as well, which `make prepare` fetches."""


def main(args: Args) -> dict:
    """-> what the JSON line says."""
    torch.set_num_threads(args.threads)
    figures = compare_shapes(args)
    return figures | (compare_openmoji(args) if args.openmoji else {})


def compare_shapes(args: Args) -> dict:
    """-> how many times as many examples a second ours takes, and of its memory the share of the original's."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        lm, encoder = recipes.write_parts(Path(folder), args.shape)
        for case in CASES:
            given = (lm, encoder, args.shape, case, args.threads)
            memory = {way: peak_bytes(recipes.prepare, way, *given) for way in recipes.WAYS}
            steps = {way: recipes.prepare(way, *given) for way in recipes.WAYS}
            losses = {way: step() for way, step in steps.items()}
            seconds = take_turns(steps, rounds=args.rounds)
            print(f"{args.shape}, batch {case.batch_size}, captions padded to {case.max_length} by the original")
            print(f"{'':32}{'s per step':>12}{'examples/s':>12}{'MB at peak':>12}{'first loss':>12}")
            for way, values in seconds.items():
                median = statistics.median(values)
                told = f"{median:12.3f}{case.batch_size / median:12.2f}{memory[way] / 1e6:12.0f}{losses[way]:12.4f}"
                print(f"{way:32}{told}", flush=True)
            faster = times_as_fast(seconds[recipes.ORIGINAL], seconds[recipes.OURS])
            figures[f"speedup_{case.max_length}"] = round(faster, 3)
            share = memory[recipes.OURS] / memory[recipes.ORIGINAL]
            figures[f"memory_{case.max_length}"] = round(share, 3)
    return figures


def compare_openmoji(args: Args) -> dict:
    """Three ways over pictures and captions that are real."""
    encoder = load_vision_encoder("efficientnet-lite0")
    names, pixels = _batch(encoder, args.batch_size)
    with torch.no_grad():
        cached = encoder(pixels)
    captions = [f"{PROMPT} {name}." for name in names]

    def encode() -> Tensor:
        with torch.no_grad():
            return encoder(pixels)

    steps: dict[str, Callable[[], float]] = {
        ORIGINAL: OriginalRecipe(_model(args, cached), encode, captions, max_length=args.max_length).step,
        CACHED: OriginalRecipe(_model(args, cached), lambda: cached, captions, max_length=args.max_length).step,
        OURS: recipes.OurStep(_model(args, cached), cached, captions, max_length=args.max_length, named=names).step,
    }
    first_losses = {name: step() for name, step in steps.items()}
    seconds = take_turns(steps, rounds=args.rounds)
    _print_table(seconds, first_losses, args)
    return _figures(seconds, first_losses, args)


def _model(args: Args, features: Tensor) -> Fromage:
    config = FromageConfig(visual_tokens=4, shared_width=256)
    dtype = getattr(torch, args.dtype)
    model = build_fromage(config, feature_width=features.shape[1], device="cpu", dtype=dtype).train()
    model.trained.standardise.fit(features)
    return model


def _batch(encoder: VisionEncoder, size: int) -> tuple[list[str], Tensor]:
    """Names and pixels of OpenMoji's first training items; `make prepare` fetches them."""
    catalogue = Catalogue.open("openmoji")
    items = [item for item in catalogue.items("train") if item.caption][:size]
    pictures = [decode_image(catalogue.image_bytes(item.id)) for item in items]
    return [item.caption or "" for item in items], encoder.preprocess(pictures)


def _print_table(seconds: dict[str, list[float]], first_losses: dict[str, float], args: Args) -> None:
    print(f"batch {args.batch_size}, captions padded to {args.max_length} by the original, {args.dtype}")
    print(f"{'':32}{'s per step':>12}{'examples/s':>12}{'times as fast':>15}{'first loss':>12}")
    slowest = statistics.median(seconds[ORIGINAL])
    for name, values in seconds.items():
        median = statistics.median(values)
        rate, times = args.batch_size / median, slowest / median
        print(f"{name:32}{median:12.2f}{rate:12.2f}{times:15.2f}{first_losses[name]:12.4f}")


def _figures(seconds: dict[str, list[float]], first_losses: dict[str, float], args: Args) -> dict:
    median = {name: statistics.median(values) for name, values in seconds.items()}
    keys = {ORIGINAL: "original", CACHED: "original_with_cached_features", OURS: "ours"}
    return {
        "speedup_over_original_recipe": round(median[ORIGINAL] / median[OURS], 3),
        "speedup_of_cached_features": round(median[ORIGINAL] / median[CACHED], 3),
        "examples_per_second": {keys[name]: round(args.batch_size / median[name], 3) for name in seconds},
        "seconds_per_step": {keys[name]: [round(value, 3) for value in seconds[name]] for name in seconds},
        "first_contrastive_loss": {keys[name]: round(first_losses[name], 5) for name in seconds},
        "batch_size": args.batch_size,
        "max_length": args.max_length,
        "dtype": args.dtype,
        "threads": args.threads,
        "rounds": args.rounds,
    }


if __name__ == "__main__":
    print(json.dumps(main(tyro.cli(Args, description=__doc__))))
