"""The core of FROZEN: pictures become the prefix of a frozen LM, through an encoder that is trained.

This class wires finished parts. What it knows is how text and prefix stand in one sequence, and the loss (Tsimpoukelli
et al. 2021, section 3); answers are read off it in `answers.py`.

Shapes: B batch, T text tokens, N visual tokens, D LM width, V vocabulary, H x W pixels, K kept numbers.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from PIL import Image
from torch import Tensor, nn

from fromage_model.errors import InvalidInput, PromptTooLong
from fromage_model.frozen.config import FrozenConfig
from fromage_model.frozen.prompts import PromptPart, frozen_prompt
from fromage_model.frozen.visual_maps import VisualMap
from fromage_model.language.model import LanguageModel
from fromage_model.language.tokens import Tokens
from fromage_model.model import losses
from fromage_model.model.batching import VISUAL, PromptBatch, lay_out
from fromage_model.model.objectives import CaptionLoss
from fromage_model.model.sequence_packing import states_of
from fromage_model.prompts.segments import Picture, Prompt
from fromage_model.vision.feature_maps import FeatureMapEncoder

Images = Tensor | Sequence[Image.Image]
"""RGB pictures, their normalised pixels (B, 3, H, W) float32 as `FrozenModel.preprocess` gives them, or what the frozen
stages made of those, (B, K), as `FrozenModel.begin` gives it."""


def positions_of(mask: Tensor) -> Tensor:
    """(B, T) mask -> (B, T) positions that count content alone, so that padding on either side moves nothing.

    Given explicitly, because some LMs (GPT-2 among them) count padding where they are left to count for themselves.
    """
    return (mask.cumsum(dim=1) - 1).clamp(min=0)


class FrozenCore(nn.Module):
    """A frozen LM behind a trained encoder and visual map.

    Training changes what `requires_grad`: the map and, unless the config freezes it, the encoder. The gradient goes
    through the LM and none of it stays there (section 3.2). In training mode batch norm of the trained parts uses its
    batch (see FeatureMapEncoder); in eval mode a picture's prefix depends on that picture alone.
    """

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

    def preprocess(self, images: Sequence[Image.Image]) -> Tensor:
        """RGB pictures -> normalised pixels (B, 3, H, W) float32 on the CPU."""
        return self.encoder.preprocess(images)

    def begin(self, images: Images) -> Tensor:
        """Pictures or pixels -> what the encoder's frozen stages make of them, (B, K): it may be kept as long as the
        same stages are frozen, and stands for the pictures wherever those are taken.
        """
        return self.encoder.begin(self.pixels(images))

    def pixels(self, images: Images, *, blind: bool = False) -> Tensor:
        """Pictures or pixels -> pixels (B, 3, H, W) on the model's device; all black where `blind` (section 4)."""
        pixels = images if isinstance(images, Tensor) else self.preprocess(images)
        if blind:
            if pixels.ndim == 2:
                raise InvalidInput("expected pictures or pixels: what was made of them can't be made blind")
            pixels = self.encoder.blank(pixels)
        return pixels.to(self.lm.device)

    def visual_prefix(self, images: Images, *, blind: bool = False) -> Tensor:
        """Pictures -> their prefixes (B, N, D) float32. Raises InvalidInput on pixels of another shape."""
        pixels = self.pixels(images, blind=blind)
        return self.visual_map(self.encoder.finish(pixels) if pixels.ndim == 2 else self.encoder(pixels))

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
        prompts = [
            frozen_prompt([Picture(row), context], self.tokens) for row, context in zip(pixels, contexts, strict=True)
        ]
        return self.continuation_loss(prompts, captions, max_tokens=max_tokens)

    def continuation_loss(
        self, prompts: Sequence[Prompt], texts: Sequence[str], *, max_tokens: int = 48, ends: bool = True
    ) -> CaptionLoss:
        """Cross-entropy on the tokens of each text alone, its prompt, interleaved pictures and all, being given.

        A text learns to end, unless it is cut to `max_tokens` or not `ends`. Raises InvalidInput, PromptTooLong.
        """
        if max_tokens < 1:
            raise InvalidInput(f"max_tokens is {max_tokens}; expected 1 or more")
        end = [self.tokens.stop_id] if ends else []
        bodies = [[*self.tokens.encode(text), *end][:max_tokens] for text in texts]
        batch = self.embed_prompts([[*prompt, body] for prompt, body in zip(prompts, bodies, strict=True)])
        last = states_of(self.lm, batch.embeddings, batch.mask, position_ids=positions_of(batch.mask)).last
        position = torch.arange(batch.ids.shape[1], device=batch.ids.device)
        first = batch.lengths - torch.tensor([len(body) for body in bodies], device=batch.ids.device)
        rows, columns = torch.where((position >= first[:, None]) & (batch.mask == 1))
        targets = batch.ids[rows, columns]
        weights = torch.ones_like(targets, dtype=torch.float32)
        loss = losses.next_token_loss(last[rows, columns - 1], self.lm.logits, targets, weights)
        return CaptionLoss(loss=loss, tokens=len(targets))

    def prompt(self, parts: Sequence[PromptPart], *, blind: bool = False) -> Prompt:
        """Text and pictures in order -> a prompt; a picture that comes several times is prepared once.

        A picture is RGB, pixels (3, H, W), or what `begin` made of one, (K,). The tokenizer's start token stands before
        the first text, so that a picture and a text are one sequence here and in training. With `blind`, every picture
        is black. Raises InvalidInput on a part that is neither text nor picture.
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
        if isinstance(part, Tensor) and part.ndim in (1, 3):
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
