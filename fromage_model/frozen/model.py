"""FROZEN: pictures become the prefix of a frozen LM, through an encoder that is trained (Tsimpoukelli et al. 2021).

This class wires finished parts; `build.py` makes them, `storage.py` saves and loads them. What it knows is how text
and prefix stand in one sequence, and the loss; answers are read off it in `answers.py`.

Shapes: B batch, T text tokens, N visual tokens, D LM width, V vocabulary, H x W pixels.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from fromage_model.errors import ConfigError, InvalidInput, PromptTooLong
from fromage_model.fromage import CaptionLoss
from fromage_model.frozen import answers
from fromage_model.frozen.answers import ChoiceScores, Continuation, positions_of
from fromage_model.frozen.config import FrozenConfig
from fromage_model.frozen.prompts import PromptPart, frozen_prompt
from fromage_model.frozen.visual_maps import VisualMap
from fromage_model.language.caption_text import caption_of
from fromage_model.language.model import LanguageModel
from fromage_model.language.tokens import Tokens
from fromage_model.model import losses
from fromage_model.model.batching import VISUAL, PromptBatch, lay_out
from fromage_model.prompts.messages import Sampling
from fromage_model.prompts.segments import Picture, Prompt
from fromage_model.vision.feature_maps import FeatureMapEncoder

Images = Tensor | Sequence[Image.Image]
"""RGB pictures, or their normalised pixels (B, 3, H, W) float32 as `FrozenModel.preprocess` gives them."""


class FrozenModel(nn.Module):
    """A frozen LM behind a trained encoder and visual map.

    Training changes what `requires_grad`: the map and, unless the config freezes it, the encoder. The gradient goes
    through the LM and none of it stays there (section 3.2). In training mode batch norm of the trained parts uses its
    batch (see FeatureMapEncoder); in eval mode a picture's prefix depends on that picture alone.
    """

    default_prompt = ""
    """A captioner's: in training (section 3.2) nothing stands between prefix and caption."""

    def __init__(
        self,
        *,
        lm: LanguageModel,
        tokens: Tokens,
        encoder: FeatureMapEncoder,
        visual_map: VisualMap,
        config: FrozenConfig,
    ):
        super().__init__()
        self.lm = lm
        self.tokens = tokens
        self.encoder = encoder
        self.visual_map = visual_map
        self.config = config
        encoder.freeze(encoder.stages if config.freeze_encoder else config.frozen_stages)

    @classmethod
    def from_pretrained(
        cls,
        name: str,
        *,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
        seed: int = 0,
        **settings: Any,
    ) -> "FrozenModel":
        """An LM by name (`gpt2`, the embedded default) or folder, behind an untrained map; in eval mode.

        `settings` are fields of FrozenConfig; `dtype` is the LM's, by default the one it is stored in. Where `name` is
        a folder that `save` wrote, that model is loaded. Raises MissingArtefact, ConfigError, BundleError.
        """
        from fromage_model.frozen.build import build_frozen
        from fromage_model.frozen.storage import is_saved, load_frozen

        if not is_saved(name):
            config = FrozenConfig.from_dict(settings | {"language_model": name})
            return build_frozen(config, device=device, dtype=dtype, seed=seed)
        if settings:
            raise ConfigError(f"{name} is a saved model, which has settings of its own; leave out {sorted(settings)}")
        return load_frozen(name, device=device, dtype=dtype)

    @classmethod
    def load(
        cls, name: str | Path, *, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> "FrozenModel":
        """What `save` wrote, by name, folder or URI; in eval mode.

        Raises MissingArtefact, BundleError for wrong keys or shapes, FingerprintMismatch when the LM (or an encoder
        that is not stored) is another than in training.
        """
        from fromage_model.frozen.storage import load_frozen

        return load_frozen(name, device=device, dtype=dtype)

    def save(self, path: Path | str, *, lineage: dict[str, Any] | None = None) -> None:
        """Write what training changes to a folder, whole or not at all; the LM is named there and not stored."""
        from fromage_model.frozen.storage import save_frozen

        save_frozen(self, path, lineage=lineage or {})

    def preprocess(self, images: Sequence[Image.Image]) -> Tensor:
        """RGB pictures -> normalised pixels (B, 3, H, W) float32 on the CPU."""
        return self.encoder.preprocess(images)

    def pixels(self, images: Images, *, blind: bool = False) -> Tensor:
        """Pictures or pixels -> pixels (B, 3, H, W) on the model's device; all black where `blind` (section 4)."""
        pixels = images if isinstance(images, Tensor) else self.preprocess(images)
        if blind:
            pixels = self.encoder.blank(pixels)
        return pixels.to(self.lm.device)

    def visual_prefix(self, images: Images, *, blind: bool = False) -> Tensor:
        """Pictures -> their prefixes (B, N, D) float32. Raises InvalidInput on pixels of another shape."""
        return self.visual_map(self.encoder(self.pixels(images, blind=blind)))

    def forward(self, images: Images, tokens: Tensor | Mapping[str, Tensor], *, blind: bool = False) -> Tensor:
        """Each picture's prefix, then its text -> the LM's logits (B, N + T, V) float32, V the tokenizer's length.

        `tokens`: ids (B, T), or what a transformers tokenizer returns: `input_ids` and `attention_mask`, padded on
        either side; logits at padding mean nothing. The logits that predict text token t stand at N + t - 1.
        Raises InvalidInput where the two don't fit each other or the vocabulary, PromptTooLong.
        """
        ids, mask = self._text(tokens)
        prefix = self.visual_prefix(images, blind=blind)
        if len(prefix) != len(ids):
            raise InvalidInput(f"expected one text for each picture, got {len(prefix)} pictures and {len(ids)} texts")
        mask = torch.cat([mask.new_ones(prefix.shape[:2]), mask], dim=1)
        self.check_length(int(mask.sum(dim=1).max()))
        embeddings = torch.cat([prefix.to(self.lm.dtype), self.lm.embed(ids)], dim=1)
        last = self.lm(embeddings, attention_mask=mask, position_ids=positions_of(mask)).last
        return self.lm.logits(last).float()

    def caption_loss(
        self,
        images: Images,
        captions: Sequence[str],
        *,
        contexts: Sequence[str] | None = None,
        max_tokens: int = 48,
        blind: bool = False,
    ) -> CaptionLoss:
        """Cross-entropy on caption tokens alone, the prefix and what else precedes them being given (section 3.2).

        A sequence is the prefix, the tokenizer's start token if it has one, the context (a question, for example) and
        the caption, which learns to end unless it is cut to `max_tokens`. Raises InvalidInput, PromptTooLong.
        """
        contexts = [""] * len(captions) if contexts is None else contexts
        pixels = self.pixels(images, blind=blind)
        if not len(pixels) == len(captions) == len(contexts) > 0:
            said = f"{len(pixels)} pictures, {len(captions)} captions and {len(contexts)} contexts"
            raise InvalidInput(f"expected one caption, and one context or none at all, for each picture; got {said}")
        if max_tokens < 1:
            raise InvalidInput(f"max_tokens is {max_tokens}; expected 1 or more")
        bodies = [[*self.tokens.encode(caption), self.tokens.stop_id][:max_tokens] for caption in captions]
        prompts: list[Prompt] = [
            [*frozen_prompt([Picture(row), context], self.tokens), body]
            for row, context, body in zip(pixels, contexts, bodies, strict=True)
        ]
        batch = self.embed_prompts(prompts)
        last = self.lm(batch.embeddings, attention_mask=batch.mask, position_ids=positions_of(batch.mask)).last
        position = torch.arange(batch.ids.shape[1], device=batch.ids.device)
        first = batch.lengths - torch.tensor([len(body) for body in bodies], device=batch.ids.device)
        rows, columns = torch.where((position >= first[:, None]) & (batch.mask == 1))
        targets = batch.ids[rows, columns]
        logits = self.lm.logits(last[rows, columns - 1])
        loss = losses.next_token_loss(logits, targets, torch.ones_like(targets, dtype=torch.float32))
        return CaptionLoss(loss=loss, tokens=len(targets))

    def prompt(self, parts: Sequence[PromptPart], *, blind: bool = False) -> Prompt:
        """Text and pictures in order -> a prompt; a picture that comes several times is prepared once.

        A picture is RGB, or pixels (3, H, W). The tokenizer's start token stands before the first text, so that a
        picture and a text are one sequence here and in training. With `blind`, every picture is black. Raises
        InvalidInput on a part that is neither text nor picture.
        """
        ready: dict[int, Picture] = {}
        for part in parts:
            if not isinstance(part, str) and id(part) not in ready:
                ready[id(part)] = self._picture(part, blind=blind)
        return frozen_prompt([part if isinstance(part, str) else ready[id(part)] for part in parts], self.tokens)

    def embed_prompts(self, prompts: Sequence[Prompt]) -> PromptBatch:
        """Prompts, their pictures as pixels -> one right-padded batch; each different picture is encoded once.

        Raises InvalidInput where pictures differ in size, PromptTooLong where a prompt exceeds the LM's positions.
        """
        pictures = [segment.features for prompt in prompts for segment in prompt if isinstance(segment, Picture)]
        different = {id(pixels): pixels for pixels in pictures}
        sizes = sorted({tuple(pixels.shape) for pixels in pictures})
        if len(sizes) > 1:
            raise InvalidInput(f"expected the pictures of one call to have one size, got {sizes}")
        visual = self.visual_prefix(torch.stack(list(different.values()))) if pictures else None
        ids, mask = lay_out(prompts, visual_tokens=0 if visual is None else visual.shape[1], device=self.lm.device)
        self.check_length(ids.shape[1])
        is_visual = ids == VISUAL
        embeddings = self.lm.embed(ids.masked_fill(is_visual, 0))
        if visual is not None:
            rank = {key: index for index, key in enumerate(different)}
            chosen = visual[[rank[id(pixels)] for pixels in pictures]].flatten(0, 1)
            embeddings = embeddings.masked_scatter(is_visual.unsqueeze(-1), chosen.to(embeddings.dtype))
        return PromptBatch(embeddings=embeddings, ids=ids, mask=mask)

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

    def check_length(self, positions: int) -> None:
        """Raises PromptTooLong where a sequence would not fit into the LM's positions, absolute or relative."""
        if positions > self.lm.max_positions:
            raise PromptTooLong(
                f"prefix, text and reply take {positions} positions, the LM has {self.lm.max_positions}; fewer or "
                f"shorter demonstrations, fewer visual tokens or a smaller max_new_tokens would fit"
            )

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Eval mode inside, so that asking for answers in the middle of training moves no batch statistics."""
        training = self.training
        self.eval()
        try:
            yield
        finally:
            self.train(training)

    def _picture(self, part: object, *, blind: bool) -> Picture:
        if isinstance(part, Image.Image):
            return Picture(self.pixels([part], blind=blind)[0])
        if isinstance(part, Tensor) and part.ndim == 3:
            return Picture(self.pixels(part.unsqueeze(0), blind=blind)[0])
        found = f"a tensor {tuple(part.shape)}" if isinstance(part, Tensor) else type(part).__name__
        raise InvalidInput(f"a prompt's part must be text, a picture or its pixels (3, H, W), got {found}")

    def _text(self, tokens: Tensor | Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """-> ids (B, T) and mask (B, T), on the model's device."""
        given = {"input_ids": tokens} if isinstance(tokens, Tensor) else tokens
        ids = given["input_ids"]
        mask = given.get("attention_mask", torch.ones_like(ids))
        if ids.ndim != 2 or ids.is_floating_point() or mask.shape != ids.shape:
            shapes = f"{tuple(ids.shape)} {ids.dtype} and {tuple(mask.shape)}"
            raise InvalidInput(f"expected integer ids (B, T) and a mask of that shape, got {shapes}", field="tokens")
        if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < self.lm.vocabulary:
            found = f"{int(ids.min())} to {int(ids.max())}"
            raise InvalidInput(f"ids run from {found}, the LM's vocabulary from 0 to {self.lm.vocabulary - 1}")
        return ids.to(self.lm.device), mask.to(self.lm.device)
