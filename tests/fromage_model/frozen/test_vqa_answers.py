"""Answers compare as in VQA's evaluation: each case is worked out by hand from its rules."""

import pytest

from fromage_model.frozen.vqa_answers import normalise_answer, soft_score, soft_scores


@pytest.mark.parametrize(
    ("given", "compared"),
    [
        ("A dog", "dog"),
        ("the Two dogs", "2 dogs"),
        ("none", "0"),
        ("ten", "10"),
        ("eleven", "eleven"),
        ("dont know", "don't know"),
        ("couldntve", "couldntve"),
        ("couldnt've", "couldn't've"),
        ("somebody'd", "somebodyd"),
        ("Im", "im"),
        ("yes.", "yes"),
        ("2.5", "2.5"),
        ("2.", "2"),
        ("10:30", "10:30"),
        ("black/white", "black white"),
        ("black/ white", "black white"),
        ("t-shirt", "t shirt"),
        ("t-shirt - red", "tshirt red"),
        ("1,000", "1000"),
        ("1,000 a-b", "1000 ab"),
        (" on\tthe\ntable ", "on table"),
        ("?", ""),
        ("", ""),
    ],
)
def test_an_answer_is_compared_in_the_form_that_the_evaluation_gives_it(given, compared):
    assert normalise_answer(given) == compared


def test_normalising_again_changes_nothing_that_people_answer():
    for text in ("A dog", "dont know", "t-shirt", "1,000", "10:30", "2.5"):
        assert normalise_answer(normalise_answer(text)) == normalise_answer(text)


def test_an_answer_counts_three_tenths_for_each_who_gave_it_and_never_more_than_one():
    assert [soft_score(count) for count in range(6)] == [0.0, 0.3, 0.6, 0.9, 1.0, 1.0]


def test_wordings_of_one_answer_are_counted_together_in_the_order_of_the_first():
    given = ["Two", "a dog", "2", "dog", "the dog", "dog.", "cat", "?", "2", "dog"]
    assert soft_scores(given) == {"2": 0.9, "dog": 1.0, "cat": 0.3}
