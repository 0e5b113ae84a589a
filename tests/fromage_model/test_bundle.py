"""A bundle comes back as it was saved, checks every key, and knows when something it depends on is another."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from fromage_model.bundle import check_bundle, load_bundle, load_projection, save_bundle
from fromage_model.errors import BundleError, FingerprintMismatch, MissingArtefact
from fromage_model.fromage import Fromage
from fromage_model.header import (
    FROZEN_HEADER,
    HEADER,
    WEIGHTS,
    bundle_fingerprint,
    bundle_metrics,
    read_header,
    record_metrics,
)
from fromage_model.vision.encoders import load_vision_encoder
from tests.fromage_model import tiny
from tests.fromage_model.chat.test_reply import small_index

TEXTS = ["a red dress", "shoes"]


@pytest.fixture
def own_lm(lms, tmp_path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(lms.chat, tmp_path / "lm"))


@pytest.fixture
def saved(own_lm, clip, own_home, tmp_path) -> tuple[Fromage, Path]:
    model = tiny.build(own_lm, vision_encoder=str(clip), text_layers=(-1, 1), two_ret_rows=True)
    return model, save(model, tmp_path / "bundle")


def save(model: Fromage, folder: Path, **said) -> Path:
    encoder = load_vision_encoder(model.config.vision_encoder)
    values = {"encoder_fingerprint": encoder.fingerprint, "lineage": {"items": 3}} | said
    save_bundle(model, folder, feature_width=tiny.FEATURE_WIDTH, **values)
    return folder


def load(folder: Path, **options) -> Fromage:
    return load_bundle(str(folder), dtype=torch.float32, device="cpu", **options)


def edit_weights(folder: Path, change) -> None:
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)


def edit_header(folder: Path, change) -> None:
    values = json.loads((folder / HEADER).read_text())
    change(values)
    (folder / HEADER).write_text(json.dumps(values))


def test_a_loaded_bundle_gives_the_same_embeddings_up_to_float16(saved):
    model, folder = saved
    loaded = load(folder)
    np.testing.assert_allclose(loaded.text_embeddings(TEXTS), model.text_embeddings(TEXTS), atol=5e-3)
    features = tiny.features(4)
    with torch.no_grad():
        torch.testing.assert_close(
            loaded.image_embeddings(features), model.image_embeddings(features), atol=5e-3, rtol=0
        )


def test_a_hidden_layer_of_the_text_head_comes_back(own_lm, clip, own_home, tmp_path):
    model = tiny.build(own_lm, vision_encoder=str(clip), text_layers=(-1, 1), text_hidden=5)
    folder = save(model, tmp_path / "bundle")
    assert check_bundle(str(folder)) == read_header(folder)
    again = load(folder)
    assert again.trained.text_head.hidden_units == again.config.text_hidden == 5
    torch.testing.assert_close(again.text_embeddings(TEXTS), model.text_embeddings(TEXTS), atol=2e-3, rtol=0)


def test_a_decision_comes_back(own_lm, clip, own_home, tmp_path):
    options = {"ret_hidden": 5, "ret_layers": (0, 1), "max_tokens_before_ret": 0}
    model = tiny.build(own_lm, vision_encoder=str(clip), **options)
    tiny.draw_decision(model)
    folder = save(model, tmp_path / "bundle")
    assert check_bundle(str(folder)) == read_header(folder)
    again = load(folder)
    assert again.trained.decision.hidden_units == again.config.ret_hidden == 5
    assert again.lm.state_layers == (-1, 0, 1)
    read = 3 * torch.randn(7, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(again.trained.decision(read), model.trained.decision(read), atol=5e-2, rtol=5e-3)


def test_every_weight_comes_back_as_its_float16(saved):
    model, folder = saved
    loaded = load(folder).trained.state_dict()
    for name, tensor in model.trained.state_dict().items():
        assert torch.equal(loaded[name], tensor.half().float()), name


def test_a_loaded_bundle_is_frozen_and_in_eval_mode(saved):
    loaded = load(saved[1])
    assert all(not parameter.requires_grad for parameter in loaded.parameters())
    assert not loaded.trained.training
    assert not loaded.encoder.training


def test_config_lineage_and_fingerprint_come_back(saved):
    model, folder = saved
    loaded = load(folder)
    assert loaded.config == model.config
    assert loaded.fingerprint == bundle_fingerprint(str(folder))
    assert json.loads((folder / HEADER).read_text())["lineage"] == {"items": 3}


def test_what_save_bundle_returns_is_the_fingerprint(saved, tmp_path):
    model, folder = saved
    header = json.loads((folder / HEADER).read_text())
    returned = save_bundle(
        model,
        tmp_path / "again",
        feature_width=tiny.FEATURE_WIDTH,
        encoder_fingerprint=header["encoder_fingerprint"],
        lineage={},
    )
    assert returned == bundle_fingerprint(str(tmp_path / "again")) == bundle_fingerprint(str(folder))


def test_a_bundle_without_vision_takes_features(saved):
    loaded = load(saved[1], vision=False)
    assert loaded.encoder is None
    assert loaded.generate(["what is ", tiny.features(1)[0]], max_new_tokens=2)


def test_the_image_side_alone_embeds_as_the_whole_model(saved):
    _, folder = saved
    features = tiny.features(5)
    projection, loaded = load_projection(str(folder)), load(folder)
    with torch.no_grad():
        expected = loaded.image_embeddings(features).numpy()
    np.testing.assert_allclose(projection.embed(features.numpy()), expected, atol=1e-6)
    assert projection.fingerprint == loaded.fingerprint
    assert projection.encoder_fingerprint == loaded.encoder.fingerprint


def test_the_image_side_refuses_another_width(saved):
    with pytest.raises(ValueError, match=r"expected features \(N, 12\), got \(2, 7\)"):
        load_projection(str(saved[1])).embed(np.zeros((2, 7), dtype=np.float32))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("ret.input_row"), r"missing ret\.input_row"),
        (lambda tensors: tensors.update(surplus=torch.zeros(1)), "unexpected surplus"),
        (lambda tensors: tensors.update(log_scale=torch.zeros(3)), r"log_scale is \(3,\), expected \(\)"),
    ],
)
def test_keys_and_shapes_that_do_not_fit_are_listed(saved, change, message):
    edit_weights(saved[1], change)
    with pytest.raises(BundleError, match=message):
        load(saved[1])


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("visual_map.project.weight", "a saved FROZEN model"),
        ("ret_input_embeddings.weight", "a pruned FROMAGe release"),
        ("visual_query.weight", "LLaMA-Adapter V2"),
        ("model.layers.0.self_attn.q_proj.weight", "a language model of transformers"),
    ],
)
def test_another_model_s_weights_are_told_by_name(saved, key, name):
    edit_weights(saved[1], lambda tensors: (tensors.clear(), tensors.update({key: torch.zeros(1)})))
    with pytest.raises(BundleError, match=f"missing log_scale.*; the file looks like {name}$"):
        load(saved[1])


def test_all_problems_are_listed_at_once(saved):
    edit_weights(saved[1], lambda tensors: (tensors.pop("log_scale"), tensors.update(surplus=torch.zeros(1))))
    with pytest.raises(BundleError, match=r"missing log_scale; unexpected surplus"):
        load(saved[1])


def test_a_damaged_weights_file_is_a_bundle_error(saved):
    (saved[1] / WEIGHTS).write_bytes(b"no tensors")
    with pytest.raises(BundleError, match="can't be read"):
        load(saved[1])


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values.update(format=99),
        lambda values: values.pop("feature_width"),
        lambda values: values["config"].update(colour="red"),
        lambda values: values["config"].update(visual_tokens=0),
    ],
)
def test_a_header_that_we_do_not_read_is_a_bundle_error(saved, change):
    edit_header(saved[1], change)
    with pytest.raises(BundleError):
        bundle_fingerprint(str(saved[1]))


def test_a_folder_that_is_no_bundle_is_a_bundle_error(tmp_path):
    (tmp_path / "pictures").mkdir()
    with pytest.raises(BundleError, match="is no bundle"):
        bundle_fingerprint(str(tmp_path / "pictures"))


def test_a_bundle_that_is_nowhere_is_missing(own_home):
    with pytest.raises(MissingArtefact, match=r"jobs\.finetune"):
        load_bundle("absent")


def test_an_lm_that_changed_is_a_mismatch(saved, own_lm):
    config = own_lm / "generation_config.json"
    config.write_text(config.read_text() + "\n")
    with pytest.raises(FingerprintMismatch, match=r"the LM .*expected fingerprint .*found"):
        load(saved[1])


def test_a_vision_encoder_that_changed_is_a_mismatch(saved):
    edit_header(saved[1], lambda values: values.update(encoder_fingerprint="another"))
    with pytest.raises(FingerprintMismatch, match=r"the vision encoder .*expected fingerprint another"):
        load(saved[1])


def test_an_index_of_another_model_is_a_mismatch_and_its_own_opens(saved, tmp_path):
    _, folder = saved
    small_index().save(tmp_path / "stranger")
    with pytest.raises(FingerprintMismatch, match=bundle_fingerprint(str(folder))):
        load(folder, index=str(tmp_path / "stranger"))
    small_index(bundle_fingerprint(str(folder))).save(tmp_path / "own")
    assert load(folder, index=str(tmp_path / "own")).index.fingerprint == bundle_fingerprint(str(folder))


def test_the_fingerprint_changes_with_what_an_embedding_depends_on_and_with_nothing_else(saved, own_lm, clip, tmp_path):
    model, folder = saved
    same = bundle_fingerprint(str(folder))
    assert bundle_fingerprint(str(save(model, tmp_path / "copy", lineage={"items": 4}))) == same
    record_metrics(str(folder), {"r_at_1": 3.0})
    assert bundle_fingerprint(str(folder)) == same

    others = {bundle_fingerprint(str(save(model, tmp_path / "encoder", encoder_fingerprint="another")))}
    config = {"vision_encoder": str(clip), "text_layers": (-1, 1), "two_ret_rows": True}
    for name, changed in (("wording", {"caption_prompt": "A photo of"}), ("system", {"system_prompt": "Be brief."})):
        other = tiny.build(own_lm, **config, **changed)
        other.trained.load_state_dict(model.trained.state_dict())
        others.add(bundle_fingerprint(str(save(other, tmp_path / name))))
    with torch.no_grad():
        model.trained.ret.input_row[0] += 0.01
    others.add(bundle_fingerprint(str(save(model, tmp_path / "weight"))))
    assert len(others - {same}) == 4


def test_the_fingerprint_changes_with_the_lm_s_tokenizer(saved, own_lm, tmp_path):
    model, folder = saved
    tokenizer = own_lm / "tokenizer_config.json"
    tokenizer.write_text(tokenizer.read_text() + "\n")
    assert bundle_fingerprint(str(save(model, tmp_path / "again"))) != bundle_fingerprint(str(folder))


def test_metrics_are_added_by_name(saved):
    name = str(saved[1])
    assert bundle_metrics(name) == {}
    record_metrics(name, {"held-out": {"r_at_1": 1.0}})
    record_metrics(name, {"queries": {"hit": 0.5}, "held-out": {"r_at_1": 2.0}})
    assert bundle_metrics(name) == {"queries": {"hit": 0.5}, "held-out": {"r_at_1": 2.0}}


def test_a_bundle_that_fails_to_be_written_leaves_the_old_one(saved):
    model, folder = saved
    before = bundle_fingerprint(str(folder))
    with pytest.raises(TypeError):
        save(model, folder, lineage={"not": object()})
    assert bundle_fingerprint(str(folder)) == before


def test_a_folder_that_is_no_bundle_is_never_replaced_by_one(saved, tmp_path):
    keepsake = tmp_path / "pictures" / "holiday.jpg"
    keepsake.parent.mkdir()
    keepsake.write_bytes(b"irreplaceable")
    with pytest.raises(Exception, match="something else"):
        save(saved[0], keepsake.parent)
    assert keepsake.read_bytes() == b"irreplaceable"


def test_the_package_imports_without_torch():
    modules = "fromage_model, fromage_model.storage.artefacts, fromage_model.config"
    program = f"import sys, {modules}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "False"


def test_load_bundle_is_the_package_s_way_in():
    import fromage_model

    assert fromage_model.load_bundle is load_bundle
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        _ = fromage_model.absent


@pytest.mark.parametrize("shared_width", [tiny.SHARED_WIDTH, None])
def test_what_is_well_passes_the_check_without_its_lm(own_lm, clip, own_home, tmp_path, shared_width):
    model = tiny.build(own_lm, vision_encoder=str(clip), text_layers=(-1, 1), shared_width=shared_width)
    folder = save(model, tmp_path / "bundle")
    assert check_bundle(str(folder)) == read_header(folder)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"visual_tokens": 7}, r"prefix\.project\.weight is"),
        ({"shared_width": 77}, r"image_head\.project\.weight is .*, expected \(77,"),
        ({"text_layers": (-1, 1, 0)}, r"missing text_head\.project\.2\.bias"),
        ({"text_hidden": 5}, r"missing text_head\.of_hidden\.weight"),
        ({"ret_hidden": 5, "max_tokens_before_ret": 0}, r"missing decision\.of_hidden\.weight"),
    ],
)
def test_weights_of_another_config_are_found_without_the_lm(saved, change, told):
    edit_header(saved[1], lambda values: values["config"].update(change))
    with pytest.raises(BundleError, match=told):
        check_bundle(str(saved[1]))


def test_a_saved_frozen_model_is_named_as_one(saved):
    (saved[1] / HEADER).rename(saved[1] / FROZEN_HEADER)
    with pytest.raises(BundleError, match=r"has a frozen\.json: it is a saved FROZEN model"):
        bundle_fingerprint(str(saved[1]))
