"""The chat's own quality on single messages: what comes when people wish, talk, or show a picture of each split.

Scores answers; knows nothing of Ray. Every question goes through the chat engine as a user's first message. Wishes are
asked in `auto` (the LM decides whether products come) and in `always`, others in `auto`, pictures in `always` with the
pictured item itself excluded. `turns` measures conversations, `likeness` what else is asked under pictures.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import comb
from typing import Any

from fromage_model.catalogue import Catalogue, Item
from jobs.common.metrics import estimate_share
from jobs.evaluate.chat.questions import TOP_K, Answer, Question, of_kind
from jobs.evaluate.sets.quality_set import QualitySet, Wish


def questions_of(queries: QualitySet, pictured: Sequence[Item] = ()) -> list[Question]:
    """Everything to ask, in the order in which it is asked."""
    wishes = [
        Question("wish", position, (wish.text,), retrieval)
        for position, wish in enumerate(queries.wishes)
        for retrieval in ("auto", "always")
    ]
    others = [Question("other", position, (text,), "auto") for position, text in enumerate(queries.others)]
    texts = queries.picture_messages
    pictures = [
        Question("picture", position, (texts[position % len(texts)],), "always", item.id, (item.id,))
        for position, item in enumerate(pictured)
    ]
    return wishes + others + pictures


def pictured_items(catalogue: Catalogue, *, limit: int) -> list[Item]:
    """Up to `limit` items of each split. Ids are hashes, so the first by id are a sample that stays the same."""
    by_split: dict[str, list[Item]] = {}
    for item in sorted(catalogue.items(), key=lambda item: item.id):
        by_split.setdefault(item.split, []).append(item)
    return [item for split in sorted(by_split) for item in by_split[split][:limit]]


def is_hit(answer: Answer, queries: QualitySet, items: Mapping[str, Item], *, first: int = TOP_K) -> bool:
    """Whether one of the first products is acceptable for the wish."""
    wish = queries.wishes[answer.question.about]
    return any(wish.accepts(items[id]) for id in answer.ids[:first])


def score_messages(answers: Sequence[Answer], queries: QualitySet, items: Mapping[str, Item]) -> dict[str, Any]:
    """Shares over wishes and others, and their 95 % intervals under the same names; by group, where wishes have one."""
    auto, always = of_kind(answers, "wish", "auto"), of_kind(answers, "wish", "always")
    others = of_kind(answers, "other")
    outcomes = {
        "hit_at_5_auto": [is_hit(answer, queries, items) for answer in auto],
        "hit_at_5_always": [is_hit(answer, queries, items) for answer in always],
        "hit_at_1_auto": [is_hit(answer, queries, items, first=1) for answer in auto],
        "hit_at_1_always": [is_hit(answer, queries, items, first=1) for answer in always],
        "products_on_wishes": [bool(answer.ids) for answer in auto],
        "products_on_others": [bool(answer.ids) for answer in others],
    }
    groups = dict.fromkeys(wish.by for wish in queries.wishes if wish.by)
    return {
        "wishes": len(auto),
        "others": len(others),
        **shares_of(outcomes),
        **{f"by_{group}": _score_group(group, auto, always, queries, items) for group in groups},
    }


def _score_group(
    group: str, auto: Sequence[Answer], always: Sequence[Answer], queries: QualitySet, items: Mapping[str, Item]
) -> dict[str, Any]:
    """`hit_at_5_by_chance` is the share that five random items would reach."""
    wishes = [wish for wish in queries.wishes if wish.by == group]
    chances = [chance_for(wish, items) for wish in wishes]
    outcomes: dict[str, list[bool]] = {}
    for retrieval, answers in (("auto", auto), ("always", always)):
        own = [answer for answer in answers if queries.wishes[answer.question.about].by == group]
        outcomes[f"hit_at_5_{retrieval}"] = [is_hit(answer, queries, items) for answer in own]
        outcomes[f"hit_at_1_{retrieval}"] = [is_hit(answer, queries, items, first=1) for answer in own]
    return {"n": len(wishes), "hit_at_5_by_chance": round(sum(chances) / len(chances), 4), **shares_of(outcomes)}


def chance_for(wish: Wish, items: Mapping[str, Item]) -> float:
    """How often five random items hold one that is acceptable for the wish."""
    return chance_of_one(sum(wish.accepts(item) for item in items.values()), len(items))


def score_pictures(answers: Sequence[Answer], items: Mapping[str, Item]) -> dict[str, dict[str, Any]]:
    """For each split, how often a sibling or an item of the same subgroup came for an item's picture."""
    by_split: dict[str, list[Answer]] = {}
    for answer in of_kind(answers, "picture"):
        by_split.setdefault(items[answer.question.item_id].split, []).append(answer)
    return {split: _score_split(came, items) for split, came in by_split.items()}


def is_sibling(one: Item, other: Item) -> bool:
    return one.id != other.id and bool(one.group) and one.group == other.group


def same_subgroup(one: Item, other: Item) -> bool:
    return one.id != other.id and bool(_subgroup(one)) and _subgroup(one) == _subgroup(other)


def is_related(answer: Answer, items: Mapping[str, Item]) -> bool:
    """Whether a sibling or an item of the same subgroup is among the first five."""
    pictured = items[answer.question.item_id]
    came = [items[id] for id in answer.ids[:TOP_K]]
    return any(is_sibling(pictured, item) or same_subgroup(pictured, item) for item in came)


def chance_of_one(wanted: int, among: int, *, drawn: int = TOP_K) -> float:
    """How often at least one of `wanted` items is among `drawn` taken at random from `among`."""
    drawn = min(drawn, among)
    return 1 - comb(among - wanted, drawn) / comb(among, drawn)


def shares_of(outcomes: Mapping[str, Sequence[bool]]) -> dict[str, Any]:
    """The share of each list that is true, and the 95 % intervals under the same names; an empty list has no share."""
    estimates = {name: estimate_share(values) for name, values in outcomes.items() if values}
    return {
        **{name: round(estimate.value, 4) for name, estimate in estimates.items()},
        "intervals": {name: [round(estimate.low, 4), round(estimate.high, 4)] for name, estimate in estimates.items()},
    }


def _score_split(answers: Sequence[Answer], items: Mapping[str, Item]) -> dict[str, Any]:
    """`subgroup_at_5_by_chance` is the share that five random items would reach."""
    group_sizes = Counter(item.group for item in items.values() if item.group)
    subgroup_sizes = Counter(_subgroup(item) for item in items.values() if _subgroup(item))
    siblings, subgroups, related, chances = [], [], [], []
    for answer in answers:
        pictured = items[answer.question.item_id]
        came = [items[id] for id in answer.ids[:TOP_K]]
        if group_sizes[pictured.group] > 1:
            siblings.append(any(is_sibling(pictured, item) for item in came))
        subgroups.append(any(same_subgroup(pictured, item) for item in came))
        related.append(is_related(answer, items))
        chances.append(chance_of_one(max(0, subgroup_sizes[_subgroup(pictured)] - 1), len(items) - 1))
    return {
        "items": len(answers),
        "with_siblings": len(siblings),
        "subgroup_at_5_by_chance": round(sum(chances) / len(chances), 4),
        **shares_of({"sibling_at_5": siblings, "subgroup_at_5": subgroups, "related_at_5": related}),
    }


def _subgroup(item: Item) -> str:
    return (item.attributes or {}).get("subgroup", "")
