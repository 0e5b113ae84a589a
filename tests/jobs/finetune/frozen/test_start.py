"""What a FROZEN training can't go on from is refused before any worker starts."""

import json

import pytest

from fromage_model.errors import BundleError, ConfigError, FingerprintMismatch, MissingArtefact
from fromage_model.frozen.storage import HEADER, WEIGHTS
from jobs.finetune.frozen.settings import FrozenArgs
from jobs.finetune.frozen.start import adopt_config, check_encoder
from tests.fromage_model import tiny_frozen


@pytest.fixture
def saved(frozen_world, tmp_path):
    tiny_frozen.build(frozen_world.lm, frozen_world.resnet).save(tmp_path / "saved")
    return tmp_path / "saved"


def test_a_fromage_bundle_is_no_start_and_what_trains_it_is_said(tiny_world):
    with pytest.raises(ConfigError, match=r"a FROMAGe bundle; --model frozen goes on from a saved FROZEN model"):
        adopt_config(FrozenArgs(start_from=str(tiny_world.bundle)))


def test_a_model_of_another_lm_is_refused(saved):
    told = json.loads((saved / HEADER).read_text())
    (saved / HEADER).write_text(json.dumps(told | {"lm_fingerprint": "0" * 64}))
    with pytest.raises(FingerprintMismatch, match=r"the LM .*: expected fingerprint 0000"):
        adopt_config(FrozenArgs(start_from=str(saved)))


def test_settings_of_another_model_and_weights_cut_short_are_refused(saved):
    with pytest.raises(ConfigError, match=r"global_tokens is 5, but .* was trained with 2; leave it out"):
        adopt_config(FrozenArgs(start_from=str(saved), global_tokens=5))
    (saved / WEIGHTS).write_bytes(b"cut short")
    with pytest.raises(BundleError, match=r"weights\.safetensors"):
        adopt_config(FrozenArgs(start_from=str(saved)))


def test_an_encoder_that_is_nowhere_or_has_fewer_stages_is_refused(frozen_args, saved):
    with pytest.raises(MissingArtefact, match="nowhere"):
        check_encoder(frozen_args(vision_encoder="nowhere"))
    with pytest.raises(ConfigError, match=r"trained_stages is 4; .* has 3, or -1 for all"):
        check_encoder(frozen_args(trained_stages=4))
    with pytest.raises(ConfigError, match=r"trained_stages is 4; .* has 3, or -1 for all"):
        check_encoder(adopt_config(FrozenArgs(start_from=str(saved), trained_stages=4)))


def test_a_file_and_a_folder_of_something_else_are_no_start(tmp_path):
    (tmp_path / "model.ckpt").write_bytes(b"weights")
    with pytest.raises(MissingArtefact, match="a file lies there, and a bundle is a folder"):
        adopt_config(FrozenArgs(start_from=str(tmp_path / "model.ckpt")))
    with pytest.raises(BundleError, match=r"is no saved FROZEN model: it has no frozen\.json"):
        adopt_config(FrozenArgs(start_from=str(tmp_path)))
