"""Starts a visual map at words, and has it learn by words: what a frozen LM understands already.

Each token of the prefix comes as near as two linear maps can, by way of words, to the LM's rows of what a picture's
caption names (`through_words.py`; `warm_start/prefix.py` does it for FROMAGe). Knows no step and no optimizer.

Shapes: M pictures, F feature width, D LM width, N tokens of a linear map.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from fromage_model.errors import CatalogueError
from fromage_model.frozen.model import FrozenModel
from fromage_model.frozen.visual_maps import DuelMap, GlobalMap, LocalMap
from fromage_model.model.projections import VisualPrefix
from jobs.finetune.frozen.rows import Row
from jobs.finetune.frozen.step import Pictures
from jobs.finetune.through_words import fold, through_words

log = logging.getLogger(__name__)
MOST_ROWS, ROWS_AT_ONCE = 4096, 32
SMALL_WORDS = frozenset(
    ("a", "an", "and", "at", "by", "for", "from", "in", "is", "of", "on", "or", "the", "to", "with")
)


@torch.no_grad()
def fit_map(model: FrozenModel, rows: Sequence[Row], pictures: Pictures) -> None:
    """Put two maps that stand at words in the place of each linear map; the second alone can be trained.

    Raises CatalogueError as `named`.
    """
    model.eval()
    places = named(rows)[:MOST_ROWS]
    features = torch.cat(
        [
            model.encoder.finish(pictures.of(places[start : start + ROWS_AT_ONCE])).mean(dim=(2, 3))
            for start in range(0, len(places), ROWS_AT_ONCE)
        ]
    ).float()
    told = [words_of(rows[place]) for place in places]
    for prefix in linear_maps(model.visual_map):
        targets = torch.stack([word_rows(model, words, prefix.visual_tokens) for words in told]).flatten(1)
        first, second = through_words(features, told, targets, bands=model.encoder.bands)
        prefix.project = nn.Sequential(first, second)  # type: ignore[assignment]
        near = torch.nn.functional.cosine_similarity(
            prefix(features).flatten(0, 1), targets.view(-1, model.lm.width), dim=-1
        )
        log.info("the visual map stands at %d words: cosine %.2f", first.out_features, float(near.mean()))


@contextmanager
def folded(model: FrozenModel) -> Iterator[None]:
    """Each product as the one linear map that it is, while inside."""
    products: list[tuple[VisualPrefix, Any]] = [(prefix, prefix.project) for prefix in linear_maps(model.visual_map)]
    products = [(prefix, project) for prefix, project in products if isinstance(project, nn.Sequential)]
    for prefix, (first, second) in products:
        whole = nn.Linear(first.in_features, second.out_features, device=second.weight.device)
        fold(first, second, whole)
        prefix.project = whole.requires_grad_(False)
    try:
        yield
    finally:
        for prefix, project in products:
            prefix.project = project


def mean_row_rms(model: FrozenModel) -> float:
    """Root mean square of the LM's rows: the size of what a word's part of a prefix is made of."""
    ids = torch.arange(min(1000, model.lm.vocabulary), device=model.lm.device)
    return float(model.lm.embed(ids).float().square().mean().sqrt())


def linear_maps(visual_map: nn.Module) -> list[VisualPrefix]:
    """Those of a global, local or duel map; the grid map has none."""
    if isinstance(visual_map, DuelMap):
        return [visual_map.of_whole.prefix, visual_map.of_cells.prefix]
    return [visual_map.prefix] if isinstance(visual_map, GlobalMap | LocalMap) else []


def named(rows: Sequence[Row]) -> list[int]:
    """The places of rows whose text names something. Raises CatalogueError where that is none."""
    places = [place for place, row in enumerate(rows) if words_of(row)]
    if not places:
        raise CatalogueError(f"none of {len(rows)} texts names anything, as a noun would; leave out fit_prefix")
    return places


def words_of(row: Row) -> list[str]:
    """What its first text says, without the small words."""
    return [word for word in re.findall(r"[^\W_]+", row.texts[0].text.lower()) if word not in SMALL_WORDS]


def word_rows(model: FrozenModel, words: Sequence[str], count: int) -> Tensor:
    """(N, D): the words shared out among `count` tokens in order, and from the first one again where there are too
    few; what falls to a token is the mean of its ids' rows.

    An LM rests its attention on what it reads first, and reads that badly; and what it has read twice, it says again.
    """
    ids = [model.tokens.encode(f" {word}") for word in words]
    if len(ids) > count:
        ids = [*ids[: count - 1], [one for rest in ids[count - 1 :] for one in rest]]
    ids = [ids[place % len(ids)] for place in range(count)]
    device = model.lm.device
    return torch.stack([model.lm.embed(torch.tensor(some, device=device)).float().mean(dim=0) for some in ids])
