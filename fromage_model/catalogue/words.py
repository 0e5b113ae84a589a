"""An item's own words beside its caption: tags and keywords, of whatever catalogue. Knows no sentences."""

from collections.abc import Mapping

TAG_ATTRIBUTES = ("tags", "openmoji_tags", "keywords")
"""Attributes that hold words with commas between them."""
TOLD_APART = (*TAG_ATTRIBUTES, "subgroup", "title", "description")
MOST_PHRASE_CHARS = 60
"""Of what an attribute says in words; what is longer is a text of its own."""


def has_words(text: str | None) -> bool:
    """Whether it has a letter or a digit, of any script: nothing else can be read, searched or learned."""
    return any(character.isalnum() for character in text or "")


def item_words(attributes: Mapping[str, str]) -> list[str]:
    """Tags of every kind and the subgroup, in the feed's order, each once."""
    words = ",".join(attributes.get(key, "") for key in TAG_ATTRIBUTES).split(",")
    words.append(attributes.get("subgroup", "").replace("-", " "))
    return [word for word in dict.fromkeys(word.strip() for word in words) if word]


def item_sentence(caption: str | None, brand: str | None, attributes: Mapping[str, str]) -> str:
    """What is to be compared with what people say: name, caption, tags, brand, what attributes say in words, and the
    description last, as the end of a long text may not be read. Nothing stands in it twice; empty for an item of which
    nothing is said. Prices, codes, addresses and lists of lists are no words.
    """
    told = [attributes.get("title", ""), caption or "", ", ".join(item_words(attributes)), brand or ""]
    told += [text for name, text in attributes.items() if name not in TOLD_APART and _is_phrase(text)]
    kept: list[str] = []
    for text in (*told, attributes.get("description", "")):
        text = text.strip().rstrip(".")
        if text and text.lower() not in ". ".join(kept).lower():
            kept.append(text)
    return ". ".join(kept)


def _is_phrase(text: str) -> bool:
    """`EUR` and `XL` are codes."""
    if len(text) > MOST_PHRASE_CHARS or text.isupper():
        return False
    return not any(sign.isdigit() or sign in '{}[]<>|"/' for sign in text)
