"""Our training step against the original's recipe: same LM, same maps, same pictures and captions, same losses.

Three ways take turns, round after round, and medians are compared, so that a busy machine slows all of them alike:
the original's recipe, the same with features that were computed once, and our step (such features, gradients for the
maps and [RET]'s row alone, no gradient before [RET], no padding beyond the batch's longest caption).

Before that, the original's recipe by plain modules and our step over OPT-125m and CLIP ViT-B/32 of random weights, in
the two shapes of batch that were trained with: 6 captions padded to 177 tokens, and 32 padded to 24. Memory is the peak
of a process of its own, above what it holds with the models loaded.

With `--compiled` our step also takes turns with itself, its LM's layers compiled (`jobs.finetune --compile`).

    python -m tests.benchmarks.finetuning
    python -m tests.benchmarks.finetuning --compiled --no-recipe
"""

import json
import statistics
import tempfile
import time
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
from fromage_model.language.compiling import compile_layers
from fromage_model.vision.encoders import VisionEncoder, load_vision_encoder
from fromage_model.vision.images import decode_image
from tests.benchmarks.common import recipes
from tests.benchmarks.common.memory import peak_bytes
from tests.benchmarks.common.original_recipe import OriginalRecipe
from tests.benchmarks.common.rounds import take_turns, times_as_fast

PROMPT = "A picture of"
ORIGINAL, CACHED, OURS = "the original's recipe", "the same with cached features", "our step"
DEFAULT_LM = recipes.Case(batch_size=16, max_length=24)

FEATURE_WIDTH = 1280
"""Of the default encoder."""
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
    recipe: bool = True
    """Compare with the original's recipe."""
    compiled: bool = False
    """Compare our step with itself, its LM's layers compiled; over the default LM too, where `openmoji`."""
    own_time: bool = False
    """Of compiled steps, tell the thread's own seconds instead of the wall's: for one thread on a busy machine."""


def main(args: Args) -> dict:
    """-> what the JSON line says."""
    torch.set_num_threads(args.threads)
    figures = compare_shapes(args) if args.recipe else {}
    figures |= compare_openmoji(args) if args.recipe and args.openmoji else {}
    return figures | (compare_compiled(args) if args.compiled else {})


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


def compare_compiled(args: Args) -> dict:
    """-> how many times as many examples a second a compiled step takes, and what the first, which compiles, costs."""
    ways, figures = (recipes.OURS, recipes.COMPILED), {}
    with tempfile.TemporaryDirectory() as folder:
        lm, encoder = recipes.write_parts(Path(folder), args.shape)
        for case in CASES:
            steps = {way: recipes.prepare(way, lm, encoder, args.shape, case, args.threads) for way in ways}
            figures |= _compiled_figures(steps, case, args, lm=args.shape, suffix=str(case.max_length))
    if args.openmoji:
        features, captions = torch.randn(DEFAULT_LM.batch_size, FEATURE_WIDTH), recipes.captions_of(DEFAULT_LM)
        models = {way: _model(args, features) for way in ways}
        compile_layers(models[recipes.COMPILED].lm.backbone)
        steps = {
            way: recipes.OurStep(model, features, captions, max_length=DEFAULT_LM.max_length).step
            for way, model in models.items()
        }
        figures |= _compiled_figures(steps, DEFAULT_LM, args, lm=f"the default LM, {args.dtype}", suffix="default_lm")
    return figures


def _compiled_figures(
    steps: dict[str, Callable[[], float]], case: recipes.Case, args: Args, *, lm: str, suffix: str
) -> dict[str, float]:
    first_s, losses = {}, {}
    for way, step in steps.items():
        start_s = time.perf_counter()
        losses[way] = step()
        first_s[way] = time.perf_counter() - start_s
    seconds = take_turns(steps, rounds=args.rounds, clock=time.thread_time if args.own_time else time.perf_counter)
    print(f"{lm}, batch {case.batch_size}, captions of up to {case.max_length} tokens, {args.threads} threads")
    print(f"{'':32}{'s per step':>12}{'s of the first':>16}{'first loss':>12}")
    for way, values in seconds.items():
        print(f"{way:32}{statistics.median(values):12.3f}{first_s[way]:16.1f}{losses[way]:12.4f}", flush=True)
    faster = times_as_fast(seconds[recipes.OURS], seconds[recipes.COMPILED])
    return {
        f"speedup_of_compiling_{suffix}": round(faster, 3),
        f"seconds_of_compiling_{suffix}": round(first_s[recipes.COMPILED] - first_s[recipes.OURS], 1),
    }


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
