"""An item's own words beside its caption: tags and keywords, of whatever catalogue. Knows no sentences."""

from collections.abc import Mapping

TAG_ATTRIBUTES = ("tags", "openmoji_tags", "keywords")
"""Attributes that hold words with commas between them."""


def item_words(attributes: Mapping[str, str]) -> list[str]:
    """Tags of every kind and the subgroup, in the feed's order, each once."""
    words = ",".join(attributes.get(key, "") for key in TAG_ATTRIBUTES).split(",")
    words.append(attributes.get("subgroup", "").replace("-", " "))
    return [word for word in dict.fromkeys(word.strip() for word in words) if word]
