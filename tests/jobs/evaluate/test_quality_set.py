"""The quality set's file: what it may hold, and that the shipped one names things that exist."""

import json
import re
from pathlib import Path

import pytest

from fromage_model.errors import InvalidInput, MissingArtefact
from jobs.evaluate.quality_set import Wish, read_quality_set
from jobs.finetune.examples import wording

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
    assert wish.accepts("WOMAN'S HAT")
    assert not wish.accepts("hat")


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


def test_training_wording_repeats_no_message_of_the_shipped_set():
    shipped = read_quality_set("openmoji")
    asked = [wish.text for wish in shipped.wishes] + [*shipped.others, *shipped.picture_messages]
    trained_on = Path(wording.__file__).read_text() + "\n".join(["", *wording.small_talk(), ""])
    lines = {plain(line) for line in trained_on.splitlines()} | {
        plain(text) for text in re.findall(r'"([^"\n]*)"', trained_on)
    }
    assert len(lines) > 100
    assert not [text for text in asked if plain(text) in lines]


def test_the_examples_before_every_chat_name_nothing_that_a_wish_is_scored_by():
    shown = " ".join(text for exchange in wording.EXAMPLES for text in exchange)
    accepted = {name for wish in read_quality_set("openmoji").wishes for name in wish.accept}
    assert len(accepted) > 40
    assert [name for name in accepted if re.search(rf"\b{re.escape(name)}s?\b", shown, re.IGNORECASE)] == []


def plain(text):
    """Letters, digits and spaces alone, without case."""
    return re.sub(r"[^a-z0-9 ]", "", text.casefold()).strip()
