"""WordNet's files read as wndb(5WN) describes them: the first sense counts, and words can be left out."""

from pathlib import Path

import pytest

from fromage_model.errors import MissingArtefact
from jobs.finetune.examples.glosses import Glosses
from tests.jobs import tiny


@pytest.fixture
def wordnet(tmp_path: Path) -> Path:
    return tiny.write_wordnet(tmp_path / "wordnet")


def test_a_definition_comes_without_its_examples(wordnet):
    glosses = Glosses(wordnet)
    assert glosses.of("boot") == "footwear that covers the whole foot and lower leg"
    assert glosses.of("Top hat") == "a man's hat with a tall crown"


def test_a_plural_finds_its_noun_and_a_stranger_nothing(wordnet):
    assert Glosses(wordnet).of("boots") == Glosses(wordnet).of("boot")
    assert Glosses(wordnet).of("zeppelin") is None


def test_pairs_are_things_one_can_picture_always_the_same_ones(wordnet):
    pairs = Glosses(wordnet).pairs(9)
    assert {name for name, _ in pairs} == {"boot", "top hat", "scarf", "bread"}
    assert pairs == Glosses(wordnet).pairs(9)
    assert Glosses(wordnet).pairs(2) == pairs[:2]


def test_names_that_are_measured_by_are_left_out(wordnet):
    assert "scarf" not in dict(Glosses(wordnet).pairs(9, without=[" Scarf"]))


def test_so_is_what_means_the_same_as_one_of_them(wordnet):
    index = wordnet / "index.noun"
    (scarf,) = [line for line in index.read_text().splitlines() if line.startswith("scarf ")]
    index.write_text(index.read_text() + scarf.replace("scarf", "muffler") + "\n")
    assert Glosses(wordnet).of("muffler") == Glosses(wordnet).of("scarf")
    assert "scarf" in dict(Glosses(wordnet).pairs(9))
    assert "scarf" not in dict(Glosses(wordnet).pairs(9, without=["Mufflers"]))


def test_a_folder_without_wordnet_says_how_to_get_it(tmp_path):
    with pytest.raises(MissingArtefact, match="apt-get install wordnet-base"):
        Glosses(tmp_path)
