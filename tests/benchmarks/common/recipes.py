"""The original's training step and ours, side by side, over OPT and CLIP of given sizes with random weights.

Both have the same weights, pictures and captions, and end each step with the same loss. The original's turns the
pictures into features in each of its two passes, pads captions to `max_length`, and gives every row of the token table
a gradient and a place in Adam's state.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fromage_model.config import FromageConfig
from fromage_model.fromage import Fromage
from fromage_model.language.compiling import compile_layers
from fromage_model.vision.encoders import load_vision_encoder
from tests.benchmarks.common import shapes
from tests.benchmarks.common.memory import touch
from tests.benchmarks.common.original_recipe import LEARNING_RATE, OriginalRecipe

ORIGINAL, OURS, COMPILED = "the original's recipe", "our step", "our step, compiled"
WAYS = (ORIGINAL, OURS)
CAPTION = "A {colour} dress, no. {number:03d}"
"""Some 20 tokens of the tokenizer that comes with random weights, which reads bytes: about what OPT's own makes of the
captions of fashion catalogues."""


@dataclass(frozen=True)
class Case:
    """Pictures and captions in a step, and the tokens that the original pads each caption to."""

    batch_size: int
    max_length: int


class OurStep:
    """What `jobs.finetune` does in a step with both losses of the paper. `loss`: of the last step, both together.

    `named` are the captions without the prompt that the model's config puts before them.
    """

    def __init__(
        self, model: Fromage, features: Tensor, captions: list[str], *, max_length: int, named: list[str] | None = None
    ):
        self.model = model
        self.loss = float("nan")
        self._features = features
        self._captions = captions
        self._named = captions if named is None else named
        self._max_length = max_length
        self._optimizer = torch.optim.AdamW(
            model.trained.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.0
        )

    def step(self) -> float:
        """-> the loss of retrieval, next token and InfoNCE together."""
        model = self.model
        caption = model.caption_loss(self._features, self._named, max_tokens=self._max_length - 1).loss
        contrastive = model.contrastive_loss(self._features, self._captions, max_tokens=self._max_length).loss
        loss = caption + contrastive
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        model.trained.ret.renormalise(model.lm)
        self.loss = float(loss.detach())
        return float(contrastive.detach())


def write_parts(folder: Path, shape: str) -> tuple[str, str]:
    """Folders of the LM and of the encoder."""
    sizes = shapes.SHAPES[shape]
    return str(shapes.write_lm(folder / "lm", sizes)), str(shapes.write_encoder(folder / "encoder", sizes))


def prepare(way: str, lm: str, encoder: str, shape: str, case: Case, threads: int) -> Callable[[], float]:
    """-> a step of one way, which returns its loss; a function of arguments that cross processes."""
    torch.set_num_threads(threads)
    model = build(lm, shape)
    captions = captions_of(case)
    look = load_vision_encoder(encoder)
    pixels = torch.randn(case.batch_size, 3, 224, 224, generator=torch.Generator().manual_seed(0))

    def features() -> Tensor:
        with torch.no_grad():
            return look(pixels)

    if way == ORIGINAL:
        touch(model, look)
        return OriginalRecipe(model, features, captions, max_length=case.max_length).step
    cached = features()  # by `jobs.embed`, once for all epochs
    touch(model)
    if way == COMPILED:
        compile_layers(model.lm.backbone)
    return OurStep(model, cached, captions, max_length=case.max_length).step


def build(lm: str, shape: str) -> Fromage:
    """An untrained model in training mode, its options as the original's."""
    config = FromageConfig(
        language_model=lm,
        visual_tokens=1,
        shared_width=256,
        two_ret_rows=False,
        original_captions=True,
        caption_prompt="",
    )
    return shapes.build_of(config, shapes.SHAPES[shape]).train()


def captions_of(case: Case) -> list[str]:
    colours = ("red", "tan", "sky")
    return [CAPTION.format(colour=colours[row % 3], number=row) for row in range(case.batch_size)]
