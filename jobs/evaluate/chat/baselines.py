"""What the chat is to be better than, on the same messages: simpler ways to find products for them.

- `last_turn_only`: the chat, asked in `always` with a conversation's last message and nothing that was said before.
- `raw_text`: the embedding at [RET] of what was said as it stands, without chat, prompt or picture.
- `sentence_encoder`: texts against captions by a model made for that, where it is installed; knows no pictures.
- `picture_features`: the pictures whose features are nearest to the one shown, whatever was said.

In a conversation what was said is all messages up to the turn; products of the measured chat's earlier turns are left
out, and what compares does so with them, so that a baseline answers the very question that the chat had to answer.

Shapes: N items, Q texts, S any width.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fromage_model.catalogue import Item
from jobs.evaluate.chat.likeness import PARTS, Choice
from jobs.evaluate.chat.messages import shares_of
from jobs.evaluate.chat.questions import TOP_K, Answer, Question, of_kind
from jobs.evaluate.chat.turns import Answering, Asked, add_grouped
from jobs.evaluate.sets.quality_set import QualitySet

Rank = Callable[[np.ndarray, Sequence[str]], list[str]]


@dataclass(frozen=True)
class Space:
    """Unit vectors (N, S) of items, and what makes those of texts, (Q, S)."""

    ids: Sequence[str]
    vectors: np.ndarray
    read: Callable[[Sequence[str]], np.ndarray]

    def nearest(self, query: np.ndarray, *, without: Sequence[str] = ()) -> list[str]:
        """The ids of the five items nearest to (S,), best first, but for some."""
        left_out = set(without)
        order = np.argsort(-(self.vectors @ query), kind="stable")[: TOP_K + len(left_out)]
        return [id for row in order if (id := self.ids[row]) not in left_out][:TOP_K]


def later_turns(turns: Sequence[Asked], answering: Answering) -> list[Asked]:
    """Those that need what was said before: after the first, calling for products, with an answer that is left."""
    return [one for one in turns if one.position and one.turn.must is not None and answering.possible(one)]


def last_turn_questions(later: Sequence[Asked]) -> list[Question]:
    return [
        Question("last turn", place, (asked.turn.text,), "always", exclude=asked.gone)
        for place, asked in enumerate(later)
    ]


def score_last_turns(answers: Sequence[Answer], later: Sequence[Asked], answering: Answering) -> dict[str, Any]:
    """The answers to `last_turn_questions`."""
    came = {answer.question.about: answer.ids for answer in of_kind(answers, "last turn")}
    return _score_turns(later, [came[place] for place in range(len(later))], answering)


def score_texts(
    space: Space, queries: QualitySet, items: Mapping[str, Item], later: Sequence[Asked], answering: Answering
) -> dict[str, Any]:
    """What a space of texts finds for wishes, by group where they have one, and for later turns."""
    wishes = [wish.text for wish in queries.wishes]
    said = ["\n".join(asked.said) for asked in later]
    read = space.read([*wishes, *said])
    outcomes: dict[str, list[bool]] = {}
    for wish, query in zip(queries.wishes, read, strict=False):
        hit = any(wish.accepts(items[id]) for id in space.nearest(query))
        for name in ("hit_at_5", *([f"hit_at_5_{wish.by}"] if wish.by else [])):
            outcomes.setdefault(name, []).append(hit)
    came = [space.nearest(query, without=asked.gone) for query, asked in zip(read[len(wishes) :], later, strict=True)]
    turns = {"turns": _score_turns(later, came, answering)} if later else {}
    return {"n": len(wishes), **shares_of(outcomes), **turns}


def score_features(ids: Sequence[str], features: np.ndarray, choice: Choice) -> dict[str, Any]:
    """What features (N, F), standardised, find for messages under a picture that want products."""
    spread = features.std(axis=0)
    standard = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1)
    vectors = standard / np.linalg.norm(standard, axis=1, keepdims=True).clip(min=1e-12)
    rows = {id: row for row, id in enumerate(ids)}
    space = Space(ids, vectors, lambda texts: np.empty((len(texts), 0)))
    outcomes: dict[str, list[bool]] = {}
    for one in choice.pictured:
        if one.message.must and one.item.id in rows:
            came = space.nearest(vectors[rows[one.item.id]], without=[one.item.id])
            hit = any(choice.answers(one, id) for id in came)
            for name in ("hit_at_5", f"hit_at_5_{PARTS[one.message.changes]}"):
                outcomes.setdefault(name, []).append(hit)
    return {"n": len(outcomes.get("hit_at_5", ())), **shares_of(outcomes)}


def _score_turns(later: Sequence[Asked], came: Sequence[Sequence[str]], answering: Answering) -> dict[str, Any]:
    held: dict[int, list[bool]] = {}
    for asked, ids in zip(later, came, strict=True):
        held.setdefault(asked.conversation, []).append(answering.holds(asked, ids))
    shares: dict[str, Any] = {"n": len(later), "intervals": {}}
    if held:
        add_grouped(shares, "later_hit_at_5", list(held.values()))
    return shares
