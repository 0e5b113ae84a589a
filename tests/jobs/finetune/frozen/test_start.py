"""What a FROZEN training can't go on from is refused before any worker starts."""

import json
from pathlib import Path

import pytest

from fromage_model.errors import BundleError, ConfigError, FingerprintMismatch, MissingArtefact
from fromage_model.frozen.storage import HEADER, WEIGHTS, check_frozen
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


def edit(saved: Path, **config) -> None:
    told = json.loads((saved / HEADER).read_text())
    (saved / HEADER).write_text(json.dumps(told | {"config": told["config"] | config}))


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize(
    ("edited", "told"),
    [
        ({"global_tokens": 3}, r"visual_map\.prefix\.project\.weight is \(64, 12\), expected \(96, 12\)"),
        ({"visual_map": "grid"}, r"missing visual_map\.layers\.0\.0\.weight; .*unexpected visual_map\.prefix"),
    ],
)
def test_a_config_that_was_edited_beside_its_weights_is_refused_by_what_differs(
    frozen_world, tmp_path, edited, told, trained
):
    tiny_frozen.build(frozen_world.lm, frozen_world.resnet, freeze_encoder=not trained).save(tmp_path)
    assert check_frozen(tmp_path).encoder_stored is trained
    edit(tmp_path, **edited)
    with pytest.raises(BundleError, match=rf"weights\.safetensors does not fit its config: .*{told}"):
        adopt_config(FrozenArgs(start_from=str(tmp_path)))


def test_an_encoder_that_was_edited_is_refused_by_its_stages_or_its_shapes(saved):
    told = json.loads((saved / HEADER).read_text())
    settings = told["architecture"]["settings"] | {"hidden_sizes": [8, 16]}
    (saved / HEADER).write_text(json.dumps(told | {"architecture": told["architecture"] | {"settings": settings}}))
    with pytest.raises(BundleError, match=r"encoder\.encoder\.stages\.1\..* expected \(16, "):
        adopt_config(FrozenArgs(start_from=str(saved)))
    (saved / HEADER).write_text(json.dumps(told))
    edit(saved, frozen_stages=9)
    with pytest.raises(ConfigError, match=r"frozen_stages is 9; resnet has 3, so 0 to that"):
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
