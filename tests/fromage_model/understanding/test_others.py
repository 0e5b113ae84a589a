"""Whether products that were shown may come again, by what is said after them."""

import pytest

from fromage_model.understanding import Shown, shown_by
from fromage_model.understanding.others import asks_for_others, turns_down
from fromage_model.understanding.words import words_of

FIRST, SECOND = ["a", "b"], ["c"]

NARROWING = (
    "in black",
    "in blue please",
    "something more formal",
    "no more than 50 euros",
    "under 80",
    "does the second one come in wool?",
    "tell me about the Norden coat",
    "I like these, with a zip though",
    "I don't like wool",
    "and for a wedding?",
    "",
)
OTHERS = (
    "show me more",
    "a few more please",
    "More options?",
    "more like this",
    "what else is there?",
    "anything else in black?",
    "other ones",
    "do you have others",
    "another one",
    "same thing, different colours",
    "Any more?",
    "shorter",
    "more expensive than that",
    "they are a bit long for me",
    "다른 거 보여줘",
    "더 보여줘",
)
TURNED_DOWN = (
    "not these",
    "No, not those!",
    "hmm, I don't like them",
    "I don\u2019t like any of these",
    "I don't fancy the look of those",
    "none of these",
    "I hate them",
    "that's not what I meant",
    "not my style",
    "no thanks",
    "이거 말고",
)


@pytest.mark.parametrize("text", NARROWING)
def test_who_narrows_may_be_answered_by_what_was_shown(text):
    assert shown_by(["show me skirts", FIRST, text]) == Shown(again=frozenset(FIRST))


@pytest.mark.parametrize("text", OTHERS)
def test_who_asks_for_others_is_not(text):
    assert asks_for_others(words_of(text))
    assert shown_by(["show me skirts", FIRST, text]) == Shown(gone=frozenset(FIRST))


@pytest.mark.parametrize("text", OTHERS)
def test_what_was_passed_over_may_come_again_later(text):
    assert shown_by(["show me skirts", FIRST, text, SECOND, "in black"]) == Shown(again=frozenset("abc"))


@pytest.mark.parametrize("text", TURNED_DOWN)
def test_what_was_turned_down_is_gone_for_good(text):
    assert turns_down(words_of(text))
    assert shown_by(["show me skirts", FIRST, text]) == Shown(gone=frozenset(FIRST))
    later = shown_by(["show me skirts", FIRST, text, SECOND, "in black"])
    assert later == Shown(gone=frozenset(FIRST), again=frozenset(SECOND))


def test_what_was_turned_down_stays_gone_where_it_came_again():
    assert shown_by(["skirts", FIRST, "not these", ["a", "c"], "in black"]) == Shown(frozenset("ab"), frozenset("c"))


def test_without_products_there_is_nothing_to_leave_out():
    assert shown_by(["hello", [], "what else?"]) == Shown()
    assert shown_by([]) == Shown()
