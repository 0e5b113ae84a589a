"""A name leads to weights and to a hash over all that decides what they compute."""

import json
import os
import shutil
from fnmatch import fnmatch
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from fromage_model.errors import CheckpointError, MissingArtefact
from fromage_model.language.model import load_language_model
from fromage_model.storage import pretrained
from fromage_model.storage.artefacts import file_sha256
from fromage_model.storage.pretrained import (
    DEFAULT_LANGUAGE_MODEL,
    cached_sha256,
    locate_language_model,
    locate_vision_encoder,
)
from fromage_model.vision.encoders import load_vision_encoder
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
    from fromage_model.language.tokens import load_tokens

    tokens = load_tokens(locate_language_model(DEFAULT_LANGUAGE_MODEL).path)
    assert (tokens.vocabulary, tokens.start_ids) == (49152, ())
    assert tokens.stop_ids == set(tokens.encode_template("<|im_end|>"))
    assert "<|im_start|>assistant" in tokens.render_chat([{"role": "user", "content": "hi"}])
    assert not set(tokens.encode("<|im_start|>[RET]<|im_end|>")) & set(tokens.encode_template("<|im_start|><|im_end|>"))


class Payload:
    """What a malicious pickle holds: a call made when it is read."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), "w"))


def pickled(folder: Path, *, files: int = 1) -> Path:
    """The folder with its weights as torch pickles them, in one file or, as large models have them, in several."""
    tensors = list(load_file(folder / "model.safetensors").items())
    (folder / "model.safetensors").unlink()
    if files == 1:
        torch.save(dict(tensors), folder / "pytorch_model.bin")
        return folder
    places = {}
    for number in range(files):
        name = f"pytorch_model-{number + 1:05}-of-{files:05}.bin"
        torch.save(dict(tensors[number::files]), folder / name)
        places |= {key: name for key, _ in tensors[number::files]}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return folder


def last_states(folder: Path) -> torch.Tensor:
    lm = load_language_model(folder, vocabulary=200)
    return lm(lm.embed(torch.arange(12)[None])).last


@pytest.mark.parametrize("files", [1, 2])
def test_pickled_weights_are_the_same_as_safetensors(own_lm, files):
    expected = last_states(own_lm)
    assert torch.equal(last_states(pickled(own_lm, files=files)), expected)


@pytest.mark.parametrize("embedding_width", [32, 16])
@pytest.mark.parametrize("with_head", [True, False])
@pytest.mark.parametrize("prefix", ["model.", ""])
def test_opt_s_own_files_on_the_hub_are_read_by_their_keys(prefix, with_head, embedding_width, tmp_path, own_home):
    """Float16 tensors, named from `model.decoder` or from `decoder` on, and the tied head there or left out."""
    folder = tiny.write_opt(tmp_path / "opt", embedding_width=embedding_width)
    halves = {key: value.half() for key, value in load_file(folder / "model.safetensors").items()}
    save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})
    expected = last_states(folder)
    (folder / "model.safetensors").unlink()
    tensors = {key.replace("model.", prefix, 1): value for key, value in halves.items()}
    if with_head:
        tensors["lm_head.weight"] = halves["model.decoder.embed_tokens.weight"]
    torch.save(tensors, folder / "pytorch_model.bin")
    assert torch.equal(last_states(folder), expected)


def test_pickled_weights_of_an_encoder_load_too(tmp_path, own_home):
    folder = tiny.write_clip(tmp_path / "clip")
    pictures = [Image.new("RGB", (40, 30), "navy")]
    expected = load_vision_encoder(str(folder)).encode(pictures)
    assert np.array_equal(load_vision_encoder(str(pickled(folder))).encode(pictures), expected)


def test_pickled_weights_can_t_run_code(own_lm, tmp_path):
    tensors = load_file(own_lm / "model.safetensors")
    pickled(own_lm)
    torch.save(tensors | {"model.norm.weight": Payload(tmp_path / "ran")}, own_lm / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="can't be read as plain tensors"):
        last_states(own_lm)
    assert not (tmp_path / "ran").exists()


def test_weights_that_don_t_fit_the_config_are_named(own_lm):
    weights = own_lm / "model.safetensors"
    tensors = load_file(weights)
    absent = {name: value for name, value in tensors.items() if name != "model.norm.weight"}
    save_file(absent, weights, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"missing model\.norm\.weight"):
        last_states(own_lm)
    save_file(tensors | {"model.norm.weight": torch.ones(7)}, weights, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"fit its config\.json"):
        last_states(own_lm)


def test_a_folder_without_weights_says_so(own_lm):
    (own_lm / "model.safetensors").unlink()
    with pytest.raises(MissingArtefact, match=r"has no weights; expected \*\.safetensors or pytorch_model\*\.bin"):
        last_states(own_lm)


@pytest.mark.parametrize(("has_both", "expected"), [(True, "model.safetensors"), (False, "pytorch_model.bin")])
def test_pickled_weights_are_fetched_from_the_hub_only_where_there_are_no_others(
    has_both, expected, own_lm, tmp_path, monkeypatch
):
    hub, cache = own_lm, tmp_path / "cache"
    kept = (hub / "model.safetensors").read_bytes()
    pickled(hub)
    if has_both:
        (hub / "model.safetensors").write_bytes(kept)

    def snapshot_download(name: str, *, allow_patterns: list[str]) -> str:
        cache.mkdir(exist_ok=True)
        for path in hub.iterdir():
            if any(fnmatch(path.name, pattern) for pattern in allow_patterns):
                shutil.copy(path, cache)
        return str(cache)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert pretrained.locate_folder("some-one/some-model") == cache
    found = {path.name for pattern in ("*.safetensors", "*.bin") for path in cache.glob(pattern)}
    assert found == {expected}
