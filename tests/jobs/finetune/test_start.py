"""LoRA is trained with the maps over frozen weights; a run that starts from a bundle goes on with what that has."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch

from fromage_model.bundle import load_bundle
from fromage_model.catalogue.features import read_features
from fromage_model.config import FromageConfig
from fromage_model.errors import BundleError, ConfigError, FingerprintMismatch
from fromage_model.fromage import Fromage
from fromage_model.header import HEADER, bundle_fingerprint
from jobs.finetune.settings import FinetuneArgs
from jobs.finetune.start import FITTED, FIXED, FREE, adopt_config, origin
from jobs.finetune.worker import BUNDLE_FOLDER, Worker
from tests.fromage_model import tiny_frozen
from tests.jobs.finetune.test_optimisation import settle
from tests.jobs.finetune.test_step import state_hash, tiny_args

LORA = {"lora_rank": 2, "lora_learning_rate": 1e-2}


def start(args: FinetuneArgs) -> Worker:
    torch.manual_seed(0)
    adopted = adopt_config(args, features=read_features(args.features).info)
    return Worker(adopted, rank=0, world_size=1)


def frozen(model: Fromage) -> dict[str, torch.Tensor]:
    """The LM's own weights, under the names that they have without LoRA."""
    values = model.lm.state_dict()
    return {name.replace(".base_layer", ""): value.clone() for name, value in values.items() if "lora_" not in name}


def trained(model: Fromage) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.trained.state_dict().items()}


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_lora_learns_beside_weights_that_stay_bit_equal(tiny_world, dtype):
    plain = frozen(Worker(tiny_args(tiny_world, dtype=dtype), rank=0, world_size=1).model)
    worker = start(tiny_args(tiny_world, dtype=dtype, **LORA))
    assert changed(plain, frozen(worker.model)) == set()
    before = trained(worker.model)
    worker.warm_start()
    assert not any(name.startswith("lora.") for name in changed(before, trained(worker.model)))
    settle(worker)
    worker.run_epoch(0, None)
    assert changed(plain, frozen(worker.model)) == set()
    learned = {name for name in changed(before, trained(worker.model)) if name.startswith("lora.")}
    assert learned == {name for name in before if name.startswith("lora.")} != set()


def test_lora_has_a_rate_of_its_own_and_stands_in_the_optimizer_once(tiny_world):
    worker = start(tiny_args(tiny_world, **LORA))
    groups = worker.optimisation.optimizer.param_groups
    held = [(id(one), group["initial_lr"]) for group in groups for one in group["params"]]
    trainable = {id(one) for one in worker.model.parameters() if one.requires_grad}
    assert len(held) == len(trainable)
    assert {one for one, _ in held} == trainable
    of_lora = {id(one) for one in worker.model.trained.lora.parameters()}
    assert {rate for one, rate in held if one in of_lora} == {1e-2}
    assert 1e-2 not in {rate for one, rate in held if one not in of_lora}


def test_a_run_with_lora_that_was_stopped_ends_where_an_undisturbed_one_does(tiny_world, tmp_path, monkeypatch):
    args = tiny_args(tiny_world, dtype="float16", **LORA)
    whole = start(args)
    whole.warm_start()
    for epoch in range(2):
        whole.run_epoch(epoch, None)
        if epoch == 0:
            whole.save(tmp_path, epochs_done=1, lineage={})
    resumed = start(args)
    assert resumed.load(tmp_path) == 1
    resumed.run_epoch(1, None)
    assert state_hash(resumed.model.trained) == state_hash(whole.model.trained)


def test_lora_over_a_float16_lm_becomes_a_bundle_that_loads_merged_and_beside(tiny_world, tmp_path):
    worker = start(tiny_args(tiny_world, dtype="float16", **LORA))
    settle(worker)
    worker.run_epoch(0, None)
    worker.save(tmp_path, epochs_done=1, lineage={})
    merged, beside = (
        load_bundle(str(tmp_path / BUNDLE_FOLDER), dtype="float32", merge_lora=merge, vision=False)
        for merge in (True, False)
    )
    texts = ["A picture of a red square.", "Do you have it in blue?"]
    torch.testing.assert_close(merged.text_embeddings(texts), beside.text_embeddings(texts), atol=1e-5, rtol=0)
    assert merged.trained.lora is None
    assert all(float(one.abs().max()) > 0 for one in beside.trained.lora.parameters())


def test_a_start_has_the_bundle_s_parts_statistics_and_config(tiny_world):
    worker = start(tiny_args(tiny_world, shared_width=256, start_from=str(tiny_world.bundle)))
    bundle = load_bundle(str(tiny_world.bundle), dtype="float32", vision=False)
    assert changed(trained(bundle), trained(worker.model)) == set()
    worker.warm_start()
    assert changed(trained(bundle), trained(worker.model)) == set()
    asked = {"system_prompt": "", "examples": worker.args.examples}
    assert worker.model.config == dataclasses.replace(bundle.config, **asked)
    assert worker.model.trained.text_head.dropout.p == worker.args.dropout
    assert all(parameter.requires_grad for parameter in worker.model.trained.parameters())
    worker.run_epoch(0, None)
    assert len(changed(trained(bundle), trained(worker.model))) == len(list(bundle.trained.parameters()))


