"""One training step of FROZEN: pictures and texts -> a loss, over all workers' tokens at once. Knows no optimizer.

Shapes: B batch of one worker, K numbers that are kept of a picture.
"""

from collections.abc import Mapping, Sequence

import torch
from PIL import Image
from torch import Tensor, nn

from fromage_model.errors import FromageError
from fromage_model.frozen.model import FrozenModel
from fromage_model.frozen.prompts import PromptPart
from fromage_model.model.objectives import CaptionLoss
from jobs.finetune.frozen.rows import Row
from jobs.finetune.frozen.sampler import Episode, StepRows
from jobs.finetune.workers import sum_of_all, world_size

MIB = 1 << 20


class Pictures:
    """Rows' pictures as the encoder's frozen stages leave them; those that fit into `kept_mib` are made once."""

    def __init__(self, model: FrozenModel, rows: Sequence[Row], *, kept_mib: int):
        self._model = model
        self._rows = rows
        self._room = kept_mib * MIB
        self._kept: dict[int, Tensor] = {}

    def of(self, places: Sequence[int]) -> Tensor:
        """(B, K) float32 on the model's device. Raises FromageError, naming the row, where a picture can't be read."""
        missing = [place for place in dict.fromkeys(places) if place not in self._kept]
        made: dict[int, Tensor] = {}
        if missing:
            begun = self._model.begin([picture_of(self._rows[place]) for place in missing]).cpu()
            made = dict(zip(missing, begun, strict=True))
        whole = torch.stack([self._kept[place] if place in self._kept else made[place] for place in places])
        for place, one in made.items():
            size = one.numel() * one.element_size()
            if size <= self._room:
                self._room -= size
                self._kept[place] = one.clone()
        return whole.to(self._model.lm.device)


def picture_of(row: Row) -> Image.Image:
    """RGB and upright. Raises FromageError, naming the row, where it can't be read."""
    try:
        return row.picture()
    except OSError as error:
        raise FromageError(f"the picture of {row.id} can't be read: {error}") from error
    except FromageError as error:
        raise type(error)(f"the picture of {row.id}: {error}") from error


class FrozenStep(nn.Module):
    """Everything that one step computes, as one module, so that DistributedDataParallel can wrap it."""

    def __init__(self, model: FrozenModel, pictures: Pictures, *, max_tokens: int):
        super().__init__()
        self.model = model
        self._pictures = pictures
        self._max_tokens = max_tokens

    def scales(self, rows: StepRows) -> dict[str, float]:
        """What a token's loss counts: sums over the parts of a step, averaged over workers, are means over all tokens
        of all workers. Each must call it, with all of its step.
        """
        count = {
            "caption": sum(self._length(text.text, ends=True) for _, text in rows.rows),
            "episode": sum(self._length(f" {one.name}", ends=False) for one in rows.episodes),
        }
        return {name: world_size() / max(1.0, sum_of_all(own)) for name, own in count.items()}

    def forward(self, rows: StepRows, scales: Mapping[str, float]) -> dict[str, Tensor]:
        """-> `loss` and its parts, scalars, of a step or a part of one."""
        parts = {}
        if rows.rows:
            texts = [text for _, text in rows.rows]
            found = self.model.caption_loss(
                self._pictures.of([place for place, _ in rows.rows]),
                [text.text for text in texts],
                contexts=[text.context for text in texts],
                max_tokens=self._max_tokens,
            )
            parts["caption"] = found.loss * found.tokens * scales["caption"]
        if rows.episodes:
            named = self._episodes(rows.episodes)
            parts["episode"] = named.loss * named.tokens * scales["episode"]
        return {"loss": torch.stack(list(parts.values())).sum(), **parts}

    def _length(self, text: str, *, ends: bool) -> int:
        return min(self._max_tokens, len(self.model.tokens.encode(text)) + ends)

    def _episodes(self, episodes: Sequence[Episode]) -> CaptionLoss:
        places = StepRows((), tuple(episodes)).places
        pictures = dict(zip(places, self._pictures.of(places), strict=True))
        prompts = [self.model.prompt(parts_of(one, pictures)) for one in episodes]
        names = [f" {one.name}" for one in episodes]
        return self.model.continuation_loss(prompts, names, max_tokens=self._max_tokens, ends=False)


def parts_of(episode: Episode, pictures: dict[int, Tensor]) -> list[PromptPart]:
    """Pictures and texts in order, up to where the name belongs."""
    parts: list[PromptPart] = []
    for place, name in episode.shown:
        parts += [pictures[place], episode.wording.shown.format(name=name)]
    return [*parts, pictures[episode.asked], *([episode.wording.asked] if episode.wording.asked else [])]
