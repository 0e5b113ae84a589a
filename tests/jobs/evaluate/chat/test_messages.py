"""How answers become shares: hits by caption or attribute, products by presence, pictures by what is related."""

import pytest

from jobs.evaluate.chat import messages, telling
from jobs.evaluate.chat.likeness import Choice
from jobs.evaluate.chat.questions import Answer, Came, Question
from jobs.evaluate.chat.turns import Answering
from jobs.evaluate.sets.conditions import on_top, parsed
from jobs.evaluate.sets.quality_set import QualitySet, Wish
from tests.jobs.evaluate.shelf import catalogue, items

QUERIES = QualitySet(
    name="small",
    catalogue="test",
    wishes=(Wish("It's pouring!", ("Umbrella", "coat")), Wish("My feet are cold", ("socks",))),
    others=("Thanks!", "What is 2 + 2?"),
    picture_messages=("Similar ones!", "More?"),
)
SHELF = items(*({"id": name, "caption": name} for name in ("boot", "UMBRELLA", "coat", "socks", "hat", "a", "b", "c")))


def row(id, group, subgroup, split):
    return {"id": id, "group": group, "attributes": {"subgroup": subgroup}, "split": split}


def wish_answer(position, retrieval, *ids, queries=QUERIES):
    question = Question("wish", position, (queries.wishes[position].text,), retrieval)
    return Answer(question, (Came(ids, "reply"),))


def other_answer(position, *ids):
    return Answer(Question("other", position, (QUERIES.others[position],), "auto"), (Came(ids, "reply"),))


def picture_answer(item_id, *ids):
    return Answer(Question("picture", 0, ("Similar ones!",), "always", item_id), (Came(ids, "reply"),))


def told(answers, queries, shelf):
    return telling.Measured(queries, shelf, answers, [], Answering(shelf, queries), Choice(shelf, queries))


def test_each_wish_is_asked_in_auto_and_always_and_others_in_auto_alone():
    shelf = catalogue(row("a", "a", "hat", "train"))
    questions = messages.questions_of(QUERIES, shelf.items())
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
    assert (questions[-1].item_id, questions[-1].exclude) == ("a", ("a",))


def test_shares_count_hits_in_the_first_five_and_products_on_others():
    answers = [
        wish_answer(0, "auto", "boot", "UMBRELLA"),
        wish_answer(1, "auto"),
        wish_answer(0, "always", "a", "b", "c", "hat", "socks", "coat"),
        wish_answer(1, "always", "socks"),
        other_answer(0),
        other_answer(1, "boot"),
    ]
    scores = messages.score_messages(answers, QUERIES, SHELF)
    intervals = scores.pop("intervals")
    assert scores == {
        "wishes": 2,
        "others": 2,
        "hit_at_5_auto": 0.5,
        "hit_at_5_always": 0.5,
        "hit_at_1_auto": 0.0,
        "hit_at_1_always": 0.5,
        "products_on_wishes": 0.5,
        "products_on_others": 0.5,
    }
    assert intervals["hit_at_5_auto"] == [0.0, 1.0]


def test_wishes_of_a_group_are_scored_by_themselves_beside_what_chance_would_reach():
    red = on_top((), parsed({"colour": "red"}, "must"))
    queries = QualitySet(
        name="small",
        catalogue="test",
        wishes=(
            Wish("red", must=red, by="look"),
            Wish("cold", ("b",), by="need"),
            Wish("reddish", must=red, by="look"),
        ),
        others=("Thanks!",),
    )
    shelf = items({"id": "a", "attributes": {"colour": "red"}}, *({"id": id, "caption": id} for id in "bcdefghij"))
    answers = [
        wish_answer(position, retrieval, *ids, queries=queries)
        for retrieval in ("auto", "always")
        for position, ids in enumerate([("b", "a"), ("b",), ("b", "c")])
    ]
    scores = messages.score_messages(answers, queries, shelf)
    look, need = scores["by_look"], scores["by_need"]
    assert (look["n"], look["hit_at_5_auto"], look["hit_at_1_auto"], look["hit_at_5_by_chance"]) == (2, 0.5, 0.0, 0.5)
    assert (need["n"], need["hit_at_5_always"], need["hit_at_1_always"]) == (1, 1.0, 1.0)
    assert look["intervals"]["hit_at_5_auto"] == [0.0, 1.0]


