"""Whether a greedy reply is the one that the same request got alone, though sums in another order turn near ties.

With the default LM few rows are multiplied by weights of 4 bits and more rows by those of 16 (docs/benchmarks.md), so
what a reply says may part from what it said alone, but only where another token was nearly as likely.
"""

from dataclasses import dataclass
from typing import Any

NEAR = 0.3
"""Of log-probability; tokens as near to the likeliest may take its place."""
NEAR_SCORE = 0.01
"""Of cosine; products as near may change places."""
LOGPROBS: dict[str, Any] = {"logprobs": True, "top_logprobs": 5}
"""What a request must ask for."""


@dataclass(frozen=True)
class Token:
    """`data`: its bytes; `near`: those of the tokens that were as likely, or nearly."""

    data: bytes
    near: frozenset[bytes]


@dataclass(frozen=True)
class Comparison:
    """`tokens`: how many were compared; `parted`: whether the replies went apart at a near tie; `wrong`: or elsewhere,
    and how.
    """

    tokens: int
    parted: bool = False
    wrong: str = ""


def tokens_of(choice: dict[str, Any]) -> list[Token]:
    """Of a chunk's choice, which was asked for by `LOGPROBS`."""
    found = []
    for one in (choice.get("logprobs") or {}).get("content") or ():
        likely = one["top_logprobs"]
        least = likely[0]["logprob"] - NEAR
        near = (bytes(other["bytes"]) for other in likely if other["logprob"] >= least)
        found.append(Token(bytes(one["bytes"]), frozenset(near)))
    return found


def compare(said: list[Token], alone: list[Token]) -> Comparison:
    """Token by token, up to the first that is another. A reply that ends where the other goes on is compared so far."""
    for place, (one, other) in enumerate(zip(said, alone, strict=False)):
        if one.data == other.data:
            continue
        if one.data in other.near:
            return Comparison(place, parted=True)
        return Comparison(place, wrong=f"token {place} is {one.data!r} and was {other.data!r} alone")
    return Comparison(min(len(said), len(alone)))


def compare_products(shown: list[dict[str, Any]], alone: list[dict[str, Any]]) -> str:
    """What is wrong, or nothing: the same ids in the same order, but for those that are nearly as near."""
    if len(shown) != len(alone):
        return f"{len(shown)} products instead of {len(alone)}"
    for one, other in zip(shown, alone, strict=True):
        if one["id"] != other["id"] and abs(one["score"] - other["score"]) > NEAR_SCORE:
            return f"product {one['id']} ({one['score']:.3f}) instead of {other['id']} ({other['score']:.3f})"
    return ""
