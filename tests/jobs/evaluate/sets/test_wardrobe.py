"""The wardrobe's set: enough of everything, said once, and about things that the wardrobe has."""

from collections import Counter

import pytest

from fromage_model.catalogue.wardrobe import feed
from fromage_model.catalogue.wardrobe.choose import kinds
from fromage_model.catalogue.wardrobe.look import data
from jobs.evaluate.sets.conditions import Condition, meets, on_top
from jobs.evaluate.sets.files import read_quality_set
from tests.jobs.evaluate.sets.test_files import messages_of, plain

SET = read_quality_set("wardrobe")


@pytest.fixture(scope="module")
def wardrobe():
    """What is true of the garments of the default wardrobe, which are not drawn for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feed, "drawn", lambda look, *, folds: "")
        rows = feed.read_wardrobe().rows
    return [
        {
            **row.attributes,
            "split": "held-out" if "held_out_by" in row.attributes else "train",
            "brand": row.brand or "",
        }
        for row in rows
    ]


def alone(must):
    """The conditions that can be checked without other items."""
    return tuple({name: condition for name, condition in each.items() if condition.than is None} for each in must)


def every_condition():
    for wish in SET.wishes:
        yield from wish.must
    for turns in SET.conversations:
        for turn in turns:
            yield from turn.must or ()
    for one in SET.pictures:
        yield from one.must
        yield from one.of


def test_it_holds_what_was_agreed_on_and_says_nothing_twice():
    assert Counter(wish.by for wish in SET.wishes) == {"look": 40, "need": 40}
    assert (len(SET.others), len(SET.conversations), len(SET.pictures)) == (60, 40, 40)
    assert {len(turns) for turns in SET.conversations} == {2, 3, 4}
    assert len({turns[0].text for turns in SET.conversations}) == 40
    said = Counter(plain(text) for text in messages_of(SET) if len(text.split()) > 2)
    assert [text for text, times in said.items() if times > 1] == []


def test_it_shares_no_message_with_the_other_set():
    others = {plain(text) for text in messages_of(read_quality_set("openmoji"))}
    assert [text for text in messages_of(SET) if len(text.split()) > 1 and plain(text) in others] == []


def test_every_value_that_a_condition_names_is_one_of_the_wardrobe_s(wardrobe):
    known = {
        name: {value for facts in wardrobe for value in facts.get(name, "").split(", ")}
        for name in {name for facts in wardrobe for name in facts}
    }
    unknown = {
        (name, value)
        for each in every_condition()
        for name, condition in each.items()
        for value in condition.named
        if value not in known.get(name, ())
    }
    assert unknown == set()


def test_every_wish_and_every_turn_has_an_answer_in_the_wardrobe(wardrobe):
    wishes = [wish.text for wish in SET.wishes if sum(meets(facts, wish.must) for facts in wardrobe) < 2]
    assert wishes == []
    turns = [
        turn.text
        for conversation in SET.conversations
        for turn in conversation
        if turn.must is not None and sum(meets(facts, alone(turn.must)) for facts in wardrobe) < 4
    ]
    assert turns == []


def test_few_wishes_are_answered_by_much_of_the_wardrobe(wardrobe):
    shares = [sum(meets(facts, wish.must) for facts in wardrobe) / len(wardrobe) for wish in SET.wishes]
    assert max(shares) < 0.15
    assert sorted(shares)[len(shares) // 2] < 0.03


def test_every_picture_message_finds_its_pictures_among_held_out_combinations(wardrobe):
    for one in SET.pictures:
        fitting = [facts for facts in wardrobe if meets(facts, SET.pictured) and meets(facts, one.of)]
        assert len(fitting) >= 2 * one.times, one.text
        assert {facts["held_out_by"] for facts in fitting} == {"combination"}


def test_an_item_is_named_by_words_that_its_kind_colour_or_pattern_has():
    assert set(SET.names["kind"]) == set(kinds())
    assert set(SET.names["colour"]) == {*data("cloth")["colours"], *data("cloth")["metals"]}
    assert set(SET.names["pattern"]) == set(data("sayings")["patterns"])
    unnamed = {
        name
        for name, words in SET.names["kind"].items()
        if not {*words, *(f"{word}s" for word in words)} & {name, *kinds()[name]["words"]}
    }
    assert unnamed == set()


def test_orders_name_only_options_of_the_cut():
    for attribute, order in SET.orders.items():
        assert set(order) == set(data("cuts")[attribute])


def test_a_conversation_narrows_turn_by_turn():
    (first, second, third, fourth), *_ = SET.conversations
    dresses = Condition(any_of=("dress", "shirt dress", "slip dress"))
    blue = Condition(any_of=("blue", "navy"))
    assert first.must == ({"kind": dresses},)
    assert second.must == ({"kind": dresses, "colour": blue},)
    assert third.must == on_top(second.must, [{"length": Condition(than="less")}])
    assert fourth.must == second.must
