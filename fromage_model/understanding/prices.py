"""Prices said in words: `under 50 euros`, `between 20 and 40`, `around 30 euros`. Knows no other columns.

A number alone is no price (`dresses for women over 50`): it has a currency, or the message speaks of money, or it is
one of two that bound a range and nothing else is measured by them. Currencies are not converted: a price in another
than the catalogue's is none.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fromage_model.understanding.columns import PriceColumn, currencies
from fromage_model.understanding.words import Word, clauses_of, keyed, lexicon, longest_at, number_at, stands

Bounds = Mapping[str, float]
KOREAN_FROM = ("에서", "부터")
KOREAN_ENDINGS = ("대", "짜리", "로", "으로", "정도", "의", *KOREAN_FROM)
KOREAN_UNITS = {"십": 10, "백": 100, "천": 1000, "만": 10_000}
AROUND = 0.2
"""How far from a price that is said roughly another may be, as a share of it."""
OTHER_WAY = {"lt": "gte", "lte": "gt", "gt": "lte", "gte": "lt"}


@dataclass(frozen=True)
class Amount:
    """A number, the currency that it was said in, and the place behind both."""

    value: float
    currency: str | None
    end: int


def price_in(words: Sequence[Word], price: PriceColumn, *, spoken_of: bool) -> tuple[Bounds, str | None] | None:
    """The bounds of the price that a text asks for, and their currency where it was said; None where it asks for none.

    `spoken_of`: whether the conversation has a price already.
    """
    clauses = clauses_of(words)
    elsewhere = {
        clause for clause, word in zip(clauses, words, strict=True) if word.said in lexicon("prices", "elsewhere")
    }
    named = any(word.said in lexicon("prices", "money") for word in words)
    money = spoken_of or named or _has_amount(words)
    bounds: dict[str, float] = {}
    currencies: set[str] = set()
    place = 0
    while place < len(words):
        found = None
        if clauses[place] not in elsewhere:
            found = (
                _range(words, place, price, named=named)
                or _bound(words, place, money)
                or _around(words, place, price, named=named)
            )
        if not found:
            place += 1
            continue
        said, currency, end = found
        if any(bounds.get(bound, limit) != limit for bound, limit in said.items()):
            return None
        bounds |= said
        currencies |= {currency} if currency else set()
        place = end
    if not bounds or len(currencies) > 1 or not holds_any(bounds):
        return None
    currency = next(iter(currencies), None)
    if currency and price.currencies and currency not in price.currencies:
        return None
    if len(price.currencies) > 1 and not (currency and price.currency_column):
        return None
    return {bound: int(limit) if limit == int(limit) else limit for bound, limit in bounds.items()}, currency


def holds_any(bounds: Bounds) -> bool:
    """Whether some number lies between them."""
    low = max(bounds.get("gte", -math.inf), bounds.get("gt", -math.inf))
    high = min(bounds.get("lte", math.inf), bounds.get("lt", math.inf))
    return low < high or (low == high and not {low} & {bounds.get("gt"), bounds.get("lt")})


def amount_at(words: Sequence[Word], place: int) -> Amount | None:
    """`€50`, `50 euros`, `EUR 50`, `fifty euros`, `5만원`, `50`."""
    before = currencies().get(words[place].said) if place < len(words) else None
    found = number_at(words, place + bool(before))
    if not found:
        return None
    value, end = found
    currency = before
    if end < len(words):
        said = words[end].said
        if said[0] in KOREAN_UNITS and (len(said) == 1 or _currency_of(said[1:])):
            value, said = value * KOREAN_UNITS[said[0]], said[1:]
            end += not said
            said = said or (words[end].said if end < len(words) else "")
        if not currency:
            currency = _currency_of(said)
            end += bool(currency)
    return Amount(value, currency, end) if math.isfinite(value) else None


def _currency_of(said: str) -> str | None:
    """Korean joins what follows: `유로이하`, `원대`."""
    if said in currencies():
        return currencies()[said]
    endings = (*KOREAN_ENDINGS, *(word for (word,) in keyed("korean_bounds")))
    for name, code in currencies().items():
        if "가" <= name[0] <= "힣" and said.startswith(name) and said[len(name) :].startswith(endings):
            return code
    return None


def _has_amount(words: Sequence[Word]) -> bool:
    for place in range(len(words)):
        amount = amount_at(words, place)
        if amount and amount.currency:
            return True
    return False


def _range(
    words: Sequence[Word], place: int, price: PriceColumn, *, named: bool
) -> tuple[Bounds, str | None, int] | None:
    """`between A and B`, `from A to B`, `A to B euros`, `A-B €`: A below B. `named`: whether money is spoken of."""
    opened = words[place].said in ("between", "from")
    low = amount_at(words, place + opened + (_roughly(words, place + 1) if opened else 0))
    if not low or low.end >= len(words):
        return None
    joined = words[low.end - 1].said.endswith(KOREAN_FROM)
    joiner = "에서" if joined else words[low.end].said
    if joiner not in lexicon("prices", "to") or (joiner == "and" and words[place].said != "between"):
        return None
    high = amount_at(words, low.end + (not joined))
    if not high or (low.currency and high.currency and low.currency != high.currency):
        return None
    currency = high.currency or low.currency
    ends = "on" if named else ""
    plainly = (named or words[place].said == "between") and _plainly_a_price(words, place, low, high, price, ends=ends)
    if not currency and not plainly:
        return None
    # What is no range of numbers asks for nothing, and none of its halves does.
    return {"gte": low.value, "lte": high.value}, currency, high.end


def _plainly_a_price(
    words: Sequence[Word], place: int, low: Amount, high: Amount, price: PriceColumn, *, ends: str = ""
) -> bool:
    """Whether the numbers measure nothing else, and the catalogue has such prices. `ends` is a word that may follow."""
    goes_on = lexicon("prices", "goes_on") | {ends}
    alone = high.end == len(words) or words[high.end].parts or words[high.end].said in goes_on
    return alone and not _measures(words, place) and low.value <= price.high and high.value >= price.low


def _around(
    words: Sequence[Word], place: int, price: PriceColumn, *, named: bool
) -> tuple[Bounds, str | None, int] | None:
    """`around 50 euros`, `50 euros or so`; without a currency only where money is spoken of."""
    before = _roughly(words, place)
    if before and place + before < len(words) and (between := _range(words, place + before, price, named=named)):
        return between
    amount = amount_at(words, place + before)
    if not amount or not amount.value:
        return None
    behind = longest_at(words, amount.end, "prices", "or_so")
    if not before and not behind:
        return None
    if not amount.currency and not (named and _plainly_a_price(words, place, amount, amount, price)):
        return None
    near = {"gte": round((1 - AROUND) * amount.value, 2), "lte": round((1 + AROUND) * amount.value, 2)}
    return near, amount.currency, amount.end + behind


def _roughly(words: Sequence[Word], place: int) -> int:
    """How many words say there that a number is not meant exactly."""
    return longest_at(words, place, "prices", "around")


def _measures(words: Sequence[Word], place: int) -> bool:
    return any(word.said in lexicon("prices", "measured") for word in words[max(0, place - 2) : place])


def _bound(words: Sequence[Word], place: int, money: bool) -> tuple[Bounds, str | None, int] | None:
    """A bound and its amount, or an amount and its bound behind it."""
    for phrase, bound in keyed("bounds").items():
        if stands(words, place, phrase):
            at = place + len(phrase)
            while at < len(words) and words[at].said in lexicon("prices", "fillers"):
                at += 1
            amount = amount_at(words, at)
            if not amount or not _is_price(words, place, amount, money=money and phrase != ("from",)):
                continue
            return {OTHER_WAY[bound] if _negated(words, place) else bound: amount.value}, amount.currency, amount.end
    amount = amount_at(words, place)
    if not amount or not (amount.currency or money):
        return None
    for phrase, bound in keyed("behind").items():
        if stands(words, amount.end, phrase):
            return {bound: amount.value}, amount.currency, amount.end + len(phrase)
    joined = "".join(word.said for word in words[max(place, amount.end - 1) : amount.end + 1])
    found = next((bound for (word,), bound in keyed("korean_bounds").items() if word in joined), None)
    return ({found: amount.value}, amount.currency, amount.end) if found and amount.currency else None


def _is_price(words: Sequence[Word], place: int, amount: Amount, *, money: bool) -> bool:
    if amount.currency:
        return True
    follows = words[amount.end] if amount.end < len(words) else None
    ends = (
        follows is None or follows.parts or follows.said in lexicon("prices", "goes_on") | lexicon("prices", "negated")
    )
    return money and ends and not _measures(words, place)


def _negated(words: Sequence[Word], place: int) -> bool:
    """`no more than`, `can't spend more than`; not `nothing black under`."""
    if place and words[place - 1].said in lexicon("prices", "spent"):
        return any(word.said in lexicon("prices", "negated") for word in words[max(0, place - 5) : place])
    return bool(place) and words[place - 1].said in lexicon("prices", "negated")
