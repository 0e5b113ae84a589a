"""Small catalogues as tables, to read wishes by: a shop of garments, and one of drawings without prices."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from fromage_model.catalogue import SCHEMA

BRANDS = ("Norden", "Maison Aurelle", "Fjell & Fell", "Plain Goods", "Next", "Bluebark")
COLOURS = ("black", "white", "grey", "red", "blue", "navy", "green", "rose gold")
MATERIALS = ("wool", "cotton", "leather", "patent leather", "silk", "cashmere")
KINDS = ("dress", "coat", "scarf", "boots", "rain jacket")
SIZES = ("S", "M", "42")


def table_of(rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Rows of the catalogue; what is not said of them is filled in."""
    filled = []
    for number, row in enumerate(rows):
        sha = hashlib.sha256(str(number).encode()).hexdigest()
        fixed = {"id": sha[:32], "image": "", "image_sha256": sha, "source": "test", "group": "", "split": "train"}
        attributes = list(row.pop("attributes", {}).items())
        filled.append({**fixed, "updated_at": datetime(2026, 1, 1, tzinfo=UTC), **row, "attributes": attributes})
    return pa.Table.from_pylist(filled, schema=SCHEMA)


def garments(*, currency: str | None = "EUR", price: str = "{}.00") -> pa.Table:
    """Sixty garments from 10 to 305, each with its title, and tags and occasions in lists."""
    rows = []
    for number in range(60):
        colour, kind = COLOURS[number % len(COLOURS)], KINDS[number % len(KINDS)]
        attributes = {
            "title": f"{colour.capitalize()} {kind}",
            "kind": kind,
            "colour": colour,
            "material": MATERIALS[number % len(MATERIALS)],
            "pattern": "plain" if number % 2 else "striped",
            "size": SIZES[number % len(SIZES)],
            "price": price.format(10 + 5 * number),
            "occasions": "wedding, party" if number % 3 else "office, party",
            "tags": f"{kind}, {colour}",
        }
        if currency:
            attributes["currency"] = currency
        caption = f"a {colour} {kind} number {number}"
        rows.append({"caption": caption, "brand": BRANDS[number % len(BRANDS)], "attributes": attributes})
    return table_of(rows)


def drawings() -> pa.Table:
    """Without prices and brands: names, tags, and groups."""
    names = ("coat", "dress", "running shoe", "top hat", "person in suit levitating")
    groups = ("objects", "objects", "objects", "objects", "people-body")
    subgroups = ("clothing", "clothing", "clothing", "clothing", "person-activity")
    return table_of(
        {"caption": name, "attributes": {"tags": f"{name}, thing", "group": group, "subgroup": subgroup}}
        for name, group, subgroup in zip(names, groups, subgroups, strict=True)
        for _ in range(2)
    )
