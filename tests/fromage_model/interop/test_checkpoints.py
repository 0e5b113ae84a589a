"""The original's checkpoints: read by their names, pruned, laid over, and written so that the original reads them."""

import os
import zipfile

import pytest
import torch

from fromage_model.errors import CheckpointError
from fromage_model.interop import prune, read_full_checkpoint, read_pruned, unprune
from fromage_model.interop.original_keys import looks_like
from fromage_model.interop.pickles.restricted import Record, TensorRecord
from tests.fromage_model.interop import originals
from tests.fromage_model.interop.originals import full_tensors, trained, write_full, write_pruned

TABLES = (
    "module.model.input_embeddings.weight",
    "module.model.lm.model.decoder.embed_tokens.weight",
    "module.model.lm.lm_head.weight",
)


def same(found: dict, wanted: dict) -> None:
    assert list(found) == list(wanted)
    for name, tensor in wanted.items():
        assert torch.equal(found[name], tensor), name
        assert found[name].dtype == tensor.dtype


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_pruned_weights_come_as_they_are(dtype, tmp_path):
    tensors = {name: tensor.to(dtype) for name, tensor in trained(visual=4, layers=2).items()}
    same(read_pruned(write_pruned(tmp_path / "p", tensors, dtype=dtype)), tensors)


def test_pruned_weights_without_a_shared_width_have_no_text_maps(tmp_path):
    tensors = trained(shared=None)
    assert not any("text_hidden_fcs" in name for name in tensors)
    same(read_pruned(write_pruned(tmp_path / "p", tensors)), tensors)


def test_the_row_of_ret_may_be_a_vector(tmp_path):
    tensors = trained()
    path = write_pruned(
        tmp_path / "p", tensors | {"ret_input_embeddings.weight": tensors["ret_input_embeddings.weight"][0]}
    )
    same(read_pruned(path), tensors)


def test_a_token_table_that_was_left_in_is_dropped_once_its_row_agrees(tmp_path):
    tensors = trained()
    table = torch.randn(20, 8)
    table[19] = tensors["ret_input_embeddings.weight"][0]
    same(read_pruned(write_pruned(tmp_path / "p", tensors | {"model.input_embeddings.weight": table})), tensors)
    table = table.roll(-5, dims=0)
    path = write_pruned(tmp_path / "p", tensors | {"model.input_embeddings.weight": table})
    same(read_pruned(path, ret_index=14), tensors)
    with pytest.raises(CheckpointError, match=r"row 19 of model\.input_embeddings\.weight is not ret_input_embeddings"):
        read_pruned(path)
    originals.write_args(tmp_path / "model_args.json", originals.PAPER_ARGS, retrieval_token_idx=14)
    same(read_pruned(path), tensors)


def test_what_the_original_s_prune_script_makes_is_read(tmp_path):
    tensors = trained()
    value = full_tensors(write_full(tmp_path / "full", tensors))
    state = value["state_dict"]
    for key in ("epoch", "best_score", "optimizer", "scheduler"):
        del value[key]
    state["ret_input_embeddings.weight"] = state["module.model.input_embeddings.weight"][19, :].detach().clone()
    torch.save(value, tmp_path / "pruned")
    read = read_pruned(tmp_path / "pruned")
    assert read.keys() == tensors.keys()
    assert torch.equal(read["model.visual_fc.weight"], state["module.model.visual_fc.weight"])


def test_missing_extra_and_wrongly_shaped_keys_are_all_listed(tmp_path):
    tensors = trained()
    del tensors["model.visual_fc.bias"]
    tensors["model.text_hidden_fcs.0.0.bias"] = torch.zeros(5)
    tensors["model.colour.weight"] = torch.zeros(1)
    with pytest.raises(CheckpointError) as told:
        read_pruned(write_pruned(tmp_path / "p", tensors))
    for part in (
        "looks like FROMAGe pruned weights",
        "missing model.visual_fc.bias",
        "unexpected model.colour.weight",
        "model.text_hidden_fcs.0.0.bias is (5,), expected (4,)",
    ):
        assert part in str(told.value)


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        (["model.layers.0.self_attn.q_proj.weight", "lm_head.weight"], "a plain language model"),
        (["decoder.layers.0.fc1.weight"], "a plain language model"),
        (["llama.adapter_query.weight", "visual_query.weight"], "LLaMA-Adapter V2"),
        (["tok_embeddings.weight", "layers.0.attention.wq.weight"], "LLaMA weights in Meta's layout"),
        (["vision_model.embeddings.class_embedding"], "a CLIP model"),
        (["model.gen_text_hidden_fcs.0.fc.weight", "model.visual_fc.weight"], "GILL"),
        (["text_head.project.0.weight", "ret.input_row"], "a bundle of this project"),
        (["colour.weight"], "no model that we know"),
    ],
)
def test_another_model_s_file_is_named(keys, name, tmp_path):
    torch.save({"model": {key: torch.zeros(1) for key in keys}}, tmp_path / "p")
    with pytest.raises(CheckpointError, match=f"looks like {name}"):
        read_pruned(tmp_path / "p")
    with pytest.raises(CheckpointError, match=f"looks like {name}"):
        read_full_checkpoint(tmp_path / "p")
    assert looks_like(keys).startswith(name)


