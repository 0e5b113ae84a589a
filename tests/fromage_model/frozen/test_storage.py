"""What is saved comes back bit by bit, the LM is not in it, and every wrong key is told."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from fromage_model import FrozenModel
from fromage_model.errors import BundleError, ConfigError, FingerprintMismatch
from fromage_model.storage.artefacts import SHIPPED_BUNDLES
from tests.fromage_model import tiny_frozen


@pytest.fixture
def trained(build):
    """A model after one step, so that nothing in it is what its seed or its folder says."""
    model = build("opt", visual_map="grid", frozen_stages=1).train()
    model.caption_loss(tiny_frozen.pictures(3), ["red", "blue", "green"]).loss.backward()
    torch.optim.SGD((one for one in model.parameters() if one.requires_grad), lr=0.1).step()
    return model.eval()


def load(path) -> FrozenModel:
    return FrozenModel.load(path, device="cpu", dtype=torch.float32)


@torch.no_grad()
def test_a_trained_model_comes_back_bit_by_bit(trained, tmp_path):
    trained.save(tmp_path / "model", lineage={"data": "three pictures"})
    for again in (load(tmp_path / "model"), FrozenModel.from_pretrained(str(tmp_path / "model"), device="cpu")):
        assert again.config == trained.config
        assert not again.training
        state = again.state_dict()
        assert all(torch.equal(value, state[key]) for key, value in trained.state_dict().items())
        images, ids = tiny_frozen.pictures(2), torch.tensor([[5, 6], [7, 8]])
        assert torch.equal(again(images, ids), trained(images, ids))
        assert again.encoder.frozen_stages == 1
    assert json.loads((tmp_path / "model" / "frozen.json").read_text())["lineage"] == {"data": "three pictures"}


def test_only_what_training_changes_is_stored(trained, build, tmp_path):
    trained.save(tmp_path / "whole")
    keys = set(load_file(tmp_path / "whole" / "weights.safetensors"))
    wanted = {f"encoder.{key}" for key in trained.encoder.backbone.state_dict()}
    assert keys == wanted | {f"visual_map.{key}" for key in trained.visual_map.state_dict()}
    model = build(freeze_encoder=True)
    model.save(tmp_path / "map")
    assert {key.split(".")[0] for key in load_file(tmp_path / "map" / "weights.safetensors")} == {"visual_map"}
    image = tiny_frozen.pictures(1)
    assert torch.equal(load(tmp_path / "map").visual_prefix(image), model.visual_prefix(image))


def test_a_trained_encoder_does_not_need_the_folder_that_it_started_from(folders, tmp_path, own_home):
    start = tiny_frozen.write_resnet(tmp_path / "start")
    model = tiny_frozen.build(folders["gpt2"], start)
    model.save(tmp_path / "model")
    for file in start.iterdir():
        file.unlink()
    image = tiny_frozen.pictures(1)
    assert torch.equal(load(tmp_path / "model").visual_prefix(image), model.visual_prefix(image))


def test_a_missing_an_extra_and_a_misshapen_key_are_all_told(trained, tmp_path):
    trained.save(tmp_path / "model")
    path = tmp_path / "model" / "weights.safetensors"
    tensors = load_file(path)
    missing, misshapen = sorted(key for key in tensors if key.startswith("visual_map."))[:2]
    del tensors[missing]
    save_file(tensors | {misshapen: torch.zeros(3), "ret.input_row": torch.zeros(4)}, path)
    with pytest.raises(BundleError) as error:
        load(tmp_path / "model")
    for said in (
        f"missing {missing}",
        "unexpected ret.input_row",
        f"{misshapen} is (3,)",
        "looks like a FROMAGe bundle",
    ):
        assert said in str(error.value)


def test_another_lm_or_another_frozen_encoder_is_refused(build, folders, tmp_path):
    lm, encoder = tiny_frozen.write_gpt2(tmp_path / "lm"), tiny_frozen.write_resnet(tmp_path / "encoder")
    tiny_frozen.build(lm, encoder, freeze_encoder=True).save(tmp_path / "model")
    said = json.loads((tmp_path / "model" / "frozen.json").read_text())
    for field, other in (("vision_encoder", "efficientnet-lite0"), ("language_model", str(folders["opt"]))):
        changed = said | {"config": said["config"] | {field: other}}
        (tmp_path / "model" / "frozen.json").write_text(json.dumps(changed))
        with pytest.raises(FingerprintMismatch, match=other):
            load(tmp_path / "model")


def test_what_is_no_saved_frozen_model_is_refused_and_named(trained, tmp_path):
    with pytest.raises(BundleError, match="it is a FROMAGe bundle, which load_bundle opens"):
        load(SHIPPED_BUNDLES / "default")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BundleError, match="is no saved FROZEN model"):
        load(tmp_path / "empty")
    trained.save(tmp_path / "model")
    header = tmp_path / "model" / "frozen.json"
    said = json.loads(header.read_text())
    vgg = said["architecture"] | {"family": "vgg"}
    for changed, message in (
        (said | {"format": 9}, "expected format 1, found 9"),
        (said | {"architecture": vgg}, r"'vgg'; expected one of efficientnet-lite0, .*resnet"),
        ({key: value for key, value in said.items() if key != "lm_fingerprint"}, "lm_fingerprint"),
    ):
        header.write_text(json.dumps(changed))
        with pytest.raises(BundleError, match=message):
            load(tmp_path / "model")


def test_settings_beside_a_saved_model_and_a_taken_place_are_refused(trained, tmp_path):
    trained.save(tmp_path / "model")
    with pytest.raises(ConfigError, match=r"has settings of its own; leave out \['visual_map'\]"):
        FrozenModel.from_pretrained(str(tmp_path / "model"), visual_map="local")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "holiday.jpg").write_bytes(b"a picture")
    with pytest.raises(ConfigError, match=r"no frozen.json in it"):
        trained.save(tmp_path / "taken")
    assert (tmp_path / "taken" / "holiday.jpg").exists()
