"""Whatever decides a captioner's captions changes its fingerprint; a name and a place do not."""

import shutil
from pathlib import Path

import pytest

from fromage_model.captioning.fingerprint import captioner_fingerprint
from fromage_model.errors import ConfigError, MissingArtefact
from fromage_model.header import bundle_fingerprint
from fromage_model.storage.artefacts import place
from tests.fromage_model import tiny_frozen
from tests.fromage_model.captioning import tiny_captioners
from tests.fromage_model.llama_adapter.originals import write_originals


def changed(folder: Path, file: str) -> Path:
    """The same folder with another byte at the end of a file."""
    copy = folder.with_name(f"{folder.name}-changed")
    shutil.copytree(folder, copy)
    with open(copy / file, "ab") as data:
        data.write(b" ")
    return copy


def test_a_bundle_s_is_its_own():
    assert captioner_fingerprint() == bundle_fingerprint("default")


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_a_model_of_transformers_is_its_files(own_home, tmp_path, file):
    folder = tiny_captioners.write_llava(tmp_path / "llava")
    shutil.copytree(folder, tmp_path / "elsewhere")
    assert captioner_fingerprint(str(folder)) == captioner_fingerprint(str(tmp_path / "elsewhere"))
    assert captioner_fingerprint(str(folder)) != captioner_fingerprint(str(changed(folder, file)))


def test_a_saved_frozen_model_is_its_files(lms, own_home, tmp_path):
    model = tiny_frozen.build(lms.opt, tiny_frozen.write_resnet(tmp_path / "resnet"))
    model.save(place("bundle", "mine"))
    other = changed(place("bundle", "mine"), "weights.safetensors")
    assert captioner_fingerprint("mine") == captioner_fingerprint(str(place("bundle", "mine")))
    assert captioner_fingerprint("mine") != captioner_fingerprint(str(other))


def test_llama_adapter_is_the_files_of_its_three_places(own_home, tmp_path):
    files = write_originals(tmp_path, kind="BIAS-7B")
    llama, clip, adapter = Path(files.llama_dir), Path(files.clip), Path(files.checkpoint)

    def of(*places: Path) -> str:
        return captioner_fingerprint("llama-adapter:" + ",".join(map(str, places)))

    shutil.copy(adapter, tmp_path / "other.pth")
    with open(tmp_path / "other.pth", "ab") as data:
        data.write(b" ")
    before = of(llama, adapter, clip)
    assert before == of(llama, adapter, clip)
    weights = next(llama.rglob("*.pth")).relative_to(llama)
    others = {
        of(changed(llama, str(weights)), adapter, clip),
        of(llama, tmp_path / "other.pth", clip),
        of(llama, adapter, changed(clip, "config.json")),
    }
    assert len(others | {before}) == 4


def test_names_that_lead_nowhere_are_told_as_when_they_are_loaded(own_home, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(MissingArtefact, match="no captioner 'nothing-of-that-name'"):
        captioner_fingerprint("nothing-of-that-name")
    with pytest.raises(ConfigError, match="expected 'llama-adapter:LLAMA_DIR,CHECKPOINT,CLIP'"):
        captioner_fingerprint("llama-adapter:/models/llama")