def test_every_field_of_the_config_is_fixed_free_or_the_features():
    fields = [field.name for field in dataclasses.fields(FromageConfig)]
    assert sorted([*FIXED, *FREE, *FITTED, "vision_encoder"]) == sorted(fields)


def test_a_run_may_change_captions_and_dropout_and_otherwise_keeps_the_bundle_s(tiny_world, tmp_path):
    changes = {"caption_prompt": "It shows", "image_dropout": 0.25, "text_dropout": 0.125}
    first = start(tiny_args(tiny_world, shared_width=256, start_from=str(tiny_world.bundle), **changes))
    first.save(tmp_path, epochs_done=1, lineage={})
    second = start(tiny_args(tiny_world, shared_width=256, start_from=str(tmp_path / BUNDLE_FOLDER)))
    for worker in (first, second):
        assert {name: getattr(worker.model.config, name) for name in changes} == changes
        parts = worker.model.trained
        assert parts.prefix.dropout.p == parts.image_head.output_dropout.p == 0.25
        assert parts.text_head.output_dropout.p == 0.125


def test_refit_takes_the_statistics_and_heads_anew(tiny_world):
    worker = start(tiny_args(tiny_world, shared_width=256, start_from=str(tiny_world.bundle), refit=True))
    worker.warm_start()
    bundle = load_bundle(str(tiny_world.bundle), dtype="float32", vision=False)
    anew = changed(trained(bundle), trained(worker.model))
    assert {"standardise.mean", "text_head.standardise.0.mean", "image_head.project.weight"} <= anew
    fresh = Worker(tiny_args(tiny_world, shared_width=16), rank=0, world_size=1)
    assert torch.equal(worker.model.trained.standardise.mean, fresh.model.trained.standardise.mean)


def test_refit_may_give_the_text_head_another_hidden_layer_and_a_later_run_keeps_it(tiny_world, tmp_path):
    starts = {"shared_width": 256, "start_from": str(tiny_world.bundle)}
    with pytest.raises(ConfigError, match=r"text_hidden is 6, but .* was trained with 0"):
        start(tiny_args(tiny_world, text_hidden=6, **starts))
    first = start(tiny_args(tiny_world, text_hidden=6, refit=True, **starts))
    assert first.model.trained.text_head.hidden_units == 6
    first.warm_start()
    first.save(tmp_path, epochs_done=1, lineage={})
    starts["start_from"] = str(tmp_path / BUNDLE_FOLDER)
    for settings in ({}, {"refit": True}):
        second = start(tiny_args(tiny_world, **settings, **starts))
        assert second.model.config.text_hidden == second.model.trained.text_head.hidden_units == 6


@pytest.mark.usefixtures("few_sayings")
def test_the_decision_alone_may_bring_a_hidden_layer_which_a_later_run_keeps(tiny_world, tmp_path):
    (tmp_path / "without").mkdir()
    (tmp_path / "with").mkdir()
    Worker(tiny_args(tiny_world), rank=0, world_size=1).save(tmp_path / "without", epochs_done=0, lineage={})
    starts = {"start_from": str(tmp_path / "without" / BUNDLE_FOLDER)}
    with pytest.raises(ConfigError, match=r"ret_hidden is 6, but .* was trained with 0"):
        start(tiny_args(tiny_world, ret_hidden=6, **starts))
    alone = {"ret_hidden": 6, "decision_alone": True, "epochs": 0}
    with pytest.raises(ConfigError, match=r"another decision .* others_shown, and that is None"):
        start(tiny_args(tiny_world, others_shown=None, **alone, **starts))
    first = start(tiny_args(tiny_world, **alone, **starts))
    first.warm_start()
    first.finish()
    first.save(tmp_path / "with", epochs_done=0, lineage={})
    starts["start_from"] = str(tmp_path / "with" / BUNDLE_FOLDER)
    second = start(tiny_args(tiny_world, others_shown=None, **starts))
    assert second.model.config.ret_hidden == second.model.trained.decision.hidden_units == 6
    ours, kept = (worker.model.trained.decision.state_dict() for worker in (first, second))
    torch.testing.assert_close(kept, ours, atol=1e-2, rtol=1e-2)
    assert kept["of_hidden.weight"].abs().max() > 0


