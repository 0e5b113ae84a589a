"""Messages under pictures: which pictures are shown, what answers them, and whether a reply names what they show."""

import numpy as np
import pytest

from jobs.evaluate.chat import baselines, likeness
from jobs.evaluate.chat.likeness import Choice
from jobs.evaluate.chat.questions import Answer, Came
from jobs.evaluate.sets.conditions import on_top, parsed
from jobs.evaluate.sets.quality_set import PictureMessage, QualitySet
from tests.jobs.evaluate.shelf import garments, items

SHELF = garments(
    red={"kind": "skirt", "colour": "red", "length": "mini"},
    long={"kind": "skirt", "colour": "red", "length": "maxi"},
    blue={"kind": "skirt", "colour": "blue", "length": "mini"},
    hat={"kind": "hat", "colour": "red"},
)
ALIKE = {"kind": {"than": "same"}, "colour": {"than": "same"}}
NAMES = {"kind": {"skirt": ("skirt",), "hat": ("hat", "cap")}, "colour": {"red": ("red", "scarlet")}}


def must(value):
    return on_top((), parsed(value, "must"))


def message(text, of, asked=None, *, names=(), times=1):
    return PictureMessage(text, must(of), must(asked) if asked else (), names, times)


def queries(*pictures, pictured=None):
    orders = {"length": ("mini", "maxi")}
    return QualitySet(
        "small", "test", (), (), pictures=pictures, pictured=must(pictured or {}), orders=orders, names=NAMES
    )


def shown(*pictures, shelf=SHELF, **options):
    return [(one.message.text, one.item.id) for one in Choice(shelf, queries(*pictures, **options)).pictured]


def test_a_picture_is_of_the_first_item_that_fits_and_that_another_item_answers():
    assert shown(message("alike?", {"kind": "skirt"}, ALIKE)) == [("alike?", "red")]
    assert shown(message("alike?", {"colour": "blue"}, ALIKE)) == []
    assert shown(message("longer?", {"kind": "skirt"}, {"length": {"than": "more"}})) == [("longer?", "red")]
    assert shown(message("what?", {"colour": "blue"}, names=("kind",))) == [("what?", "blue")]


def test_an_item_with_two_answers_is_shown_before_one_with_a_single_answer():
    more = garments(one={"kind": "hat", "colour": "red"}, two={"kind": "hat", "colour": "red"})
    asked = message("alike?", {}, ALIKE)
    assert (shown(asked), shown(asked, shelf=SHELF | more)) == ([("alike?", "red")], [("alike?", "hat")])


def test_each_item_is_shown_once_as_long_as_there_are_others():
    one, other = (message(text, {"colour": "red"}, names=("kind",), times=2) for text in ("a", "b"))
    assert shown(one, other) == [("a", "red"), ("a", "hat"), ("b", "long"), ("b", "red")]


def test_pictures_are_of_items_of_which_the_set_s_own_condition_holds():
    trained = items(*({"id": id, "attributes": item.attributes} for id, item in SHELF.items()))
    asked = message("what?", {}, names=("kind",))
    assert shown(asked, pictured={"split": "held-out"}) == [("what?", "red")]
    assert shown(asked, shelf=trained, pictured={"split": "held-out"}) == []


def test_the_pictured_item_does_not_come_and_its_picture_is_asked_about_in_both_modes():
    choice = Choice(SHELF, queries(message("alike?", {}, ALIKE), message("what?", {}, names=("kind",))))
    asked = likeness.questions_of(choice.pictured)
    assert [(one.kind, one.retrieval, one.whole) for one in asked] == [
        ("like", "auto", False),
        ("like", "always", False),
        ("what", "auto", True),
    ]
    assert all(one.exclude == (one.item_id,) for one in asked)


def test_likes_are_scored_by_what_was_asked_and_apart_where_something_is_to_change():
    asked_of = queries(message("alike?", {}, ALIKE), message("in blue?", {}, {"kind": "skirt", "colour": "blue"}))
    choice = Choice(SHELF, asked_of)
    came = {("alike?", "auto"): ("hat", "long"), ("alike?", "always"): ("blue",), ("in blue?", "auto"): ("blue",)}
    answers = [
        Answer(question, (Came(came.get((question.text, question.retrieval), ()), ""),))
        for question in likeness.questions_of(choice.pictured)
    ]
    scores = likeness.score_likes(answers, choice)
    assert (scores["n"], scores["hit_at_5_auto"], scores["hit_at_5_always"], scores["hit_at_1_auto"]) == (2, 1, 0, 0.5)
    similar, changed = scores["similar"], scores["changed"]
    assert (similar["n"], similar["hit_at_5_auto"], similar["hit_at_1_auto"]) == (1, 1.0, 0.0)
    assert (changed["n"], changed["hit_at_5_auto"], changed["hit_at_5_always"]) == (1, 1.0, 0.0)
    assert similar["hit_at_5_by_chance"] == 1.0


def test_a_reply_is_scored_by_each_attribute_that_it_was_to_name():
    asked_of = queries(message("what?", {}, names=("kind", "colour"), times=3))
    choice = Choice(SHELF, asked_of)
    assert [one.item.id for one in choice.pictured] == ["red", "hat", "long"]
    replies = ["A scarlet skirt.", "This is a blue cap", "a red dress"]
    answers = [
        Answer(question, (Came((), reply),))
        for question, reply in zip(likeness.questions_of(choice.pictured), replies, strict=True)
    ]
    scores = likeness.score_names(answers, choice, asked_of)
    assert (scores["n"], scores["kind_n"], scores["colour_n"]) == (3, 3, 3)
    assert (scores["kind_named"], scores["colour_named"]) == (pytest.approx(2 / 3, abs=1e-4),) * 2


@pytest.mark.parametrize(
    ("reply", "word", "named"),
    [
        ("Two red skirts.", "skirt", True),
        ("SKIRT", "skirt", True),
        ("a red-and-white shirt", "red", True),
        ("dresses", "dress", True),
        ("a t-shirt", "shirt", False),
        ("a raincoat", "coat", False),
        ("she dressed up", "dress", False),
        ("wellies", "wellies", True),
        ("knee-high boots", "knee-high boot", True),
    ],
)
def test_a_word_is_named_alone_and_in_the_plural(reply, word, named):
    assert likeness.names(reply, [word]) is named


def test_the_nearest_features_answer_as_a_baseline_whatever_was_said():
    asked_of = queries(message("alike?", {}, ALIKE), message("in blue?", {}, {"kind": "skirt", "colour": "blue"}))
    shelf = SHELF | garments(**{f"cap {number}": {"kind": "cap", "colour": f"no {number}"} for number in range(6)})
    choice = Choice(shelf, asked_of)
    assert [one.item.id for one in choice.pictured] == ["red", "long"]
    near = [[1, 0], [1, 0.1], [9, 9], *[[1 + 0.01 * number, 0.2] for number in range(7)]]
    scores = baselines.score_features(list(shelf), np.array(near, dtype=np.float32), choice)
    assert (scores["n"], scores["hit_at_5_similar"], scores["hit_at_5_changed"]) == (2, 1.0, 0.0)
