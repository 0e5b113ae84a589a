"""What an item must be to answer a message, said of its attributes. Knows no messages, no models and no files.

    {"kind": ["dress", "gown"], "colour": "red", "details": {"not": ["bow"]}, "length": {"than": "less"}}

An attribute may list several values between commas ("belt, pockets"): one of them is enough to meet a condition, and
none may be what it must `not` be. `than` compares with other items, those that were shown last or that of a picture:
the "same" value as one of them, an "other" one than all, "less" or "more" than they have on average, in numbers or in
an order that is given. Several such sets are alternatives, of which one must be met.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from fromage_model.catalogue import Item
from fromage_model.errors import InvalidInput

Than = Literal["same", "other", "less", "more"]
Facts: TypeAlias = Mapping[str, str]
Orders: TypeAlias = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Condition:
    """Of one attribute. Exactly one of the three is set."""

    any_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()
    than: Than | None = None

    @property
    def named(self) -> tuple[str, ...]:
        """The values that it names."""
        return self.any_of or self.none_of


Must: TypeAlias = tuple[Mapping[str, Condition], ...]


def facts_of(item: Item) -> Facts:
    """What conditions may be about: an item's attributes, its brand and its split."""
    return {**(item.attributes or {}), "brand": item.brand or "", "split": item.split}


def meets(facts: Facts, must: Must, *, beside: Sequence[Facts] = (), orders: Orders | None = None) -> bool:
    """Whether an item is what one of the alternatives asks; `beside` are the items that `than` compares with."""
    return any(
        all(_holds(facts, name, condition, beside, orders or {}) for name, condition in each.items()) for each in must
    )


def on_top(must: Must, more: Sequence[Mapping[str, Condition | None]]) -> Must:
    """What is asked after `more` was said: over what was asked before, None taking a condition away.

    What compares with the items shown last is not asked again of those that come after them.
    """
    joined: list[Mapping[str, Condition]] = []
    for old in must or ({},):
        lasting = {name: condition for name, condition in old.items() if condition.than is None}
        for new in more:
            each = {name: condition for name, condition in {**lasting, **new}.items() if condition is not None}
            if each not in joined:
                joined.append(each)
    return tuple(joined)


def asks_anew(more: Sequence[Mapping[str, Condition | None]]) -> bool:
    """Whether what adds this asks for others than those shown last: it compares with them, or adds nothing."""
    return all(not each or any(one and one.than not in (None, "same") for one in each.values()) for each in more)


def parsed(value: Any, field: str) -> tuple[Mapping[str, Condition | None], ...]:
    """Conditions as a file has them: an object, or a list of alternatives. Raises InvalidInput, naming the field."""
    alternatives = value if isinstance(value, list) else [value]
    if not alternatives or not all(isinstance(each, dict) for each in alternatives):
        raise InvalidInput(f"{field}: expected conditions by attribute, or a list of such, got {value!r}", field=field)
    return tuple(
        {name: None if given is None else _condition(given, f"{field}.{name}") for name, given in each.items()}
        for each in alternatives
    )


def _condition(given: Any, field: str) -> Condition:
    if isinstance(given, dict) and set(given) == {"than"} and given["than"] in get_args(Than):
        return Condition(than=given["than"])
    negated = isinstance(given, dict) and set(given) == {"not"}
    values = given["not"] if negated else given
    texts = [values] if isinstance(values, str) else values
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        wanted = f'a text, a list of texts, {{"not": [...]}} or {{"than": {"|".join(get_args(Than))}}}'
        raise InvalidInput(f"{field}: expected {wanted}, got {given!r}", field=field)
    return Condition(none_of=tuple(texts)) if negated else Condition(any_of=tuple(texts))


def _holds(facts: Facts, name: str, condition: Condition, beside: Sequence[Facts], orders: Orders) -> bool:
    own = _values(facts, name)
    if condition.than is None:
        among = bool(own & set(condition.named))
        return not among if condition.none_of else among
    others = [values for other in beside if (values := _values(other, name))]
    if not own or not others:
        return False
    if condition.than in ("same", "other"):
        return any(own == values for values in others) == (condition.than == "same")
    rank = _rank(facts.get(name, ""), orders.get(name))
    ranks = [found for other in beside if (found := _rank(other.get(name, ""), orders.get(name))) is not None]
    if rank is None or not ranks:
        return False
    mean = sum(ranks) / len(ranks)
    return rank < mean if condition.than == "less" else rank > mean


def _values(facts: Facts, name: str) -> set[str]:
    return {value.strip() for value in facts.get(name, "").split(",")} - {""}


def _rank(value: str, order: Sequence[str] | None) -> float | None:
    if order is not None:
        return order.index(value) if value in order else None
    try:
        return float(value)
    except ValueError:
        return None
