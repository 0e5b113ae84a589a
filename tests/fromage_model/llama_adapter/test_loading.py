"""Every key counts, nothing in a file is run, and each refusal says what was wrong and what would work."""

import json
import shutil

import pytest
import torch

from fromage_model.captioning.captioner import load_captioner
from fromage_model.errors import CheckpointError, ConfigError, MissingArtefact
from fromage_model.language.precision import default_dtype
from fromage_model.llama_adapter import LlamaAdapter
from fromage_model.llama_adapter.checkpoints import grouped
from tests.fromage_model import tiny
from tests.fromage_model.llama_adapter.conftest import load
from tests.fromage_model.llama_adapter.originals import KINDS

KEYS = (
    "adapter_query.weight",
    "visual_query.weight",
    "clip_proj.bias",
    "visual_proj_norm.weight",
    "visual_blocks.7.attn.qkv.bias",
    "llama.layers.0.attention.gate",
    "llama.layers.2.attention.wq.bias",
    "llama.layers.3.feed_forward.w2.bias",
    "llama.layers.1.ffn_norm.weight",
    "llama.norm.weight",
    "llama.layers.2.attention.new_gate",
    "llama.layers.0.attention.lora_wk_l1.weight",
    "llama.layers.3.feed_forward.lora_w3_l2.weight",
)


