"""The quality set's file: what it may hold, and that the shipped one names things that exist."""

import json
import re
from pathlib import Path

import pytest

from fromage_model.errors import InvalidInput, MissingArtefact
from jobs.evaluate.sets.files import read_quality_set, shipped_sets
from jobs.evaluate.sets.quality_set import Wish
from jobs.finetune.examples import wording
from tests.documents import blocks
from tests.jobs.evaluate.shelf import items

SMALL = {
    "wishes": [{"text": "It's pouring!", "accept": ["Umbrella", "raincoat"]}],
    "others": ["Thanks!"],
}


def written(tmp_path, content):
    file = tmp_path / "small.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def test_the_shipped_set_holds_forty_of_each_and_repeats_none():
    shipped = read_quality_set("openmoji")
    texts = [wish.text for wish in shipped.wishes] + list(shipped.others)
    assert (len(shipped.wishes), len(shipped.others)) == (40, 40)
    assert len({text.casefold() for text in texts}) == 80
    assert len(shipped.picture_messages) >= 1


def test_few_shipped_wishes_name_the_item_itself():
    shipped = read_quality_set("openmoji")
    naming = [wish for wish in shipped.wishes if any(name.casefold() in wish.text.casefold() for name in wish.accept)]
    assert len(naming) <= 4


def test_captions_are_compared_without_case():
    wish = Wish("", ("Woman's hat",))
    shelf = items({"id": "a", "caption": "WOMAN'S HAT"}, {"id": "b", "caption": "hat"})
    assert [id for id, item in shelf.items() if wish.accepts(item)] == ["a"]


def test_a_file_takes_its_name_from_the_file_and_has_a_picture_message(tmp_path):
    read = read_quality_set(written(tmp_path, SMALL))
    assert read.name == "small"
    assert len(read.picture_messages) == 1


def test_every_item_that_the_catalogue_lacks_is_listed(tmp_path):
    read = read_quality_set(written(tmp_path, SMALL))
    read.check_against(["umbrella", "RAINCOAT", "other"])
    with pytest.raises(InvalidInput, match="Umbrella, raincoat"):
        read.check_against(["boot"])


def test_a_missing_set_names_the_shipped_ones():
    with pytest.raises(MissingArtefact, match="openmoji"):
        read_quality_set("nothing-like-it")


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({**SMALL, "wishes": []}, "wishes"),
        ({"others": ["hi"]}, "wishes"),
        ({"wishes": SMALL["wishes"]}, "others"),
        ({**SMALL, "others": "hi"}, "others"),
        ({**SMALL, "others": ["hi", " "]}, "others"),
        ({**SMALL, "wishes": [{"text": "a"}]}, "wishes.0"),
        ({**SMALL, "wishes": [*SMALL["wishes"], {"text": "", "accept": ["a"]}]}, "wishes.1.text"),
        ({**SMALL, "wishes": [{"text": "a", "accept": []}]}, "wishes.0.accept"),
        ({**SMALL, "wihses": []}, "wihses"),
        ({**SMALL, "wishes": [{"text": "a", "accept": ["a"], "must": {}}]}, "wishes.0"),
        ({**SMALL, "wishes": [{"text": "a", "must": {"colour": 3}}]}, "wishes.0.must.colour"),
        ({**SMALL, "conversations": {}}, "conversations"),
        ({**SMALL, "conversations": [[]]}, "conversations.0"),
        ({**SMALL, "conversations": [[{"text": "a"}]]}, "conversations.0.0"),
        ({**SMALL, "conversations": [[{"text": "a", "must": {"kind": []}}]]}, "conversations.0.0.must.kind"),
        ({**SMALL, "pictures": [{"text": "a", "must": {}}]}, "pictures.0"),
        ({**SMALL, "pictures": [{"text": "a", "of": {}, "must": {}, "names": ["kind"]}]}, "pictures.0"),
        ({**SMALL, "pictures": [{"text": "a", "of": {}, "must": {}, "times": 0}]}, "pictures.0"),
        ({**SMALL, "pictures": [{"text": "a", "of": {}, "names": ["kind"]}]}, "pictures.0.names"),
        ({**SMALL, "names": {"kind": {"skirt": []}}}, "names.kind.skirt"),
        ({**SMALL, "orders": {"length": "short"}}, "orders.length"),
    ],
)
def test_a_wrong_field_is_named(tmp_path, content, field):
    with pytest.raises(InvalidInput) as error:
        read_quality_set(written(tmp_path, content))
    assert error.value.field == field


@pytest.mark.parametrize("content", ["{", "[]", '"text"'])
def test_what_is_no_json_object_is_refused(tmp_path, content):
    with pytest.raises(InvalidInput):
        read_quality_set(written(tmp_path, content))


def test_the_set_that_the_docs_show_can_be_read(tmp_path):
    (shown,) = blocks(Path(__file__).parents[4] / "docs" / "jobs.md", "json")
    read = read_quality_set(written(tmp_path, shown))
    assert (len(read.wishes), len(read.conversations[0]), len(read.pictures)) == (1, 4, 1)


@pytest.mark.parametrize("name", shipped_sets())
def test_training_wording_repeats_no_message_of_a_shipped_set(name):
    examples = Path(wording.__file__).parent
    trained_on = "\n".join(path.read_text() for path in sorted(examples.rglob("*")) if path.suffix in (".py", ".txt"))
    lines = {plain(line) for line in trained_on.splitlines()} | {
        plain(text) for text in re.findall(r'"([^"\n]*)"', trained_on)
    }
    assert len(lines) > 100
    # Of one or two words ("skirts", "only white"), everybody says the same.
    asked = [text for text in messages_of(read_quality_set(name)) if name == "openmoji" or len(text.split()) > 2]
    assert not [text for text in asked if plain(text) in lines]


def test_the_examples_before_every_chat_name_nothing_that_a_wish_is_scored_by():
    shown = " ".join(text for exchange in wording.EXAMPLES for text in exchange)
    accepted = {name for wish in read_quality_set("openmoji").wishes for name in wish.accept}
    assert len(accepted) > 40
    assert [name for name in accepted if re.search(rf"\b{re.escape(name)}s?\b", shown, re.IGNORECASE)] == []


def messages_of(shipped):
    """Everything that a user says in a set."""
    turns = [turn.text for turns in shipped.conversations for turn in turns]
    singles = [one.text for one in (*shipped.wishes, *shipped.pictures)]
    return [*singles, *shipped.others, *turns, *(shipped.picture_messages if not shipped.pictures else ())]


def plain(text):
    """Letters, digits and spaces alone, without case."""
    return re.sub(r"[^a-z0-9 ]", "", text.casefold()).strip()


def test_the_file_is_named_beside_the_field(tmp_path):
    file = written(tmp_path, {**SMALL, "others": ["hi", " "]})
    with pytest.raises(InvalidInput, match=re.escape(f"the query set {file}: others: expected texts")) as caught:
        read_quality_set(file)
    assert caught.value.field == "others"