def test_a_full_checkpoint_where_a_pruned_one_is_asked_for_says_what_reads_it(tmp_path):
    with pytest.raises(CheckpointError, match="read_full_checkpoint reads it, and prune makes"):
        read_pruned(write_full(tmp_path / "full", trained()))


def test_pruned_weights_where_a_full_checkpoint_is_asked_for_are_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"looks like FROMAGe pruned weights; expected a FROMAGe full"):
        read_full_checkpoint(write_pruned(tmp_path / "p", trained()))


def test_torch_refuses_the_genuine_checkpoint_and_we_read_it(tmp_path):
    path = write_full(tmp_path / "full", trained(), dtype=torch.bfloat16)
    with pytest.raises(Exception, match="StepLR"):
        torch.load(path, weights_only=True)
    state = full_tensors(path)["state_dict"]
    read = read_full_checkpoint(path)
    assert read.epoch == 3
    assert read.best_score == 0.25
    assert read.weights.keys() == trained().keys()
    for name, tensor in read.weights.items():
        wanted = state[TABLES[0]][19:20] if name.startswith("ret_") else state[f"module.{name}"]
        assert torch.equal(tensor, wanted), name
    step = read.scheduler["after_scheduler"]
    assert isinstance(step, Record)
    assert step.origin.endswith(".StepLR")
    assert step.state["gamma"] == 0.1
    first = read.optimizer["state"][0]["exp_avg"]
    assert isinstance(first, TensorRecord)
    assert torch.equal(first.tensor, full_tensors(path)["optimizer"]["state"][0]["exp_avg"])


def test_the_row_of_ret_is_where_model_args_or_the_caller_says(tmp_path):
    path = write_full(tmp_path / "ckpt.pth.tar", trained(), ret_index=4)
    table = full_tensors(path)["state_dict"][TABLES[0]]
    assert torch.equal(read_full_checkpoint(path).weights["ret_input_embeddings.weight"][0], table[19])
    assert torch.equal(read_full_checkpoint(path, ret_index=4).weights["ret_input_embeddings.weight"][0], table[4])
    originals.write_args(tmp_path / "model_args.json", originals.PAPER_ARGS, retrieval_token_idx=4)
    assert torch.equal(read_full_checkpoint(path).weights["ret_input_embeddings.weight"][0], table[4])
    with pytest.raises(CheckpointError, match=r"\[RET\] should be row 20 .* which has 20 rows"):
        read_full_checkpoint(path, ret_index=20)


def test_prune_keeps_the_trained_tensors_and_the_original_opens_them(tmp_path):
    full = write_full(tmp_path / "full", trained(visual=4), dtype=torch.bfloat16)
    prune(full, tmp_path / "new" / "pruned")
    same(read_pruned(tmp_path / "new" / "pruned"), read_full_checkpoint(full).weights)
    opened = torch.load(tmp_path / "new" / "pruned")["state_dict"]
    assert opened.keys() == trained().keys()
    assert opened["ret_input_embeddings.weight"].squeeze().shape == (8,)
    assert os.path.getsize(tmp_path / "new" / "pruned") < os.path.getsize(full)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_unprune_lays_weights_over_and_touches_nothing_else(dtype, tmp_path):
    full = write_full(tmp_path / "full", trained(seed=1), dtype=dtype)
    pruned = trained(seed=2)
    unprune(write_pruned(tmp_path / "pruned", pruned), full, tmp_path / "out")
    before, after = full_tensors(full), full_tensors(tmp_path / "out")
    assert before["state_dict"].keys() == after["state_dict"].keys()
    for name, tensor in after["state_dict"].items():
        plain = name.removeprefix("module.")
        old = before["state_dict"][name].clone()
        if name in TABLES:
            old[19] = pruned["ret_input_embeddings.weight"][0]
        elif plain in pruned:
            old.copy_(pruned[plain])
        assert tensor.dtype == dtype
        assert torch.equal(tensor, old), name
    assert type(after["scheduler"]["after_scheduler"]) is torch.optim.lr_scheduler.StepLR
    for slot, state in before["optimizer"]["state"].items():
        for name, tensor in state.items():
            assert torch.equal(after["optimizer"]["state"][slot][name], tensor)