class Payload:
    """What a malicious pickle holds: a call made when it is read."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), "w"))


def saved(tensors, path):
    torch.save({"model": tensors}, path)
    return path


@pytest.mark.parametrize("key", KEYS)
def test_a_missing_key_is_named(files, tmp_path, key):
    original = files["LORA-BIAS-7B"]
    rest = {name: value for name, value in original.adapter.items() if name != key}
    with pytest.raises(CheckpointError, match="missing") as raised:
        load(original, adapter_checkpoint=saved(rest, tmp_path / "x.pth"))
    assert f"missing {key}" in str(raised.value)
    assert "LLaMA-Adapter V2" in str(raised.value)


@pytest.mark.parametrize("key", [key for key in KEYS if key != "visual_query.weight"])
def test_a_wrongly_shaped_key_is_named_with_both_shapes(files, tmp_path, key):
    original = files["LORA-BIAS-7B"]
    value = original.adapter[key]
    wider = torch.cat([value, value[..., :1]], dim=-1)
    with pytest.raises(CheckpointError) as raised:
        load(original, adapter_checkpoint=saved(original.adapter | {key: wider}, tmp_path / "x.pth"))
    assert f"{key} is {tuple(wider.shape)}, expected {tuple(value.shape)}" in str(raised.value)


def test_visual_queries_of_another_number_or_width_are_refused(files, tmp_path):
    original = files["LORA-BIAS-7B"]
    value = original.adapter["visual_query.weight"]
    count, width = value.shape
    more = original.adapter | {"visual_query.weight": torch.cat([value, value[:1]])}
    with pytest.raises(CheckpointError) as raised:
        load(original, adapter_checkpoint=saved(more, tmp_path / "x.pth"))
    assert f"visual_query.weight is {(count + 1, width)}, expected {(count, width)}" in str(raised.value)
    wider = original.adapter | {"visual_query.weight": torch.cat([value, value[:, :1]], dim=1)}
    with pytest.raises(CheckpointError, match=f"visual width {width + 1} is no multiple of its 16 heads"):
        load(original, adapter_checkpoint=saved(wider, tmp_path / "x.pth"))
    doubled = original.adapter | {"visual_query.weight": torch.cat([value, value], dim=1)}
    with pytest.raises(CheckpointError) as raised:
        load(original, adapter_checkpoint=saved(doubled, tmp_path / "x.pth"))
    assert f"clip_proj.bias is {(width,)}, expected {(2 * width,)}" in str(raised.value)


def test_an_extra_key_is_named(files, tmp_path):
    original = files["BIAS-7B"]
    extra = original.adapter | {"llama.layers.1.attention.wk.bias": torch.zeros(64)}
    with pytest.raises(CheckpointError, match=r"unexpected llama\.layers\.1\.attention\.wk\.bias"):
        load(original, adapter_checkpoint=saved(extra, tmp_path / "x.pth"))


def test_new_gates_belong_to_lora_alone(files, tmp_path):
    original = files["BIAS-7B"]
    gates = {f"llama.layers.{layer}.attention.new_gate": torch.ones(1, 1, 1, 1) for layer in range(4)}
    with pytest.raises(CheckpointError, match=r"unexpected llama\.layers\.\{0,1,2,3\}\.attention\.new_gate"):
        load(original, adapter_checkpoint=saved(original.adapter | gates, tmp_path / "x.pth"))


def test_queries_that_are_no_multiple_of_ten_are_refused(files, tmp_path):
    original = files["BIAS-7B"]
    cut = original.adapter | {"adapter_query.weight": original.adapter["adapter_query.weight"][:-3]}
    with pytest.raises(CheckpointError, match=r"adapter_query\.weight is \(27, 64\), expected \(20, 64\)"):
        load(original, adapter_checkpoint=saved(cut, tmp_path / "x.pth"))


def test_an_adapter_for_another_llama_is_refused(files, tmp_path):
    original = files["BIAS-7B"]
    more = original.adapter | {"adapter_query.weight": torch.zeros(50, 64)}
    with pytest.raises(CheckpointError, match=r"adapter_query\.weight is \(50, 64\), expected \(40, 64\)"):
        load(original, adapter_checkpoint=saved(more, tmp_path / "x.pth"))


def test_a_wrong_file_is_told_apart_by_what_it_looks_like(files, tmp_path):
    original = files["BIAS-7B"]
    likeness = {
        "Meta's LLaMA weights": original.llama,
        "a FROMAGe checkpoint": {"model.logit_scale": torch.ones(()), "model.visual_embeddings.weight": torch.ones(2)},
        "for text alone": {"adapter_query.weight": torch.ones(30, 64)},
        "frozen weights too": original.adapter | {"llama.layers.0.attention.wk.weight": torch.ones(64, 64)},
        "nothing that we know": {"something": torch.ones(1)},
    }
    for words, tensors in likeness.items():
        with pytest.raises(CheckpointError, match=words):
            load(original, adapter_checkpoint=saved(tensors, tmp_path / "x.pth"))


def test_the_three_kinds_name_themselves_when_a_key_is_over(files, tmp_path):
    words = {"BIAS-7B": r"\(BIAS-7B\)", "LORA-BIAS-7B": "LORA-BIAS-7B", "CAPTION-7B": "without biases or LoRA"}
    for kind in KINDS:
        tensors = files[kind].adapter | {"over": torch.ones(1)}
        with pytest.raises(CheckpointError, match=words[kind]):
            load(files[kind], adapter_checkpoint=saved(tensors, tmp_path / "x.pth"))


def test_a_checkpoint_that_would_run_code_is_refused_and_not_run(files, tmp_path):
    original, marker = files["BIAS-7B"], tmp_path / "was-run"
    torch.save({"model": original.adapter | {"llama.norm.weight": Payload(marker)}}, tmp_path / "bad.pth")
    with pytest.raises(CheckpointError, match="could run code"):
        load(original, adapter_checkpoint=tmp_path / "bad.pth")
    weights = shutil.copytree(original.llama_dir, tmp_path / "llama") / "7B" / "consolidated.00.pth"
    torch.save({"norm.weight": Payload(marker)}, weights)
    with pytest.raises(CheckpointError, match="could run code"):
        load(original, llama_dir=tmp_path / "llama")
    assert not marker.exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04broken"])
def test_a_damaged_checkpoint_is_named(files, tmp_path, content):
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"x\.pth can't be read"):
        load(files["BIAS-7B"], adapter_checkpoint=tmp_path / "x.pth")


def test_a_checkpoint_that_holds_no_tensors_is_named(files, tmp_path):
    torch.save({"model": {"epoch": 3}}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="these keys are none: epoch"):
        load(files["BIAS-7B"], adapter_checkpoint=tmp_path / "x.pth")
    torch.save([1], tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="holds a list"):
        load(files["BIAS-7B"], adapter_checkpoint=tmp_path / "x.pth")


def test_tensors_without_the_outer_model_are_read_too(files, models, tmp_path):
    original = files["BIAS-7B"]
    torch.save(original.adapter, tmp_path / "bare.pth")
    bare = load(original, adapter_checkpoint=tmp_path / "bare.pth")
    for name, value in models["BIAS-7B"].state_dict().items():
        assert torch.equal(bare.state_dict()[name], value), name


def test_the_subfolder_is_as_good_as_the_folder(files, models):
    original = files["BIAS-7B"]
    inner = load(original, llama_dir=original.llama_dir / "7B")
    for name, value in models["BIAS-7B"].state_dict().items():
        assert torch.equal(inner.state_dict()[name], value), name


def test_nothing_of_a_stored_llama_is_lost_and_a_captioner_computes_as_fast_as_it_can(files):
    original = files["BIAS-7B"]
    assert original.llama["output.weight"].dtype == torch.float16
    places = (original.llama_dir, original.checkpoint, original.clip)
    assert LlamaAdapter.from_original(*places, device="cpu").llama.dtype == torch.float32
    named = f"llama-adapter:{','.join(map(str, places))}"
    assert load_captioner(named, device="cpu").llama.dtype == default_dtype("cpu")


def test_rotary_frequencies_of_each_layer_are_ignored_as_well(files, tmp_path):
    original = files["BIAS-7B"]
    folder = shutil.copytree(original.llama_dir, tmp_path / "llama")
    each = {f"layers.{layer}.attention.inner_attention.rope.freqs": torch.ones(8) for layer in range(4)}
    torch.save(original.llama | each, folder / "7B" / "consolidated.00.pth")
    load(original, llama_dir=folder)


def test_a_llama_with_a_wrong_key_is_refused(files, tmp_path):
    original = files["BIAS-7B"]
    folder = shutil.copytree(original.llama_dir, tmp_path / "llama")
    path = folder / "7B" / "consolidated.00.pth"
    for change, words in (
        ({"layers.0.attention.wq.bias": torch.ones(64)}, r"unexpected layers\.0\.attention\.wq\.bias"),
        ({"output.weight": torch.ones(9, 64)}, r"output\.weight is \(9, 64\), expected \(380, 64\)"),
    ):
        torch.save(original.llama | change, path)
        with pytest.raises(CheckpointError, match=words):
            load(original, llama_dir=folder)
    torch.save({name: value for name, value in original.llama.items() if name != "tok_embeddings.weight"}, path)
    with pytest.raises(CheckpointError, match=r"missing tok_embeddings\.weight"):
        load(original, llama_dir=folder)


def test_llama_folders_that_are_not_whole_say_what_is_not_there(files, tmp_path):
    original = files["BIAS-7B"]
    with pytest.raises(MissingArtefact, match="expected consolidated"):
        load(original, llama_dir=tmp_path)
    folder = shutil.copytree(original.llama_dir, tmp_path / "llama")
    (folder / "7B" / "consolidated.01.pth").write_bytes(b"")
    with pytest.raises(CheckpointError, match="2 shards"):
        load(original, llama_dir=folder)
    (folder / "7B" / "consolidated.01.pth").unlink()
    (folder / "tokenizer.model").rename(tmp_path / "aside")
    with pytest.raises(MissingArtefact, match=r"no tokenizer\.model in"):
        load(original, llama_dir=folder)
    (folder / "tokenizer.model").write_bytes(b"junk\x00\xff")
    with pytest.raises(CheckpointError, match="no sentencepiece model"):
        load(original, llama_dir=folder)
    (folder / "7B" / "params.json").write_text(json.dumps({"dim": 64}))
    with pytest.raises(MissingArtefact, match="n_layers"):
        load(original, llama_dir=folder)


def test_a_tokenizer_that_is_larger_than_the_table_is_refused(files, tmp_path):
    original = files["BIAS-7B"]
    folder = shutil.copytree(original.llama_dir, tmp_path / "llama")
    small = {
        name: value[:300]
        for name, value in original.llama.items()
        if name in ("tok_embeddings.weight", "output.weight")
    }
    torch.save(original.llama | small, folder / "7B" / "consolidated.00.pth")
    with pytest.raises(CheckpointError, match="the tokenizer has 380 tokens, the weights 300"):
        load(original, llama_dir=folder)


def test_an_openai_file_in_place_of_a_clip_folder_names_the_conversion(files, tmp_path):
    module = torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2))
    torch.jit.save(module, str(tmp_path / "ViT-L-14.pt"))
    with pytest.raises(ConfigError, match="convert_clip_original_pytorch_to_hf"):
        load(files["BIAS-7B"], clip=tmp_path / "ViT-L-14.pt")
    with pytest.raises(CheckpointError, match="TorchScript"):
        load(files["BIAS-7B"], adapter_checkpoint=tmp_path / "ViT-L-14.pt")


def test_a_folder_that_is_no_clip_is_refused(files, tmp_path, lms):
    with pytest.raises(ConfigError, match="'llama' model; expected a CLIPModel"):
        load(files["BIAS-7B"], clip=lms.untied)
    with pytest.raises(ConfigError, match="'clip_vision_model' model"):
        load(files["BIAS-7B"], clip=tiny.write_clip(tmp_path / "vision"))
    with pytest.raises(CheckpointError, match="holds a 'opt' model"):
        load(files["BIAS-7B"], llama_dir=lms.opt)


def test_keys_that_differ_in_their_layer_alone_are_listed_once():
    keys = ["norm.weight", *[f"layers.{layer}.attention.gate" for layer in (0, 2, 10)]]
    assert grouped(keys) == ["norm.weight", "layers.{0,2,10}.attention.gate"]
