"""How answers become shares: hits by caption, products by their presence, pictures by siblings and subgroups."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from fromage_model.catalogue import SCHEMA, Catalogue
from jobs.evaluate import chat_quality
from jobs.evaluate.chat_quality import Answer, Question
from jobs.evaluate.quality_set import QualitySet, Wish

QUERIES = QualitySet(
    name="small",
    catalogue="test",
    wishes=(Wish("It's pouring!", ("Umbrella", "coat")), Wish("My feet are cold", ("socks",))),
    others=("Thanks!", "What is 2 + 2?"),
    picture_messages=("Similar ones!", "More?"),
)


def catalogue(*rows):
    """Each row is (id, group, subgroup, split)."""
    values = [
        {
            "id": id,
            "image": f"{id}.png",
            "image_sha256": "0" * 64,
            "source": "test",
            "caption": f"caption of {id}",
            "attributes": {"subgroup": subgroup},
            "group": group,
            "split": split,
            "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
        }
        for id, group, subgroup, split in rows
    ]
    return Catalogue(Path("nowhere"), table=pa.Table.from_pylist(values, schema=SCHEMA), info={"name": "test"})


def wish_answer(position, retrieval, *captions):
    question = Question("wish", position, QUERIES.wishes[position].text, retrieval)
    return Answer(question, captions, captions, "reply")


def other_answer(position, *captions):
    return Answer(Question("other", position, QUERIES.others[position], "auto"), captions, captions, "reply")


def picture_answer(item_id, *ids):
    return Answer(Question("picture", 0, "Similar ones!", "always", item_id), ids, ids, "reply")


def test_each_wish_is_asked_in_auto_and_always_and_others_in_auto_alone():
    items = catalogue(("a", "a", "hat", "train"))
    questions = chat_quality.questions_of(QUERIES, items.items())
    asked = [(question.kind, question.about, question.retrieval) for question in questions]
    assert asked == [
        ("wish", 0, "auto"),
        ("wish", 0, "always"),
        ("wish", 1, "auto"),
        ("wish", 1, "always"),
        ("other", 0, "auto"),
        ("other", 1, "auto"),
        ("picture", 0, "always"),
    ]
    assert questions[-1].item_id == "a"


def test_shares_count_hits_in_the_first_five_and_products_on_others():
    answers = [
        wish_answer(0, "auto", "boot", "UMBRELLA"),
        wish_answer(1, "auto"),
        wish_answer(0, "always", "a", "b", "c", "d", "e", "coat"),
        wish_answer(1, "always", "socks"),
        other_answer(0),
        other_answer(1, "boot"),
    ]
    scores = chat_quality.score_messages(answers, QUERIES)
    intervals = scores.pop("intervals")
    assert scores == {
        "wishes": 2,
        "others": 2,
        "hit_at_5_auto": 0.5,
        "hit_at_5_always": 0.5,
        "products_on_wishes": 0.5,
        "products_on_others": 0.5,
    }
    assert intervals["hit_at_5_auto"] == [0.0, 1.0]


def test_a_picture_counts_its_siblings_and_its_subgroup_but_not_itself():
    items = catalogue(
        ("man", "person", "people", "train"),
        ("woman", "person", "people", "train"),
        ("boy", "child", "people", "train"),
        ("hat", "hat", "clothing", "train"),
        ("cap", "cap", "clothing", "held-out"),
    )
    answers = [
        picture_answer("man", "man", "boy"),
        picture_answer("woman", "hat", "man"),
        picture_answer("cap", "man"),
    ]
    scores = chat_quality.score_pictures(answers, items)
    train, held_out = scores["train"], scores["held-out"]
    assert (train["items"], train["with_siblings"]) == (2, 2)
    assert (train["sibling_at_5"], train["subgroup_at_5"], train["related_at_5"]) == (0.5, 1.0, 1.0)
    assert (held_out["with_siblings"], held_out["subgroup_at_5"]) == (0, 0.0)
    assert "sibling_at_5" not in held_out


def test_chance_is_that_of_drawing_without_replacement():
    assert chat_quality.chance_of_one(1, 10, drawn=5) == pytest.approx(0.5)
    assert chat_quality.chance_of_one(0, 10) == 0
    assert chat_quality.chance_of_one(6, 10) == 1
    assert chat_quality.chance_of_one(1, 3) == 1


def test_the_pictured_sample_is_of_each_split_and_stays_the_same():
    rows = [(f"{letter}{row}", f"g{letter}{row}", "x", split) for row in range(5) for letter, split in ("at", "bh")]
    rows = [(id, group, subgroup, "train" if split == "t" else "held-out") for id, group, subgroup, split in rows]
    sample = chat_quality.pictured_items(catalogue(*rows), limit=2)
    again = chat_quality.pictured_items(catalogue(*reversed(rows)), limit=2)
    assert [item.id for item in sample] == ["b0", "b1", "a0", "a1"] == [item.id for item in again]
    assert chat_quality.pictured_items(catalogue(*rows), limit=0) == []


def test_the_table_says_hit_miss_or_nothing_for_each_wish():
    answers = [wish_answer(0, "auto", "coat"), wish_answer(1, "auto", "hat"), wish_answer(1, "always"), other_answer(0)]
    lines = chat_quality.table_of(answers, QUERIES).splitlines()
    assert [line.split()[2] for line in lines[::2]] == ["hit", "miss", "nothing", "-"]
    assert lines[1].strip() == "coat"
    assert lines[5].strip() == "reply"


def test_details_hold_what_was_asked_and_what_came():
    items = catalogue(("hat", "hat", "clothing", "train"), ("cap", "cap", "clothing", "train"))
    answers = [wish_answer(0, "auto", "coat"), other_answer(0), picture_answer("cap", "hat")]
    wish, other, picture = chat_quality.details_of(answers, QUERIES, items)
    assert (wish["hit"], wish["products"], wish["accept"]) == (True, ("coat",), ("Umbrella", "coat"))
    assert (other["kind"], other["reply"]) == ("other", "reply")
    assert (picture["picture_of"], picture["related"]) == ("caption of cap", True)
