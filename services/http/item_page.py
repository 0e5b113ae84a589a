"""An item as a page of its own: what the catalogue says of it, ready for a template. Knows nothing of requests.

Whatever a catalogue holds is text here: it opens no markup, and no link but the item's own.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.products import ItemCard

PAGES = Path(__file__).parent / "pages"
LANGUAGES = ("en", "ko")
LONGEST_SUMMARY = 160
"""Characters; search engines and previews cut off what is longer."""
TOLD_APART = frozenset(("price", "currency", "description", "title"))
"""Attributes that have a place of their own on the page."""
PRICE = re.compile(r"(\d+(?:\.\d+)?)(?: ([A-Z]{3}))?", re.ASCII)
"""An amount, and a currency of ISO 4217, which may stand apart."""
WORDS = {
    "en": {
        "chat": "Ask for something else",
        "unnamed": "Unnamed piece",
        "picture_of": "Picture of {}",
        "shop": "See it in the shop",
        "more": "More like this",
        "missing": "There is no such piece",
        "missing_text": "It may have left the catalogue. Ask the chat for something like it.",
    },
    "ko": {
        "chat": "다른 제품 물어보기",
        "unnamed": "이름 없는 제품",
        "picture_of": "{} 사진",
        "shop": "쇼핑몰에서 보기",
        "more": "비슷한 제품",
        "missing": "찾으시는 제품이 없습니다",
        "missing_text": "카탈로그에서 빠진 제품일 수 있습니다. 비슷한 제품을 채팅에서 물어보세요.",
    },
}
_TEMPLATES = Environment(
    loader=FileSystemLoader(PAGES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


@dataclass(frozen=True)
class Offer:
    """A price that machines read: an amount, and a currency of ISO 4217."""

    price: str
    currency: str


@dataclass(frozen=True)
class ShownItem:
    """`path`, `picture`: of the item's page and picture, on this server. `shop`: its http(s) address elsewhere.
    `facts`: names and values of its other attributes.
    """

    name: str
    brand: str | None
    price: str | None
    offer: Offer | None
    description: str | None
    facts: Sequence[tuple[str, str]]
    path: str
    picture: str
    shop: str | None

    @classmethod
    def of(cls, card: ItemCard, *, lang: str) -> Self:
        told = {name: value.strip() for name, value in card.attributes.items() if value.strip()}
        facts = [(name.replace("_", " "), value) for name, value in told.items() if name not in TOLD_APART]
        price, currency = told.get("price"), told.get("currency", "")
        plain = PRICE.fullmatch(price) if price else None
        if plain and not plain[2]:
            price = f"{price} {currency}".strip()
            plain = PRICE.fullmatch(price)
        return cls(
            name=card.title or (card.caption or "").strip() or WORDS[lang]["unnamed"],
            brand=card.brand,
            price=price,
            offer=Offer(plain[1], plain[2]) if plain and plain[2] else None,
            description=told.get("description"),
            facts=facts,
            path=card.page_url,
            picture=card.image_url,
            shop=card.item_url,
        )

    @property
    def summary(self) -> str:
        """The description, or else what else is known, on one line."""
        words = self.description or ", ".join(filter(None, (self.name, self.brand, self.price)))
        line = " ".join(words.split())
        return line if len(line) <= LONGEST_SUMMARY else f"{line[: LONGEST_SUMMARY - 1].rstrip()}…"


def language_of(accepted: str) -> str:
    """The page's language that `Accept-Language` likes best; the first named among equals, English without any."""
    best, liked = LANGUAGES[0], 0.0
    for one in accepted.lower().split(","):
        tag, _, parameters = one.strip().partition(";")
        named = re.fullmatch(r"\s*q\s*=\s*([01](\.\d{0,3})?)\s*", parameters)
        weight = float(named[1]) if named else float(not parameters)
        if tag.partition("-")[0] in LANGUAGES and weight > liked:
            best, liked = tag.partition("-")[0], weight
    return best


def item_page(
    card: ItemCard, similar: Sequence[ItemCard], *, lang: str, root: str, host: str, attribution: str | None
) -> str:
    """HTML. `root`: the relative address of the server's first page. `host`: the server as others call it, by which
    previews find the picture, or nothing. `attribution`: whom the catalogue's licence wants named.
    """
    return _TEMPLATES.get_template("item.html").render(
        item=ShownItem.of(card, lang=lang),
        similar=[ShownItem.of(other, lang=lang) for other in similar],
        lang=lang,
        words=WORDS[lang],
        root=root,
        host=host,
        attribution=attribution,
    )


def missing_page(*, lang: str, root: str) -> str:
    return _TEMPLATES.get_template("missing.html").render(lang=lang, words=WORDS[lang], root=root)
