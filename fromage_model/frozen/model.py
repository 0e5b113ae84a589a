"""FROZEN: pictures become the prefix of a frozen LM, through an encoder that is trained (Tsimpoukelli et al. 2021).

What users hold: the core, made by name or from a folder, with what is read off it as methods. `build.py` makes the
parts, `storage.py` saves and loads them, and answers are `answers.py`'s.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from PIL import Image

from fromage_model.errors import ConfigError
from fromage_model.frozen import answers
from fromage_model.frozen.answers import ChoiceScores, Continuation
from fromage_model.frozen.build import FrozenParts, build_parts
from fromage_model.frozen.config import FrozenConfig
from fromage_model.frozen.core import FrozenCore
from fromage_model.frozen.storage import is_saved, read_frozen, save_frozen
from fromage_model.language.caption_text import caption_of
from fromage_model.language.precision import default_device
from fromage_model.prompts.messages import Sampling
from fromage_model.prompts.segments import Prompt
from fromage_model.vision.feature_maps import FeatureMapEncoder


class FrozenModel(FrozenCore):
    """A frozen LM behind a trained encoder and visual map; few-shot prompts are made in `prompts.py`."""

    default_prompt = ""
    """A captioner's: in training (section 3.2) nothing stands between prefix and caption."""

    @classmethod
    def from_pretrained(
        cls,
        name: str,
        *,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
        seed: int = 0,
        **settings: Any,
    ) -> Self:
        """An LM by name (`gpt2`, the embedded default) or folder, behind an untrained map; in eval mode.

        `settings` are fields of FrozenConfig; `dtype` is the LM's, by default the one it is stored in. Where `name` is
        a folder that `save` wrote, that model is loaded. Raises MissingArtefact, ConfigError, BundleError.
        """
        if not is_saved(name):
            config = FrozenConfig.from_dict(settings | {"language_model": name})
            return cls.from_config(config, device=device, dtype=dtype, seed=seed)
        if settings:
            raise ConfigError(f"{name} is a saved model, which has settings of its own; leave out {sorted(settings)}")
        return cls.load(name, device=device, dtype=dtype)

    @classmethod
    def from_config(
        cls,
        config: FrozenConfig,
        *,
        encoder: FeatureMapEncoder | None = None,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
        seed: int = 0,
    ) -> Self:
        """A model with an untrained map, in eval mode: the LM in `dtype`, what is trained in float32.

        `seed` draws the map and, for `resnet-50`, the encoder; an `encoder` that is given is taken as it is. Raises
        MissingArtefact, ConfigError, BundleError.
        """
        return cls._of(build_parts(config, encoder=encoder, device=device, dtype=dtype, seed=seed), device)

    @classmethod
    def load(
        cls, name: str | Path, *, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> Self:
        """What `save` wrote, by name, folder or URI; in eval mode.

        Raises MissingArtefact, BundleError for wrong keys or shapes, FingerprintMismatch when the LM (or an encoder
        that is not stored) is another than in training.
        """
        return cls._of(read_frozen(name, device=device, dtype=dtype), device)

    def save(self, path: Path | str, *, lineage: dict[str, Any] | None = None) -> None:
        """Write what training changes to a folder, whole or not at all; the LM is named there and not stored."""
        save_frozen(self, path, lineage=lineage or {})

    def generate(
        self, prompts: Sequence[Prompt], *, sampling: Sampling | None = None, until: Sequence[str] = ()
    ) -> list[Continuation]:
        """Continue prompts, all at once, each as if alone; see `answers.generate`."""
        return answers.generate(self, prompts, sampling=sampling or Sampling(max_new_tokens=32), until=until)

    def score_choices(self, prompt: Prompt, choices: Sequence[str]) -> ChoiceScores:
        """Log-likelihood of each choice as the continuation of `prompt`; see `answers.score_choices`."""
        return answers.score_choices(self, prompt, choices)

    def captions(
        self,
        images: Sequence[Image.Image],
        prompt: str | None = None,
        *,
        max_new_tokens: int = 32,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int | None = None,
    ) -> list[str]:
        """One caption for each RGB picture, as `captioner.Captioner` says; by default prefix and caption are all.

        `prompt` stands between picture and caption and is no part of the result. A caption ends at the LM's stop token
        or at the end of its line. Raises InvalidInput for a setting out of bounds, PromptTooLong where it all exceeds
        the LM's positions.
        """
        sampling = Sampling(max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p, seed=seed)
        words = self.default_prompt if prompt is None else prompt
        replies = self.generate([self.prompt([image, words]) for image in images], sampling=sampling, until=["\n"])
        return [caption_of(reply.text, ended=reply.reason == "stop") for reply in replies]

    @classmethod
    def _of(cls, parts: FrozenParts, device: str | torch.device | None) -> Self:
        model = cls(
            lm=parts.lm,
            tokens=parts.tokens,
            encoder=parts.encoder,
            visual_map=parts.visual_map,
            config=parts.config,
        )
        return model.to(device or default_device()).eval()
