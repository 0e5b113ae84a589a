"""A model by name, FROMAGe's or FROZEN's, and what protocols ask of either: to write after a prompt, to score answers.

Shapes: C choices, F feature width, H x W pixels.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image

from fromage_model.bundle import check_bundle, load_bundle
from fromage_model.errors import ConfigError
from fromage_model.fromage import Fromage
from fromage_model.frozen.model import FrozenModel
from fromage_model.frozen.storage import HEADER as FROZEN_HEADER
from fromage_model.frozen.storage import WEIGHTS as FROZEN_WEIGHTS
from fromage_model.frozen.storage import check_frozen, is_saved
from fromage_model.model.scores import answer_log_likelihoods
from fromage_model.prompts.messages import Sampling
from fromage_model.storage.artefacts import file_sha256, locate
from jobs.evaluate.benchmarks.task import PictureFile

BATCH = 16
PICTURES_KEPT = 256
BLACK = Image.new("RGB", (224, 224))

Part = str | PictureFile | None
"""A prompt's part: text, a picture, or None for the black picture of a blind control."""


class Answering(Protocol):
    """What answers questions about pictures."""

    def write(self, prompts: Sequence[Sequence[Part]], *, max_new_tokens: int, until: Sequence[str]) -> list[str]:
        """Continue each prompt greedily, up to one of the texts `until`, which is no part of the result."""

    def score(self, prompt: Sequence[Part], choices: Sequence[str]) -> np.ndarray:
        """(C,) the log-likelihood of each choice after the prompt, summed over its tokens."""


def fingerprint_of(name: str) -> str:
    """Of a bundle its own; of a FROZEN model a hash over its header and weights.

    Checks, before anything is computed, what can be without loading the LM; raises as `check_bundle`, `check_frozen`.
    """
    folder = locate("bundle", name)
    if not is_saved(folder):
        return check_bundle(name)[1]
    check_frozen(folder)
    files = [file_sha256(folder / file) for file in (FROZEN_HEADER, FROZEN_WEIGHTS)]
    return hashlib.sha256("\n".join(files).encode()).hexdigest()[:32]


def open_model(name: str) -> Fromage | FrozenModel:
    """In eval mode, with its encoder. Raises MissingArtefact, BundleError, FingerprintMismatch."""
    folder = locate("bundle", name)
    return FrozenModel.load(folder).requires_grad_(False) if is_saved(folder) else load_bundle(name)


def open_fromage(name: str, *, benchmark: str) -> Fromage:
    """Raises ConfigError for a FROZEN model, which retrieves nothing, and what `load_bundle` raises."""
    _check_fromage(name, benchmark)
    return load_bundle(name)


def fromage_fingerprint(name: str, *, benchmark: str) -> str:
    """Raises ConfigError for a FROZEN model, and what `check_bundle` raises."""
    _check_fromage(name, benchmark)
    return check_bundle(name)[1]


def _check_fromage(name: str, benchmark: str) -> None:
    if is_saved(locate("bundle", name)):
        raise ConfigError(
            f"{name} is a FROZEN model, which retrieves no pictures; {benchmark} measures FROMAGe bundles"
        )


def open_answering(name: str) -> Answering:
    """Whatever of the two it is."""
    model = open_model(name)
    return FrozenAnswering(model) if isinstance(model, FrozenModel) else FromageAnswering(model)


class FromageAnswering:
    """A bundle: pictures as features, prompts laid out as in training, without [RET]."""

    def __init__(self, model: Fromage):
        self.model = model
        self._features = lru_cache(PICTURES_KEPT)(self._encoded)

    def write(self, prompts: Sequence[Sequence[Part]], *, max_new_tokens: int, until: Sequence[str]) -> list[str]:
        replies = self.model.generate_batch(
            [self._parts(prompt) for prompt in prompts], max_new_tokens=max_new_tokens, max_rets=0, stop=until
        )
        return [reply.text for reply in replies]

    def score(self, prompt: Sequence[Part], choices: Sequence[str]) -> np.ndarray:
        return np.array(answer_log_likelihoods(self.model, self._parts(prompt), choices))

    def _parts(self, prompt: Sequence[Part]) -> list[Any]:
        return [part if isinstance(part, str) else self._features(part) for part in prompt]

    def _encoded(self, picture: PictureFile | None) -> np.ndarray:
        """(F,)"""
        return self.model.encode([picture.open() if picture else BLACK])[0].numpy()


class FrozenAnswering:
    """A FROZEN model: pictures as pixels."""

    def __init__(self, model: FrozenModel):
        self.model = model
        self._pixels = lru_cache(PICTURES_KEPT)(self._prepared)

    def write(self, prompts: Sequence[Sequence[Part]], *, max_new_tokens: int, until: Sequence[str]) -> list[str]:
        sampling = Sampling(max_new_tokens=max_new_tokens)
        ready = [self.model.prompt(self._parts(prompt)) for prompt in prompts]
        return [written.text for written in self.model.generate(ready, sampling=sampling, until=until)]

    def score(self, prompt: Sequence[Part], choices: Sequence[str]) -> np.ndarray:
        return self.model.score_choices(self.model.prompt(self._parts(prompt)), choices).log_likelihoods.numpy()

    def _parts(self, prompt: Sequence[Part]) -> list[Any]:
        return [part if isinstance(part, str) else self._pixels(part) for part in prompt]

    def _prepared(self, picture: PictureFile | None) -> torch.Tensor:
        """(3, H, W)"""
        return self.model.preprocess([picture.open() if picture else BLACK])[0]
