"""A catalogue in memory for tests of scores: items by their id and what is said of each."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from fromage_model.catalogue import SCHEMA, Catalogue, Item


def catalogue(*rows: dict) -> Catalogue:
    """Each row has an `id`, and columns of the catalogue where they matter."""
    values = [
        {
            "image": f"{row['id']}.png",
            "image_sha256": "0" * 64,
            "source": "test",
            "caption": f"caption of {row['id']}",
            "attributes": {},
            "group": row["id"],
            "split": "train",
            "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
        }
        | row
        for row in rows
    ]
    return Catalogue(Path("nowhere"), table=pa.Table.from_pylist(values, schema=SCHEMA), info={"name": "test"})


def items(*rows: dict) -> dict[str, Item]:
    return {item.id: item for item in catalogue(*rows).items()}


def garments(**attributes: dict[str, str]) -> dict[str, Item]:
    """By their ids, held out by their combination like those whose pictures are shown."""
    return items(*({"id": id, "attributes": own, "split": "held-out"} for id, own in attributes.items()))