def test_lora_may_be_added_to_a_bundle_and_then_goes_on_being_trained(tiny_world, tmp_path):
    first = start(tiny_args(tiny_world, shared_width=256, start_from=str(tiny_world.bundle), **LORA))
    first.run_epoch(0, None)
    first.save(tmp_path, epochs_done=1, lineage={})
    saved = tmp_path / BUNDLE_FOLDER
    second = start(tiny_args(tiny_world, shared_width=256, start_from=str(saved)))
    assert second.args.lora_rank == 2
    expected = load_bundle(str(saved), dtype="float32", vision=False, merge_lora=False)
    assert changed(trained(expected), trained(second.model)) == set()
    second.run_epoch(0, None)
    assert any(name.startswith("lora.") for name in changed(trained(expected), trained(second.model)))
    with pytest.raises(ConfigError, match=r"lora_rank is 3, but .* was trained with 2; leave it out"):
        start(tiny_args(tiny_world, shared_width=256, start_from=str(saved), lora_rank=3))


def test_a_setting_that_the_bundle_contradicts_is_refused_by_name(tiny_world):
    args = tiny_args(tiny_world, visual_tokens=3, shared_width=16, start_from=str(tiny_world.bundle))
    with pytest.raises(ConfigError, match=r"visual_tokens is 3, but .* was trained with 2; leave it out"):
        adopt_config(args, features=read_features(tiny_world.features).info)


def test_features_of_another_encoder_than_the_bundle_s_are_refused(tiny_world):
    info = dataclasses.replace(read_features(tiny_world.features).info, encoder_fingerprint="another")
    with pytest.raises(FingerprintMismatch, match="the encoder that made the features"):
        adopt_config(tiny_args(tiny_world, shared_width=16, start_from=str(tiny_world.bundle)), features=info)


def test_the_lineage_names_the_bundle_that_a_run_started_from(tiny_world):
    said = origin(tiny_args(tiny_world, start_from=str(tiny_world.bundle)))["started_from"]
    assert said == {"bundle": str(tiny_world.bundle), "fingerprint": bundle_fingerprint(str(tiny_world.bundle))}
    assert origin(tiny_args(tiny_world)) == {}


def test_settings_of_what_is_not_used_do_not_name_a_run():
    plain = FinetuneArgs()
    assert not any(name.startswith(("lora", "start_from", "refit")) for name in plain.decisive())
    assert plain.decisive() == FinetuneArgs(lora_alpha=99, lora_learning_rate=1.0).decisive()
    ranked = FinetuneArgs(lora_rank=4).decisive()
    assert plain.decisive() != ranked != FinetuneArgs(lora_rank=4, lora_alpha=99).decisive()


@pytest.mark.parametrize("settings", [{"lora_targets": ("q_proj",)}, {"lora_rank": -1}, {"refit": True}])
def test_settings_that_cannot_work_together_are_refused_by_name(settings):
    (name,) = settings
    with pytest.raises(ConfigError, match=name):
        FinetuneArgs(**settings)


def changed_copy(bundle: Path, folder: Path, **changes) -> str:
    """Its header says something else than the bundle's."""
    shutil.copytree(bundle, folder)
    told = json.loads((folder / HEADER).read_text())
    config = told["config"] | changes.pop("config", {})
    (folder / HEADER).write_text(json.dumps(told | changes | {"config": config}))
    return str(folder)


def test_a_bundle_of_another_lm_or_config_is_refused_before_any_worker_starts(tiny_world, tmp_path):
    info = read_features(tiny_world.features).info
    other = changed_copy(tiny_world.bundle, tmp_path / "lm", lm_fingerprint="0" * 64)
    with pytest.raises(FingerprintMismatch, match=r"the LM .*: expected fingerprint 0000"):
        adopt_config(tiny_args(tiny_world, shared_width=16, start_from=other), features=info)
    more = changed_copy(tiny_world.bundle, tmp_path / "tokens", config={"visual_tokens": 3})
    with pytest.raises(BundleError, match=r"prefix\.project\.weight is \(64, 1280\), expected \(96, 1280\)"):
        adopt_config(tiny_args(tiny_world, shared_width=16, start_from=more), features=info)
    wide = changed_copy(tiny_world.bundle, tmp_path / "wide", config={"shared_width": 32})
    with pytest.raises(BundleError, match=r"image_head\.project\.weight is \(16, 1280\), expected \(32, 1280\)"):
        adopt_config(tiny_args(tiny_world, shared_width=32, start_from=wide), features=info)


def test_a_frozen_model_is_no_start_and_what_trains_it_is_said(tiny_world, tmp_path):
    tiny_frozen.build(tiny_world.lm, tiny_frozen.write_resnet(tmp_path / "resnet")).save(tmp_path / "frozen")
    args = tiny_args(tiny_world, start_from=str(tmp_path / "frozen"))
    with pytest.raises(ConfigError, match=r"a saved FROZEN model; --model frozen goes on from it"):
        adopt_config(args, features=read_features(tiny_world.features).info)
