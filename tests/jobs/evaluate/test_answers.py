"""Which items answer a caption: itself, and of the wardrobe all that have what the caption says."""

import pytest

from fromage_model.catalogue.wardrobe import feed
from fromage_model.catalogue.wardrobe.choose import kinds
from jobs.evaluate.answers import answered_by, asked_of_wardrobe
from tests.jobs.evaluate.shelf import items

TEE = {"kind": "t-shirt", "colour": "navy", "pattern": "striped", "sleeves": "long", "fit": "regular"}


def shelf(*garments, source="wardrobe"):
    return list(
        items(
            *(
                {"id": f"item {number}", "source": source, "caption": caption, "attributes": TEE | changes}
                for number, (caption, changes) in enumerate(garments)
            )
        ).values()
    )


def test_a_garment_answers_where_it_has_all_that_the_caption_says():
    asked = "a navy striped t-shirt with long sleeves"
    found = shelf(
        (asked, {}),
        ("one", {"fit": "oversized"}),
        ("two", {"sleeves": "short"}),
        ("three", {"colour": "blue"}),
        ("four", {"pattern": "plain"}),
        ("five", {"kind": "polo shirt"}),
    )
    assert answered_by(found[:1], found).tolist() == [[True, True, False, False, False, False]]


def test_items_of_other_sources_answer_for_themselves_alone():
    found = shelf(("a tee", {}), ("a tee", {}), source="feed")
    assert answered_by(found, found).tolist() == [[True, False], [False, True]]


@pytest.mark.parametrize(
    ("caption", "attributes", "said"),
    [
        ("a fitted red shirt", {"kind": "shirt", "fit": "fitted", "sleeves": "long"}, ["fit"]),
        ("a shirt with long sleeves", {"kind": "shirt", "fit": "fitted", "sleeves": "long"}, ["sleeves"]),
        ("a long-sleeved shirt", {"kind": "shirt", "sleeves": "long"}, ["sleeves"]),
        ("a long cardigan", {"kind": "cardigan", "length": "long"}, ["length"]),
        ("a long-haired cardigan", {"kind": "cardigan", "length": "long"}, []),
        ("a silver ring with one dark-blue stone", {"kind": "ring", "style": "solitaire"}, ["style"]),
        ("a silver ring", {"kind": "ring", "style": "solitaire"}, []),
        ("a belt with a round gold buckle", {"kind": "belt", "buckle": "round buckle", "width": "slim"}, ["buckle"]),
    ],
)
def test_a_caption_asks_for_the_cut_that_it_tells(caption, attributes, said):
    look = {"colour": "red", "pattern": "plain"}
    assert list(asked_of_wardrobe(caption, attributes | look)) == ["kind", "colour", "pattern", *said]


def test_captions_of_the_wardrobe_tell_most_of_what_can_be_said_of_a_cut(monkeypatch):
    """Who answers a caption follows from its own words, and every garment's own caption is true of it."""
    monkeypatch.setattr(feed, "drawn", lambda look, *, folds: "")
    rows = feed.read_wardrobe(items=600).rows
    told, there = 0, 0
    for row in rows:
        asked = asked_of_wardrobe(row.caption, row.attributes)
        assert asked.items() <= row.attributes.items()
        told += len(asked) - 3
        there += len(kinds()[row.attributes["kind"]]["cut"])
    assert 0.4 < told / there < 0.95
