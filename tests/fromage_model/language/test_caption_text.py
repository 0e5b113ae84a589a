"""A caption that the token limit cut ends where a reader would have ended it; one that ended by itself stays."""

import pytest

from fromage_model.language.caption_text import caption_of, last_complete_clause


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("A red dress with buttons. It has a", "A red dress with buttons."),
        ("A red dress with buttons, worn by a", "A red dress with buttons"),
        ("A red dress; the sleeves are", "A red dress"),
        ("A red dress - long and", "A red dress"),
        ("A red dress. It is long, with a", "A red dress. It is long"),
        ('A shirt that says "hello." on the', 'A shirt that says "hello."'),
        ("A red dress.", "A red dress."),
        ("A bag for 3.5 litres", "A bag for 3.5 litres"),
        ("A woman in a red dress standing on the", "A woman in a red dress standing"),
        ("  A woman in a red dress", "A woman in a red dress"),
        ("A well-made off-white coat", "A well-made off-white coat"),
        (", a dress and a", ", a dress"),
        ("the", "the"),
        ("", ""),
    ],
)
def test_a_text_that_was_cut_ends_at_its_last_complete_clause(written, expected):
    assert last_complete_clause(written) == expected


def test_a_caption_that_ended_by_itself_keeps_its_words():
    assert caption_of(" a dress, with the ", ended=True) == "a dress, with the"
    assert caption_of(" a dress, with the ", ended=False) == "a dress"
