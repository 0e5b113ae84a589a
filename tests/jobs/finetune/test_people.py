"""What people say, for training: of attributes that there are, once each, and learned by garments that serve it."""

import random
from collections import Counter

import pytest

from fromage_model.catalogue.wardrobe.choose import kinds
from fromage_model.catalogue.wardrobe.feed import read_wardrobe
from jobs.finetune.examples.answering import Facts
from jobs.finetune.examples.people import FORMS, ITEMS_OF_EACH, People, people
from tests.jobs.finetune.test_examples import normalised
from tests.jobs.finetune.test_garments import items  # noqa: F401


@pytest.mark.parametrize("form", FORMS)
def test_what_is_asked_for_are_attributes_of_the_wardrobe(form):
    known: dict[str, set[str]] = {"kind": set(kinds())}
    for row in read_wardrobe(items=3000).rows:
        for name, values in row.attributes.items():
            known.setdefault(name, set()).update(values.split(", "))
    for told in people(form):
        for name, values in told.asked:
            assert values <= known[name], (told.messages, name)


def test_nothing_stands_twice():
    said = Counter(" / ".join(map(normalised, told.messages)) for form in FORMS for told in people(form))
    assert [text for text, count in said.items() if count > 1] == []


def test_a_conversation_has_several_messages_and_all_else_one():
    assert {len(told.messages) for told in people("turns")} == {2, 3, 4}
    assert {len(told.messages) for form in ("looks", "needs") for told in people(form)} == {1}


def test_items_learn_what_they_serve_and_everything_that_some_item_serves_is_learned(items):  # noqa: F811
    facts = Facts(items)
    served = People(facts)
    each = served.each(random.Random(0))
    assert all(facts.meet(told.asked)[item] for item, told in each)
    counts = Counter(told for _, told in each)
    for form in FORMS:
        for told in people(form):
            assert counts[told] == min(ITEMS_OF_EACH, int(facts.meet(told.asked).sum()))
    assert all(told in served.of(item) for item, told in each)
