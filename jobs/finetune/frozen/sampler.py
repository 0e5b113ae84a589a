"""What each step trains on: rows in an order that every worker knows, and episodes of made-up names. Knows no model.

All is drawn by seed, step and rank alone, so that a run that goes on sees what it would have seen.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from fromage_model.errors import CatalogueError
from jobs.finetune.frozen.names import episode_names
from jobs.finetune.frozen.rows import Row, Text


@dataclass(frozen=True)
class Wording:
    """How an episode reads: what stands after each picture, with its name, and after the last one, before the name."""

    shown: str
    asked: str


WORDINGS = (Wording(" {name}\n", ""), Wording(" This is a {name}.\n", " This is a"))
"""The first is the one that a language model of this size follows best."""


@dataclass(frozen=True)
class Episode:
    """Pictures of two kinds, each under its made-up name, and then one more: by their places among the rows."""

    shown: tuple[tuple[int, str], ...]
    asked: int
    name: str
    wording: Wording


@dataclass(frozen=True)
class StepRows:
    """One worker's share of a step."""

    rows: tuple[tuple[int, Text], ...]
    episodes: tuple[Episode, ...] = ()

    @property
    def places(self) -> list[int]:
        """Every row that is looked at, once."""
        seen = [place for place, _ in self.rows]
        seen += [place for one in self.episodes for place, _ in one.shown] + [one.asked for one in self.episodes]
        return list(dict.fromkeys(seen))

    def parts(self, count: int) -> list["StepRows"]:
        """The same in at most so many parts, none of them empty."""
        cut = [StepRows(self.rows[start::count], self.episodes[start::count]) for start in range(count)]
        return [part for part in cut if part.rows or part.episodes]


class FrozenSampler:
    """Epochs over the rows, each in an order of its own, shared out among workers; beside them, episodes."""

    def __init__(
        self,
        rows: Sequence[Row],
        *,
        batch_size: int,
        episodes: int,
        shots: Sequence[int],
        repeats: int,
        seed: int,
    ):
        self.rows = rows
        self._batch_size = batch_size
        self._episodes = episodes
        self._shots = tuple(shots)
        self._repeats = repeats
        self._seed = seed
        self._names = episode_names()
        self._order: tuple[int, list[int]] = (-1, [])
        self._kinds = kinds_of(rows, at_least=max(shots) + 1) if episodes else {}

    def steps_per_epoch(self, world_size: int) -> int:
        return max(1, len(self.rows) // (self._batch_size * world_size))

    def draw(self, step: int, *, rank: int, world_size: int) -> StepRows:
        """One worker's part of a step; what all of them draw together does not depend on how many they are."""
        epoch, place = divmod(step, self.steps_per_epoch(world_size))
        if self._order[0] != epoch:
            order = list(range(len(self.rows)))
            random.Random(f"{self._seed} order {epoch}").shuffle(order)
            self._order = (epoch, order)
        whole = self._order[1][place * self._batch_size * world_size :][: self._batch_size * world_size]
        rows = [(row, self._text(row, step)) for row in whole[rank::world_size]]
        dice = random.Random(f"{self._seed} episodes {step}")
        shots, wording = dice.choice(self._shots), dice.choice(WORDINGS)
        repeats = dice.randint(1, self._repeats)
        episodes = [
            self._episode(random.Random(f"{self._seed} episode {step} {number}"), shots, repeats, wording)
            for number in range(rank, self._episodes * world_size, world_size)
        ]
        return StepRows(tuple(rows), tuple(episodes))

    def _text(self, row: int, step: int) -> Text:
        texts = self.rows[row].texts
        dice = random.Random(f"{self._seed} text {step} {row}")
        return dice.choices(texts, weights=[text.weight for text in texts])[0]

    def _episode(self, dice: random.Random, shots: int, repeats: int, wording: Wording) -> Episode:
        kinds = [dice.sample(self._kinds[kind], shots + 1) for kind in dice.sample(sorted(self._kinds), 2)]
        names = dice.sample(self._names, 2)
        shown = [(row, name) for rows, name in zip(kinds, names, strict=True) for row in rows[:-1]]
        dice.shuffle(shown)
        asked = dice.randrange(2)
        return Episode(tuple(shown) * repeats, kinds[asked][-1], names[asked], wording)


def kinds_of(rows: Sequence[Row], *, at_least: int) -> dict[str, list[int]]:
    """Rows by their first text, of texts that so many have. Raises CatalogueError where there are not two of them."""
    found: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        found.setdefault(row.texts[0].text, []).append(place)
    kinds = {text: places for text, places in found.items() if len(places) >= at_least}
    if len(kinds) < 2:
        raise CatalogueError(
            f"{len(kinds)} captions have {at_least} pictures or more, as an episode of two names needs of two; fewer "
            "episode_shots, or no episode_batch_size"
        )
    return kinds
