"""Unit vectors and items for the tests of indexes."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from fromage_model.catalogue import SCHEMA

# Of half, a tenth and a hundredth of the rows, and of three; the others have none.
BRANDS = ("Half", "Tenth", "Hundredth", "Three")


def unit_vectors(count, width=8, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def items(count, *, first=0):
    """The rows `first` to `first + count - 1`, each named after its number."""
    rows = [
        {
            "id": f"id{row}",
            "image": f"images/{row}.png",
            "image_sha256": f"{row:064x}",
            "source": "test",
            "caption": f"item {row}",
            "item_url": f"https://example.org/{row}",
            "brand": _brand(row),
            "attributes": {"subgroup": "clothing", "parity": "odd" if row % 2 else "even"},
            "group": f"group{row}",
            "split": "train",
            "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
        }
        for row in range(first, first + count)
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _brand(row):
    if row in (50, 150, 151):
        return BRANDS[3]
    if row % 100 == 7:
        return BRANDS[2]
    if row % 10 == 3:
        return BRANDS[1]
    return BRANDS[0] if row % 2 == 0 else None
