"""Conversations scored: what each turn asks by then, beside what was shown before, and which turns count."""

import pytest

from jobs.evaluate.chat import baselines, turns
from jobs.evaluate.chat.questions import Answer, Came
from jobs.evaluate.sets.conditions import asks_anew, on_top, parsed
from jobs.evaluate.sets.quality_set import QualitySet, Turn
from tests.jobs.evaluate.shelf import garments

SHELF = garments(
    mini={"kind": "skirt", "colour": "red", "length": "mini", "price": "20"},
    midi={"kind": "skirt", "colour": "red", "length": "midi", "price": "30"},
    maxi={"kind": "skirt", "colour": "blue", "length": "maxi", "price": "40"},
    hat={"kind": "hat", "colour": "red", "price": "10"},
)
ORDERS = {"length": ("mini", "midi", "maxi")}


def queries(*conversations):
    """Each turn is its text and what it must be, or None."""
    read = []
    for said in conversations:
        before, own = (), []
        for text, must in said:
            asked = () if must is None else parsed(must, "must")
            before = on_top(before, asked) if asked else before
            own.append(Turn(text, before if asked else None, anew=bool(own) and asks_anew(asked)))
        read.append(tuple(own))
    return QualitySet("small", "test", (), (), conversations=tuple(read), orders=ORDERS)


def scored(asked_of, *came):
    """What a conversation scores where these ids came after its turns."""
    answers = [
        Answer(question, tuple(Came(ids, "reply") for ids in own))
        for question, own in zip(turns.questions_of(asked_of), came, strict=True)
    ]
    found = turns.turns_of(answers, asked_of)
    return found, turns.Answering(SHELF, asked_of)


def held(asked_of, *came):
    found, answering = scored(asked_of, came)
    return [answering.holds(asked) if answering.possible(asked) else None for asked in found]


SKIRTS = ("skirts?", {"kind": "skirt"})


def test_a_conversation_is_one_question_whose_turns_are_said_one_after_the_other():
    (question,) = turns.questions_of(queries([SKIRTS, ("red", {"colour": "red"})]))
    assert (question.kind, question.texts, question.retrieval) == ("conversation", ("skirts?", "red"), "auto")


def test_a_turn_holds_by_what_was_said_before_it_too():
    asked_of = queries([SKIRTS, ("red", {"colour": "red"})])
    assert held(asked_of, ("maxi",), ("hat", "midi")) == [True, True]
    assert held(asked_of, ("maxi",), ("hat",)) == [True, False]
    assert held(asked_of, ("hat",), ()) == [False, False]


def test_only_the_first_five_count():
    asked_of = queries([("a hat", {"kind": "hat"})])
    assert held(asked_of, ("mini", "midi", "maxi", "mini", "midi", "hat")) == [False]


def test_shorter_is_meant_beside_what_the_turn_before_showed():
    asked_of = queries([SKIRTS, ("shorter", {"length": {"than": "less"}})])
    assert held(asked_of, ("maxi",), ("midi",)) == [True, True]
    assert held(asked_of, ("midi",), ("maxi",)) == [True, False]
    assert held(asked_of, ("maxi", "mini"), ("midi",)) == [True, None]


def test_a_turn_that_showed_nothing_is_passed_over_when_the_next_one_compares():
    asked_of = queries([SKIRTS, ("thanks", None), ("cheaper", {"price": {"than": "less"}})])
    assert held(asked_of, ("maxi",), (), ("midi",)) == [True, True, True]


def test_what_was_shown_does_not_answer_again_and_a_turn_without_another_answer_does_not_count():
    asked_of = queries([SKIRTS, ("others", {}), ("others", {}), ("others", {})])
    assert held(asked_of, ("maxi",), ("maxi",), ("midi", "mini"), ("hat",)) == [True, False, True, None]


def test_what_narrows_may_be_answered_by_what_was_shown_and_what_compares_may_not():
    asked_of = queries([SKIRTS, ("in red", {"colour": "red"}), ("shorter", {"length": {"than": "less"}})])
    assert held(asked_of, ("maxi", "midi"), ("midi",), ("mini",)) == [True, True, True]
    assert held(asked_of, ("maxi", "midi"), ("maxi", "midi"), ("midi",)) == [True, True, False]


def test_a_turn_that_calls_for_nothing_holds_where_nothing_comes():
    asked_of = queries([("hello", None), SKIRTS])
    assert held(asked_of, (), ("midi",)) == [True, True]
    assert held(asked_of, ("hat",), ("midi",)) == [False, True]


def test_precision_is_of_as_many_products_as_could_answer():
    asked_of = queries([("hat?", {"kind": "hat"}), ("red", {"kind": None, "colour": "red"})])
    found, answering = scored(asked_of, [("hat", "maxi"), ("mini", "midi", "hat")])
    assert [answering.precision(asked) for asked in found] == [1.0, 1.0]
    found, answering = scored(asked_of, [("maxi",), ("mini", "maxi")])
    assert [answering.precision(asked) for asked in found] == [0.0, pytest.approx(1 / 3)]


def test_shares_are_over_turns_that_count_and_over_conversations():
    asked_of = queries([SKIRTS, ("red", {"colour": "red"})], [("hat?", {"kind": "hat"}), ("thanks", None)])
    found, answering = scored(asked_of, [("maxi",), ("hat",)], [("mini", "hat"), ("midi",)])
    scores = turns.score(found, answering)
    intervals = scores.pop("intervals")
    assert scores == {
        "conversations": 2,
        "n": 4,
        "later_n": 1,
        "unanswerable": 0,
        "held": 0.5,
        "later_hit_at_5": 0.0,
        "later_precision_at_5": 0.0,
        "hit_at_1": pytest.approx(1 / 3, abs=1e-4),
        "products_on_quiet": 1.0,
        "whole": 0.0,
    }
    assert intervals["held"] == [0.5, 0.5]


def test_a_baseline_is_asked_the_later_turns_alone_and_scored_beside_what_the_chat_had_shown():
    asked_of = queries([SKIRTS, ("shorter", {"length": {"than": "less"}}), ("thanks", None)])
    found, answering = scored(asked_of, [("maxi",), ("hat",), ()])
    later = baselines.later_turns(found, answering)
    assert [asked.turn.text for asked in later] == ["shorter"]
    (question,) = baselines.last_turn_questions(later)
    assert (question.texts, question.retrieval, question.exclude) == (("shorter",), "always", ("maxi",))

    def share(*ids):
        return baselines.score_last_turns([Answer(question, (Came(ids, ""),))], later, answering)["later_hit_at_5"]

    assert (share("midi"), share("hat"), share("maxi")) == (1.0, 0.0, 0.0)
