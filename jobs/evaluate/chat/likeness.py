"""Messages under a picture: things like it, like it but different, and what it is. Knows nothing of Ray.

The pictured items are chosen from the catalogue by what a message's `of` says, in the catalogue's order; the pictured
item itself does not come. Messages that want products are asked in `auto` and in `always`, "what is this" in `auto`,
and of the reply to that only its words count: whether it names the kind, the colour, the pattern of the item.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fromage_model.catalogue import Item
from jobs.evaluate.chat.messages import chance_of_one, shares_of
from jobs.evaluate.chat.questions import TOP_K, Answer, Question, of_kind
from jobs.evaluate.sets.conditions import facts_of, meets
from jobs.evaluate.sets.quality_set import PictureMessage, QualitySet

PARTS = ("similar", "changed")
# Of a picture message, where that can be: whether the single other garment of its kind and colour comes says little.
FEWEST_ANSWERS = 2


@dataclass(frozen=True)
class Pictured:
    """A message of the set's `pictures`, by its position there, and the item whose picture it stands under."""

    about: int
    message: PictureMessage
    item: Item


class Choice:
    """What is asked under which pictures, and what would answer it."""

    def __init__(self, items: Mapping[str, Item], queries: QualitySet):
        self._facts = {id: facts_of(item) for id, item in items.items()}
        self._queries = queries
        self.pictured = self._choose(items)

    def answers(self, one: Pictured, id: str) -> bool:
        """Whether an item is what the message asks for; the pictured one never is."""
        beside = [self._facts[one.item.id]]
        return id != one.item.id and meets(
            self._facts[id], one.message.must, beside=beside, orders=self._queries.orders
        )

    def chance(self, one: Pictured) -> float:
        """How often five random items hold an answer."""
        return chance_of_one(sum(self.answers(one, id) for id in self._facts), len(self._facts) - 1)

    def _choose(self, items: Mapping[str, Item]) -> list[Pictured]:
        """For each message the first items that fit: each once, each unlike the others of the message, and each with
        two answers, as far as there are such; and none without any answer.
        """
        chosen: list[Pictured] = []
        used: set[str] = set()
        for about, message in enumerate(self._queries.pictures):
            fitting = [
                Pictured(about, message, item)
                for id, item in items.items()
                if meets(self._facts[id], self._queries.pictured) and meets(self._facts[id], message.of)
            ]
            kinds: set[str] = set()
            own: list[Pictured] = []
            for fewest, fresh in ((FEWEST_ANSWERS, True), (1, True), (1, False)):
                for one in fitting:
                    seen = one.item.id in used or _likeness(one.item) in kinds
                    if len(own) == message.times or one in own or (fresh and seen):
                        continue
                    if not self._possible(one, fewest=fewest):
                        continue
                    own.append(one)
                    used.add(one.item.id)
                    kinds.add(_likeness(one.item))
            chosen += own
        return chosen

    def _possible(self, one: Pictured, *, fewest: int) -> bool:
        return bool(one.message.names) or sum(self.answers(one, id) for id in self._facts) >= fewest


def questions_of(pictured: Sequence[Pictured]) -> list[Question]:
    questions = []
    for one in pictured:
        text, id = (one.message.text,), one.item.id
        if one.message.names:
            questions.append(Question("what", one.about, text, "auto", id, (id,), whole=True))
        else:
            questions += [Question("like", one.about, text, retrieval, id, (id,)) for retrieval in ("auto", "always")]
    return questions


def score_likes(answers: Sequence[Answer], choice: Choice) -> dict[str, Any]:
    """Shares over messages that want products, of all and of each part: `similar` ones, and those `changed`."""
    wanted = {(one.about, one.item.id): one for one in choice.pictured if one.message.must}
    outcomes: dict[str, dict[str, list[bool]]] = {part: {} for part in ("", *PARTS)}
    for answer in of_kind(answers, "like"):
        one = wanted[answer.question.about, answer.question.item_id]
        hits = [choice.answers(one, id) for id in answer.ids[:TOP_K]]
        for part in ("", PARTS[one.message.changes]):
            for first in (TOP_K, 1):
                name = f"hit_at_{first}_{answer.question.retrieval}"
                outcomes[part].setdefault(name, []).append(any(hits[:first]))
    chances: dict[str, list[float]] = {part: [] for part in outcomes}
    for one in wanted.values():
        for part in ("", PARTS[one.message.changes]):
            chances[part].append(choice.chance(one))
    scores = {
        part: {
            "n": len(chances[part]),
            "hit_at_5_by_chance": round(sum(chances[part]) / len(chances[part]), 4),
            **shares_of(found),
        }
        for part, found in outcomes.items()
        if chances[part]
    }
    return {**scores.pop("", {}), **scores}


def score_names(answers: Sequence[Answer], choice: Choice, queries: QualitySet) -> dict[str, Any]:
    """For each attribute that replies were to name, how often they did, as `NAME_named` with its number `NAME_n`."""
    asked = {(one.about, one.item.id): one for one in choice.pictured if one.message.names}
    named: dict[str, list[bool]] = {}
    for answer in of_kind(answers, "what"):
        one = asked[answer.question.about, answer.question.item_id]
        for name, words in to_name(one, queries).items():
            named.setdefault(name, []).append(names(answer.reply, words))
    counts = {f"{name}_n": len(outcomes) for name, outcomes in named.items()}
    shares = shares_of({f"{name}_named": outcomes for name, outcomes in named.items()})
    return {"n": len(asked), **counts, **shares}


def to_name(one: Pictured, queries: QualitySet) -> dict[str, Sequence[str]]:
    """By attribute, the words of which a reply is to hold one; an item that has no words for its value has none."""
    values = {name: (one.item.attributes or {}).get(name, "") for name in one.message.names}
    return {name: words for name, value in values.items() if (words := queries.names[name].get(value, ()))}


def names(reply: str, words: Sequence[str]) -> bool:
    """Whether one of the words stands in the reply, singular or plural, and not as the end of a longer word."""
    return any(re.search(rf"(?<![\w-]){re.escape(word)}(?:e?s)?(?!\w)", reply, re.IGNORECASE) for word in words)


def _likeness(item: Item) -> str:
    return (item.attributes or {}).get("kind", "") or item.group
