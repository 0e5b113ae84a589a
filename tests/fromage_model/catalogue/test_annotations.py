"""Captions and questions of a data set, as they stand in an item's attributes."""

from datetime import UTC, datetime

import pytest

from fromage_model.catalogue import Item
from fromage_model.catalogue.annotations import Question, captions_of, questions_of, questions_text
from fromage_model.errors import CatalogueError


def item(caption: str | None = None, **attributes: str) -> Item:
    now = datetime.now(UTC)
    return Item("0" * 32, "a.jpg", "0" * 64, "test", caption, None, None, None, None, attributes, "g", "train", now)


def test_captions_are_all_that_an_item_has_its_own_first():
    assert captions_of(item("a dog", captions='["two dogs", "a dog"]')) == ["a dog", "two dogs"]
    assert captions_of(item("a dog")) == ["a dog"]
    assert captions_of(item()) == []


def test_captions_that_are_no_texts_are_refused_with_the_item_named():
    with pytest.raises(CatalogueError, match=rf"attribute captions of item {'0' * 32}: expected texts, got \[3\]"):
        captions_of(item("a dog", captions="[3]"))


def test_questions_come_back_as_they_were_written():
    asked = [
        Question(1, "What is it?", ("dog", "Hund"), "dog", "other", "what is"),
        Question(0, "How many?", test_dev=True),
    ]
    assert questions_of(item(visual_questions=questions_text(asked))) == asked
    assert questions_of(item()) == []


@pytest.mark.parametrize("text", ["{", '{"id": 1}', "[1]", '[{"id": 1}]', '[{"id": 1, "question": "?", "colour": 2}]'])
def test_questions_that_are_none_are_refused_with_the_item_named(text):
    with pytest.raises(CatalogueError, match=f"attribute visual_questions of item {'0' * 32}"):
        questions_of(item(visual_questions=text))
