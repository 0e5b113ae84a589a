"""What training says of garments: true to the item, answered by all that have what is asked, never what is measured."""

import random
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import torch

from fromage_model.catalogue import Item
from fromage_model.catalogue.wardrobe.feed import read_wardrobe
from jobs.finetune.examples import garment_wording as wording
from jobs.finetune.examples.answering import Facts
from jobs.finetune.examples.garments import Garments, are_garments
from tests.jobs.finetune.test_examples import measured, normalised


@pytest.fixture(scope="module")
def items() -> list[Item]:
    return [
        Item(
            id=f"id{row.row}",
            image=f"{row.row}.png",
            image_sha256=f"{row.row:064x}",
            source="wardrobe",
            caption=row.caption,
            caption_by=None,
            caption_at=None,
            item_url=None,
            brand=row.brand,
            attributes=row.attributes,
            group=row.group or "",
            split="train",
            updated_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        for row in read_wardrobe(items=150).rows
    ]


@pytest.fixture(scope="module")
def garments(items) -> Garments:
    return Garments(items, np.arange(len(items), dtype=np.float32)[:, None])


def drawn(garments: Garments, times: int = 6):
    draw = random.Random(0)
    return [(item, garments.draw(item, draw)) for item in range(len(garments.items)) for _ in range(times)]


def test_a_catalogue_of_kinds_colours_and_patterns_is_one_of_garments_whatever_its_name(items):
    assert are_garments(items)
    assert not are_garments([])
    del (bare := dict(items[0].attributes))["pattern"]
    assert not are_garments([replace(items[0], attributes=bare), *items[1:]])


def test_every_text_asks_only_for_what_its_own_item_has(garments):
    for item, said in drawn(garments):
        assert garments.facts.meet(said.asked)[item], said


def test_texts_are_captions_wishes_conversations_and_pictures_without_gaps(garments):
    forms = set()
    for _, said in drawn(garments):
        parts = [part for message in said.messages for part in message.parts]
        text = " ".join([said.caption or "", *(part for part in parts if isinstance(part, str))])
        assert "{" not in text, said
        assert "None" not in text, said
        forms.add((said.caption is not None, len(said.messages) > 1, any(not isinstance(p, str) for p in parts)))
    assert forms == {(True, False, False), (False, False, False), (False, True, False), (False, False, True)}


def test_items_with_what_is_asked_for_count_as_answers_and_others_do_not(items):
    facts = Facts(items)
    kind = items[0].attributes["kind"]
    asked = (("kind", frozenset({kind})),)
    found = facts.pairs([asked, ()], [0, 1])
    assert found[0, 0] == 1
    assert float(found[0, 1]) == (items[1].attributes["kind"] == kind)
    assert torch.equal(found[1], torch.zeros(2))


def test_of_attributes_with_several_values_one_is_enough(items):
    facts = Facts(items)
    row = next(row for row, item in enumerate(items) if ", " in item.attributes["occasions"])
    for one in items[row].attributes["occasions"].split(", "):
        assert facts.meet((("occasions", frozenset({one})),))[row]


def test_a_change_under_a_picture_is_something_that_the_pictured_item_lacks(garments):
    draw = random.Random(1)
    for item in range(len(garments.items)):
        said = garments.pictured(item, draw)
        (picture,) = [part for part in said.messages[-1].parts if not isinstance(part, str)]
        shown = int(picture[0])
        assert garments.items[shown].attributes["kind"] == garments.items[item].attributes["kind"]
        if shown != item:
            assert not garments.facts.meet(said.asked)[shown], said


def test_attributes_that_the_wording_names_exist_in_the_wardrobe(garments):
    known = {name: set() for name in ("occasions", "season", "worn_on", "section")}
    for row in read_wardrobe(items=1500).rows:
        for name, values in known.items():
            values.update(row.attributes[name].split(", "))
    tables = (wording.OCCASIONS, wording.SEASONS, wording.WORN, wording.SECTIONS)
    for (name, values), table in zip(known.items(), tables, strict=True):
        assert set(table) <= values, name


def test_what_training_says_of_garments_is_no_message_that_the_chat_is_measured_by(garments):
    asked = {normalised(text) for text in measured()}
    said = {normalised(message.text) for _, one in drawn(garments, times=20) for message in one.messages}
    assert sorted(said & asked) == []
