"""What training reads: drawn by seed and step alone, true to its items, and never what the chat is measured by."""

import json
import random
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from fromage_model.catalogue import Catalogue, Item
from jobs.finetune.examples import garment_wording, wording
from jobs.finetune.examples.examples import Exchange, Mix, Phrases, Sampler, defined, named
from jobs.finetune.examples.people import FORMS, people

ITEMS = 20
QUERIES = Path(__file__).parents[3] / "jobs" / "evaluate" / "queries"
EXCHANGES = [Exchange(f"small talk {number}", f"reply {number}", ends=number % 2 == 0) for number in range(5)]


def item(number: int, **attributes: str) -> Item:
    return Item(
        id=f"id{number}",
        image=f"{number}.png",
        image_sha256=f"{number:064x}",
        source="test",
        caption=f"thing-{number}",
        caption_by=None,
        caption_at=None,
        item_url=None,
        brand=None,
        attributes=attributes,
        group=f"group {number // 2}",
        split="train",
        updated_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def tagged(number: int) -> Item:
    return item(number, tags=f"tag-{number}a, tag-{number}b", subgroup="small-things")


def features() -> np.ndarray:
    return np.arange(ITEMS, dtype=np.float32)[:, None] * np.ones((1, 3), dtype=np.float32)


def tags_of(one: Item) -> list[str]:
    return [tag for key in ("tags", "openmoji_tags", "subgroup") for tag in one.attributes.get(key, "").split(",")]


def sampler(*, seed: int = 0, mix: Mix | None = None, items: list[Item] | None = None, batch_size: int = 4) -> Sampler:
    items = items or [tagged(number) for number in range(ITEMS)]
    return Sampler(
        items,
        features(),
        phrases=Phrases(items, None),
        exchanges=EXCHANGES,
        mix=mix or Mix(),
        batch_size=batch_size,
        caption_batch_size=2,
        talk_batch_size=6,
        seed=seed,
    )


def plain(examples) -> str:
    """Everything of a step as text, features included."""
    return repr(examples)


def texts_of(shown) -> str:
    parts = [part for message in shown.messages[-1:] for part in message.parts if isinstance(part, str)]
    return shown.caption or " ".join(parts)


def test_a_step_s_examples_depend_on_seed_step_and_rank_alone():
    one, other = sampler(), sampler()
    for step in (3, 0, 7):
        other.draw(step + 1)
        assert plain(one.draw(step)) == plain(other.draw(step))
    assert plain(one.draw(3)) != plain(one.draw(4))
    assert plain(one.draw(3)) != plain(sampler(seed=1).draw(3))
    assert plain(one.draw(1, rank=0, world_size=2)) != plain(one.draw(1, rank=1, world_size=2))


def test_an_epoch_shows_every_item_once_over_all_ranks():
    some = sampler(batch_size=5)
    steps = some.steps_per_epoch(2)
    assert steps == 2
    seen = [
        shown.item
        for step in range(steps)
        for rank in range(2)
        for shown in some.draw(step, rank=rank, world_size=2).shown
    ]
    assert sorted(seen) == list(range(ITEMS))


def test_epochs_have_orders_of_their_own():
    some = sampler(batch_size=ITEMS)
    orders = [[shown.item for shown in some.draw(epoch).shown] for epoch in range(2)]
    assert sorted(orders[0]) == sorted(orders[1])
    assert orders[0] != orders[1]


def test_captions_and_wishes_speak_of_their_own_item():
    some = sampler(mix=Mix(captions=0.5, wishes=0.5))
    for step in range(40):
        for shown in some.draw(step).shown:
            own = (f"thing-{shown.item}", f"tag-{shown.item}a", f"tag-{shown.item}b", "small things")
            assert any(re.search(rf"{word}(?!\d)", texts_of(shown)) for word in own), shown
            assert "{" not in texts_of(shown)


def test_an_item_without_tags_is_asked_for_by_name():
    bare = [item(number) for number in range(ITEMS)]
    some = sampler(mix=Mix(captions=0.5, wishes=0.5), items=bare)
    for step in range(40):
        for shown in some.draw(step).shown:
            assert f"thing-{shown.item}" in texts_of(shown)


def test_a_picture_wish_shows_the_item_s_own_features():
    some = sampler(mix=Mix(captions=0.0, wishes=0.0))
    for shown in some.draw(0).shown:
        (picture,) = [part for part in shown.messages[-1].parts if not isinstance(part, str)]
        assert picture[0] == shown.item


def test_the_mix_is_what_was_asked_for():
    shown = [one for step in range(200) for one in sampler(mix=Mix(captions=0.3, wishes=0.5)).draw(step).shown]
    captions = sum(one.caption is not None for one in shown) / len(shown)
    pictures = sum(one.caption is None and not isinstance(one.messages[-1].parts[0], str) for one in shown)
    assert captions == pytest.approx(0.3, abs=0.06)
    assert 0 < pictures / len(shown) < 0.2


def test_small_talk_keeps_the_lm_s_own_reply_and_its_end():
    talks = [talk for step in range(20) for talk in sampler().draw(step).talks]
    small = [talk for talk in talks if talk.small_talk]
    known = {(exchange.message, exchange.reply, exchange.ends) for exchange in EXCHANGES}
    assert {(talk.messages[-1].text, talk.reply, talk.ends) for talk in small} <= known
    assert not any(talk.after_ret for talk in small)
    assert any(talk.after_ret for talk in talks)


def test_earlier_turns_with_products_have_ret_where_it_stood():
    histories = [shown.messages[:-1] for step in range(100) for shown in sampler().draw(step).shown if shown.messages]
    replies = [messages[1] for messages in histories if messages]
    assert {tuple(reply.ret_offsets) for reply in replies} == {(), (0,)}


def test_phrasings_hold_each_item_as_often_as_asked_and_no_picture():
    shown = sampler().phrasings(3, further=1)
    assert [one.item for one in shown] == [number for number in range(ITEMS) for _ in range(3)]
    assert all(isinstance(part, str) for one in shown for message in one.messages for part in message.parts)
    assert {one.caption is None for one in shown} == {True, False}


def test_plain_names_are_captions_as_items_are_searched_by():
    assert [one.caption for one in sampler().plain_names()] == [f"A picture of thing-{n}." for n in range(ITEMS)]


def test_all_small_talk_comes_once_alone_and_once_within_a_conversation():
    talks = sampler().small_talk()
    assert [talk.messages[-1].text for talk in talks] == 2 * [exchange.message for exchange in EXCHANGES]
    assert [len(talk.messages) for talk in talks] == [1] * len(EXCHANGES) + [3] * len(EXCHANGES)


def test_epochs_go_through_own_items_and_captions_through_further_ones_too():
    items = [tagged(number) for number in range(ITEMS)]
    some = Sampler(
        items,
        features(),
        own_items=8,
        phrases=Phrases(items, None),
        exchanges=EXCHANGES,
        mix=Mix(),
        batch_size=4,
        caption_batch_size=3,
        talk_batch_size=1,
        seed=0,
    )
    assert some.steps_per_epoch(1) == 2
    steps = [some.draw(step) for step in range(20)]
    assert {one.item for step in steps for one in step.shown} == set(range(8))
    captioned = [item for step in steps for item in step.captioned]
    assert len(captioned) == 60
    counts = Counter(one.item for one in some.phrasings(3, further=2))
    assert counts == {item: 3 if item < 8 else 2 for item in range(ITEMS)}
    assert {item >= 8 for item in captioned} == {True, False}


def test_a_dictionary_s_definition_is_a_caption_or_a_wish():
    draw = random.Random(0)
    shown = [defined("a small dog", draw) for _ in range(40)]
    assert {one.caption for one in shown} == {None, "A picture of a small dog."}
    assert all("a small dog" in texts_of(one) for one in shown)
    assert named("dog").caption == "A picture of dog."


def normalised(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


def measured() -> list[str]:
    """Every message of every quality set that we ship."""
    texts = []
    for path in sorted(QUERIES.glob("*.json")):
        content = json.loads(path.read_text())
        texts += [wish["text"] for wish in content["wishes"]]
        texts += [*content["others"], *content.get("picture_messages", [])]
        texts += [one["text"] for one in content.get("pictures", [])]
    return [text if isinstance(text, str) else text["text"] for text in texts]


def trained() -> list[str]:
    forms = (wording.NAME_WISHES, wording.TAG_WISHES, wording.GLOSS_WISHES, wording.picture_wishes())
    asked = (wording.PICTURE_QUESTIONS, garment_wording.picture_questions())
    situations = [*garment_wording.SITUATIONS.values(), *garment_wording.BODY_SITUATIONS.values()]
    told = [told.messages for form in FORMS for told in people(form)]
    return [text for form in (*forms, *asked, *situations, *told, wording.small_talk()) for text in form]


def test_training_s_wording_repeats_no_message_that_the_chat_is_measured_by():
    questions = {normalised(text) for text in measured()}
    assert len(questions) >= 80
    assert sorted(questions & {normalised(text) for text in trained()}) == []


def test_no_template_of_training_filled_with_openmoji_s_words_is_a_message_that_the_chat_is_measured_by():
    trained_on = Catalogue.open("openmoji").items("train")
    names = {normalised(one.caption or "") for one in trained_on}
    tags = {normalised(tag) for one in trained_on for tag in tags_of(one)}
    found = []
    for forms, words in ((wording.NAME_WISHES, names), (wording.TAG_WISHES, tags)):
        for form in forms:
            pieces = [re.escape(normalised(piece)) for piece in re.split(r"\{\w+\}", form)]
            matches = [(text, re.fullmatch(" ?(.+?) ?".join(pieces), normalised(text))) for text in measured()]
            found += [(form, text) for text, match in matches if match and words.issuperset(match.groups())]
    assert found == []
