"""A name leads to weights and to a hash over all that decides what they compute."""

import os

import pytest

from fromage_model import pretrained
from fromage_model.artefacts import file_sha256
from fromage_model.errors import MissingArtefact
from fromage_model.pretrained import DEFAULT_LANGUAGE_MODEL, cached_sha256, locate_language_model, locate_vision_encoder
from tests.fromage_model import tiny


@pytest.fixture
def own_lm(tmp_path, own_home):
    return tiny.write_llama(tmp_path / "lm")


def test_a_local_folder_is_its_own_place(own_lm):
    assert locate_language_model(str(own_lm)).path == own_lm


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_the_fingerprint_covers_config_tokenizer_and_weights(own_lm, name):
    before = locate_language_model(str(own_lm)).fingerprint
    with open(own_lm / name, "ab") as file:
        file.write(b"\n")
    assert locate_language_model(str(own_lm)).fingerprint != before


def test_a_readme_in_the_folder_changes_nothing(own_lm):
    before = locate_language_model(str(own_lm)).fingerprint
    (own_lm / "README.md").write_text("New words.")
    assert locate_language_model(str(own_lm)).fingerprint == before


def test_a_folder_without_a_config_is_missing_it(tmp_path, own_home):
    with pytest.raises(MissingArtefact, match=r"no config\.json"):
        locate_language_model(str(tmp_path))


@pytest.mark.parametrize("locate", [locate_language_model, locate_vision_encoder])
def test_a_name_that_is_nothing_is_told_the_embedded_ones(locate, own_home):
    with pytest.raises(MissingArtefact, match=r"smollm2-135m-instruct.*efficientnet-lite0"):
        locate("not a model!")


def test_a_wheel_that_is_not_installed_is_named(monkeypatch, own_home):
    monkeypatch.setattr(pretrained, "_GGUF_WHEEL", "llm_of_nobody")
    with pytest.raises(MissingArtefact, match=r"llm-of-nobody .*make prepare"):
        locate_language_model(DEFAULT_LANGUAGE_MODEL)


def test_a_hash_is_remembered_until_the_file_changes(tmp_path, own_home):
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    first = cached_sha256(path)
    assert first == file_sha256(path)
    (record,) = (own_home / "hashes").iterdir()
    record.write_text("remembered")
    assert cached_sha256(path) == "remembered"
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert cached_sha256(path) == file_sha256(path) != first


def test_the_embedded_lm_opens_with_its_chat_template_and_stop_token():
    from fromage_model.tokens import load_tokens

    tokens = load_tokens(locate_language_model(DEFAULT_LANGUAGE_MODEL).path)
    assert (tokens.vocabulary, tokens.start_ids) == (49152, ())
    assert tokens.stop_ids == set(tokens.encode_template("<|im_end|>"))
    assert "<|im_start|>assistant" in tokens.render_chat([{"role": "user", "content": "hi"}])
    assert not set(tokens.encode("<|im_start|>[RET]<|im_end|>")) & set(tokens.encode_template("<|im_start|><|im_end|>"))
