"""Queries, splits and directions of the recall measurement, without a model."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fromage_model.catalogue import SCHEMA, Catalogue
from fromage_model.errors import CatalogueError
from jobs.evaluate import recall
from tests.jobs.evaluate.shelf import items


def catalogue(count=12, held_out=4):
    values = [
        {
            "id": f"id{row}",
            "image": f"{row}.png",
            "image_sha256": "0" * 64,
            "source": "test",
            "caption": f"name {row}" if row else None,
            "attributes": {"tags": f"Name {row}, rain, wet, , rain, cold, grey"},
            "group": f"g{row}",
            "split": "held-out" if row < held_out else "train",
            "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
        }
        for row in range(count)
    ]
    return Catalogue(Path("nowhere"), table=pa.Table.from_pylist(values, schema=SCHEMA), info={"name": "test"})


def test_a_query_is_a_picture_of_the_name_and_nothing_else():
    assert recall.name_query(catalogue().item("id1")) == "A picture of name 1."


def test_tags_that_repeat_the_name_or_themselves_are_left_out():
    assert recall.name_and_tags_query(catalogue().item("id1")) == "A picture of name 1, rain, wet, cold."


def test_rows_are_those_of_captioned_items_of_the_split():
    items = catalogue()
    embedded = ["id7", "id3", "id0", "id1"]
    assert recall.split_rows(items, "held-out", embedded=embedded) == [1, 3]


def test_a_split_without_items_names_the_splits_that_there_are():
    with pytest.raises(CatalogueError, match=r"held-out.*train"):
        recall.split_rows(catalogue(), "test", embedded=["id1"])


def test_among_all_items_the_others_compete_too():
    pictures = np.eye(6, dtype=np.float32)
    rows = [1, 4]
    texts = pictures[rows].copy()
    texts[1] = pictures[0] * 0.9 + pictures[4] * 0.1
    found = recall.recall_on(texts, pictures, rows)
    assert found.text_to_image.at[1].value == 1.0
    assert found.text_to_image_among_all.at[1].value == 0.5
    assert (found.text_to_image.candidates, found.text_to_image_among_all.candidates) == (2, 6)
    assert found.image_to_text.at[1].value == 1.0


def test_an_equal_of_the_item_is_found_for_its_text_and_its_picture_finds_either_text():
    garments = wardrobe(("a red cap", "red", "kind"), ("a red cap", "red", ""), ("cap", "blue", ""))
    pictures = np.eye(3, dtype=np.float32)
    swapped = pictures[[1, 0, 2]]
    rows = range(3)
    assert recall.recall_on(swapped, pictures, rows).text_to_image.at[1].value == pytest.approx(1 / 3)
    found = recall.recall_on(swapped, pictures, rows, items=garments)
    assert found.text_to_image.at[1].value == found.image_to_text.at[1].value == 1.0
    assert found.text_to_image_among_all.at[1].value == 1.0


def test_items_are_measured_apart_by_why_they_are_held_out():
    garments = wardrobe(("a", "red", "kind"), ("b", "blue", "combination"), ("c", "green", ""), ("d", "pink", "kind"))
    found = recall.recall_apart(np.eye(4)[[0, 1, 3]], np.eye(4), [0, 1, 3], items=garments)
    assert {reason: count for reason, (count, _) in found.items()} == {"combination": 1, "kind": 2}
    assert found["kind"][1].text_to_image.candidates == 2
    assert found["kind"][1].text_to_image_among_all.candidates == 4
    plain = catalogue().items()
    assert recall.recall_apart(np.eye(12), np.eye(12), range(12), items=plain) == {}


def wardrobe(*garments):
    """Each is (caption, colour, why it is held out)."""
    return list(
        items(
            *(
                {
                    "id": f"id{row}",
                    "source": "wardrobe",
                    "caption": caption,
                    "attributes": {"kind": "cap", "colour": colour, "pattern": "plain", "held_out_by": reason},
                }
                for row, (caption, colour, reason) in enumerate(garments)
            )
        ).values()
    )


def test_the_json_has_percentages_and_their_intervals_under_the_same_names():
    found = recall.recall_on(np.eye(4), np.eye(4), range(4)).to_json()
    assert found["text_to_image"] == {"r_at_1": 100.0, "r_at_5": 100.0, "r_at_10": 100.0}
    assert set(found["intervals"]) == {"text_to_image", "image_to_text", "text_to_image_among_all"}
    assert found["intervals"]["image_to_text"]["r_at_10"] == [100.0, 100.0]


def test_the_table_shows_every_wording_and_direction():
    found = recall.recall_on(np.eye(4), np.eye(4), range(4))
    table = recall.table_of({"names": found, "names and tags": found}, items=4, all_items=4)
    assert table.count("text_to_image") == 4
    assert "100.0 [100.0, 100.0]" in table
