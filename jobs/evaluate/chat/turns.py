"""Conversations: whether what comes after each turn is what all that was said by then asks for. Knows nothing of Ray.

A turn holds where one of the first five products is what its conditions ask, or, where it calls for none, where none
comes. What compares ("shorter") does so with the products that the turn before showed. It asks for others than were
shown, as "not these" does, and is answered by no product that came before; what narrows ("in black") may be. A turn for
which the catalogue then has no answer left does not count. Conversations are asked in `auto`, so that the LM decides at
every turn whether products come.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fromage_model.catalogue import Item
from jobs.common.metrics import estimate_share
from jobs.evaluate.chat.messages import shares_of
from jobs.evaluate.chat.questions import TOP_K, Answer, Question, of_kind
from jobs.evaluate.sets.conditions import Facts, facts_of, meets
from jobs.evaluate.sets.quality_set import QualitySet, Turn


@dataclass(frozen=True)
class Asked:
    """A turn as it came about. `beside`: the products of the turn before; `shown`: those of all turns before."""

    conversation: int
    position: int
    said: tuple[str, ...]
    turn: Turn
    beside: tuple[str, ...]
    shown: tuple[str, ...]
    came: tuple[str, ...]
    reply: str

    @property
    def gone(self) -> tuple[str, ...]:
        """The products that are no answer any more."""
        return self.shown if self.turn.anew else ()


class Answering:
    """What would answer a turn, among the items of a catalogue."""

    def __init__(self, items: Mapping[str, Item], queries: QualitySet):
        self._facts: dict[str, Facts] = {id: facts_of(item) for id, item in items.items()}
        self._orders = queries.orders

    def holds(self, asked: Asked, came: Sequence[str] | None = None, *, first: int = TOP_K) -> bool:
        """Whether the turn was answered by what came for it, or by these."""
        came = (asked.came if came is None else came)[:first]
        return not came if asked.turn.must is None else any(self._answers(asked, id) for id in came)

    def possible(self, asked: Asked) -> bool:
        """Whether the catalogue holds an answer."""
        return asked.turn.must is None or any(self._answers(asked, id) for id in self._facts)

    def precision(self, asked: Asked) -> float:
        """Which share of the first five products answers the turn, or of as many as could."""
        could = sum(self._answers(asked, id) for id in self._facts)
        return sum(self._answers(asked, id) for id in asked.came[:TOP_K]) / min(TOP_K, could)

    def _answers(self, asked: Asked, id: str) -> bool:
        beside = [self._facts[other] for other in asked.beside]
        return id not in asked.gone and meets(
            self._facts[id], asked.turn.must or (), beside=beside, orders=self._orders
        )


def questions_of(queries: QualitySet) -> list[Question]:
    return [
        Question("conversation", position, tuple(turn.text for turn in turns), "auto")
        for position, turns in enumerate(queries.conversations)
    ]


def turns_of(answers: Sequence[Answer], queries: QualitySet) -> list[Asked]:
    """Every turn of every conversation that was asked, in order."""
    found: list[Asked] = []
    for answer in of_kind(answers, "conversation"):
        beside: tuple[str, ...] = ()
        shown: tuple[str, ...] = ()
        turns = queries.conversations[answer.question.about]
        for position, (turn, came) in enumerate(zip(turns, answer.came, strict=True)):
            said = answer.question.texts[: position + 1]
            found.append(Asked(answer.question.about, position, said, turn, beside, shown, came.ids, came.reply))
            beside, shown = came.ids or beside, shown + came.ids
    return found


def score(turns: Sequence[Asked], answering: Answering) -> dict[str, Any]:
    """Shares over turns, with intervals over conversations, whose turns depend on each other.

    `held` is over all turns that count, `later_hit_at_5` over those after the first that call for products, and
    `later_precision_at_5` says how many of the products these show are as asked; `products_on_quiet` is over those that
    call for none; `whole` is the share of conversations in which every turn held.
    """
    counted = [asked for asked in turns if answering.possible(asked)]
    held: dict[int, list[bool]] = {}
    later: dict[int, list[bool]] = {}
    precise: dict[int, list[float]] = {}
    for asked in counted:
        held.setdefault(asked.conversation, []).append(answering.holds(asked))
        if asked.position and asked.turn.must is not None:
            later.setdefault(asked.conversation, []).append(answering.holds(asked))
            precise.setdefault(asked.conversation, []).append(answering.precision(asked))
    quiet = [bool(asked.came) for asked in counted if asked.turn.must is None]
    at_once = [answering.holds(asked, first=1) for asked in counted if asked.turn.must is not None]
    shares = shares_of(
        {"whole": [all(each) for each in held.values()], "products_on_quiet": quiet, "hit_at_1": at_once}
    )
    for name, groups in (("held", held), ("later_hit_at_5", later), ("later_precision_at_5", precise)):
        if groups:
            add_grouped(shares, name, list(groups.values()))
    return {
        "conversations": len(held),
        "n": len(counted),
        "later_n": sum(map(len, later.values())),
        "unanswerable": len(turns) - len(counted),
        **shares,
    }


def add_grouped(shares: dict[str, Any], name: str, groups: Sequence[Sequence[float]]) -> None:
    """A share over outcomes that come in groups, and its interval."""
    estimate = estimate_share([outcome for group in groups for outcome in group], groups=[len(g) for g in groups])
    shares[name] = round(estimate.value, 4)
    shares["intervals"][name] = [round(estimate.low, 4), round(estimate.high, 4)]