def test_unprune_changes_no_byte_but_those_of_the_tensors(tmp_path):
    full = write_full(tmp_path / "full", trained(seed=1))
    unprune(write_pruned(tmp_path / "pruned", trained(seed=2)), full, tmp_path / "out")
    with zipfile.ZipFile(full) as before, zipfile.ZipFile(tmp_path / "out") as after:
        assert after.testzip() is None, "a checksum is wrong"
        assert before.namelist() == after.namelist()
        changed = {name for name in before.namelist() if before.read(name) != after.read(name)}
        assert len(changed) == 8  # seven maps and the temperature, and the table: one storage under three names
        assert all("/data/" in name for name in changed)
    assert os.path.getsize(full) == os.path.getsize(tmp_path / "out")


def test_an_unpruned_checkpoint_prunes_to_what_was_laid_over_it(tmp_path):
    pruned = write_pruned(tmp_path / "pruned", trained(seed=2))
    full = write_full(tmp_path / "full", trained(seed=1), ret_index=6)
    unprune(pruned, full, full, ret_index=6)
    prune(full, tmp_path / "again", ret_index=6)
    same(read_pruned(tmp_path / "again"), trained(seed=2))


def test_tables_that_share_no_storage_all_get_the_row(tmp_path):
    value = full_tensors(write_full(tmp_path / "full", trained(seed=1)))
    value["state_dict"] = {name: tensor.clone() for name, tensor in value["state_dict"].items()}
    torch.save(value, tmp_path / "full")
    unprune(write_pruned(tmp_path / "pruned", trained(seed=2)), tmp_path / "full", tmp_path / "out")
    state = full_tensors(tmp_path / "out")["state_dict"]
    for name in TABLES:
        assert torch.equal(state[name][19], trained(seed=2)["ret_input_embeddings.weight"][0]), name


def test_unprune_of_another_model_s_weights_writes_nothing(tmp_path):
    full = write_full(tmp_path / "full", trained())
    pruned = write_pruned(tmp_path / "pruned", trained(visual=4))
    with pytest.raises(CheckpointError, match=r"model\.visual_embeddings\.weight is \(32, 6\), expected \(16, 6\)"):
        unprune(pruned, full, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "pruned"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"it is empty; expected a file that torch\.save of torch 1\.6 or newer wrote; download it again"),
        (b"Entry not found", "it is a text that begins with 'Entry not found'; expected a file that"),
        (b"<!DOCTYPE html>\n<html>", "it is an HTML page, not the file itself; .* /resolve/"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 5\n", "Git LFS pointer.*`git lfs pull`"),
        (b"\x10\0\0\0\0\0\0\0{}              ", r"a safetensors file; .*safetensors\.torch\.load_file"),
        (b"\x1f\x8b\x08", "packed with gzip; .*unpack it first"),
        (b"GGUF\x03\0\0\0", "a GGUF file; .*take the model's safetensors"),
        (b"PK\x03\x04 and no more", "it is damaged, or its end is missing: download it again"),
    ],
)
def test_a_file_that_is_no_archive_is_told_for_what_it_is_and_what_would_work(content, message, tmp_path):
    (tmp_path / "p").write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as refused:
        read_pruned(tmp_path / "p")
    assert "torch.load(path" not in str(refused.value)


def test_a_checkpoint_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="nowhere can't be opened"):
        read_pruned(tmp_path / "nowhere")


def test_a_file_of_before_torch_1_6_is_named(tmp_path):
    torch.save({"state_dict": trained()}, tmp_path / "p", _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match=r"weights_only=True\), path\)"):
        read_pruned(tmp_path / "p")


def test_a_truncated_checkpoint_is_refused(tmp_path):
    content = write_full(tmp_path / "full", trained()).read_bytes()
    (tmp_path / "full").write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="full can't be opened"):
        read_full_checkpoint(tmp_path / "full")


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_memory_does_not_grow_with_the_frozen_part(tmp_path):
    frozen = {"module.model.lm.model.decoder.layers.1.fc1.weight": torch.ones(25 * 2**20)}
    path = write_full(tmp_path / "full", trained(), frozen=frozen)
    del frozen
    size = os.path.getsize(path)
    before = resident_bytes()
    read = read_full_checkpoint(path)
    ours = resident_bytes() - before
    whole = full_tensors(path)
    theirs = resident_bytes() - before
    assert read.weights.keys() == trained().keys()
    assert len(whole["state_dict"]) > len(read.weights)
    assert theirs > 0.9 * size, "the measure does not see what is read"
    assert ours < 0.05 * size