def test_a_picture_counts_its_siblings_and_its_subgroup_but_not_itself():
    shelf = items(
        row("man", "person", "people", "train"),
        row("woman", "person", "people", "train"),
        row("boy", "child", "people", "train"),
        row("hat", "hat", "clothing", "train"),
        row("cap", "cap", "clothing", "held-out"),
    )
    answers = [
        picture_answer("man", "man", "boy"),
        picture_answer("woman", "hat", "man"),
        picture_answer("cap", "man"),
    ]
    scores = messages.score_pictures(answers, shelf)
    train, held_out = scores["train"], scores["held-out"]
    assert (train["items"], train["with_siblings"]) == (2, 2)
    assert (train["sibling_at_5"], train["subgroup_at_5"], train["related_at_5"]) == (0.5, 1.0, 1.0)
    assert (held_out["with_siblings"], held_out["subgroup_at_5"]) == (0, 0.0)
    assert "sibling_at_5" not in held_out


def test_chance_is_that_of_drawing_without_replacement():
    assert messages.chance_of_one(1, 10, drawn=5) == pytest.approx(0.5)
    assert messages.chance_of_one(0, 10) == 0
    assert messages.chance_of_one(6, 10) == 1
    assert messages.chance_of_one(1, 3) == 1


def test_the_pictured_sample_is_of_each_split_and_stays_the_same():
    rows = [(f"{letter}{number}", f"g{letter}{number}", split) for number in range(5) for letter, split in ("at", "bh")]
    rows = [row(id, group, "x", "train" if split == "t" else "held-out") for id, group, split in rows]
    sample = messages.pictured_items(catalogue(*rows), limit=2)
    again = messages.pictured_items(catalogue(*reversed(rows)), limit=2)
    assert [item.id for item in sample] == ["b0", "b1", "a0", "a1"] == [item.id for item in again]
    assert messages.pictured_items(catalogue(*rows), limit=0) == []


def test_the_table_says_hit_miss_or_nothing_for_each_wish():
    answers = [wish_answer(0, "auto", "coat"), wish_answer(1, "auto", "hat"), wish_answer(1, "always"), other_answer(0)]
    lines = telling.table_of(told(answers, QUERIES, SHELF)).splitlines()
    assert [line.split()[2] for line in lines[::2]] == ["hit", "miss", "nothing", "-"]
    assert lines[1].strip() == "coat"
    assert lines[5].strip() == "reply"


def test_details_hold_what_was_asked_and_what_came():
    shelf = SHELF | items(row("cap", "cap", "clothing", "train"), row("bonnet", "bonnet", "clothing", "train"))
    answers = [wish_answer(0, "auto", "coat"), other_answer(0), picture_answer("cap", "bonnet")]
    wish, other, picture = telling.details_of(told(answers, QUERIES, shelf))
    assert (wish["hit"], wish["products"], wish["accept"]) == (True, ["coat"], ("Umbrella", "coat"))
    assert (other["kind"], other["reply"]) == ("other", "reply")
    assert (picture["picture_of"], picture["related"]) == ("caption of cap", True)


def test_the_summary_has_a_line_for_each_share_however_deep_it_lies():
    look = {"n": 2, "hit_at_5_auto": 0.5, "intervals": {"hit_at_5_auto": [0.0, 1.0]}}
    metrics = {"wishes": 2, "hit_at_5_auto": 1.0, "intervals": {"hit_at_5_auto": [1.0, 1.0]}, "by_look": look}
    assert [line.split() for line in telling.summary_of(metrics)] == [
        ["hit_at_5_auto", "1.00", "[1.00,", "1.00]"],
        ["by_look", "hit_at_5_auto", "0.50", "[0.00,", "1.00]"],
    ]
