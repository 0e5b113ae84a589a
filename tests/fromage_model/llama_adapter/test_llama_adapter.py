"""Numbers equal a slow computation in the original's own layout; batches equal pictures alone."""

import pytest
import sentencepiece
import torch
from transformers import CLIPModel, LlamaConfig, LlamaForCausalLM, LlamaTokenizer

from fromage_model.errors import InvalidInput, PromptTooLong
from fromage_model.llama_adapter import LlamaAdapter
from fromage_model.prompts.messages import Sampling
from tests.fromage_model.llama_adapter import originals
from tests.fromage_model.llama_adapter.conftest import load
from tests.fromage_model.llama_adapter.originals import KINDS, Originals, Sizes
from tests.fromage_model.llama_adapter.reference import Reference, clip_tokens, visual_states

TOLERANCE = 1e-4
PROMPT = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\nWhat is in 12 pockets?\n\n### Response:"
)


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


def seen_by_reference(original: Originals, picture) -> torch.Tensor:
    """Preprocessed by transformers' processor of the folder, then by plain arithmetic."""
    processor = originals.CLIPImageProcessorPil.from_pretrained(original.clip)
    pixels = processor(images=[picture], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        return visual_states(original.adapter, clip_tokens(CLIPModel.from_pretrained(original.clip), pixels))


def reference_of(original: Originals) -> Reference:
    return Reference(original.llama, original.adapter, heads=original.sizes.heads)


def prompt_ids(original: Originals) -> list[int]:
    """By sentencepiece itself, as the original encodes."""
    tokenizer = sentencepiece.SentencePieceProcessor(str(original.llama_dir / "tokenizer.model"))
    return [tokenizer.bos_id(), *tokenizer.encode(PROMPT)]


def assert_within(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) <= TOLERANCE * float(expected.abs().max())


def test_what_is_seen_of_a_picture_equals_the_plain_computation(kind, files, models, pictures):
    found = models[kind].encode(pictures)
    for row, picture in zip(found, pictures, strict=True):
        assert_within(row, seen_by_reference(files[kind], picture))


def test_logits_equal_the_computation_in_metas_layout(kind, files, models, pictures):
    ids = prompt_ids(files[kind])
    found = models[kind](models[kind].encode(pictures[:2]), torch.tensor([ids, ids]))
    reference = reference_of(files[kind])
    for row, picture in zip(found, pictures, strict=False):
        assert_within(row, reference.logits(seen_by_reference(files[kind], picture), ids))


def test_greedy_tokens_equal_those_of_feeding_everything_again(kind, files, models, pictures):
    ids = prompt_ids(files[kind])
    [found] = models[kind].write(pictures[:1], "What is in 12 pockets?", sampling=Sampling(max_new_tokens=32))
    expected = reference_of(files[kind]).greedy(seen_by_reference(files[kind], pictures[0]), ids, 32)
    assert len(set(expected)) >= 10
    assert found.ids == expected


def test_a_llama_of_transformers_with_shared_keys_works_too(files, pictures, tmp_path):
    original = files["LORA-BIAS-7B"]
    folder, meta = write_transformers_llama(tmp_path / "llama", original)
    sizes = original.sizes
    adapter = original.adapter | {
        name: value[: sizes.width // 2] for name, value in original.adapter.items() if "lora_wk_l2" in name
    }
    adapter |= {name: value[: sizes.width // 2] for name, value in original.adapter.items() if "lora_wv_l2" in name}
    torch.save({"model": adapter}, tmp_path / "adapter.pth")
    model = load(original, llama_dir=folder, adapter_checkpoint=tmp_path / "adapter.pth")
    ids = prompt_ids(original)
    expected = Reference(meta, adapter, heads=sizes.heads).logits(seen_by_reference(original, pictures[0]), ids)
    assert_within(model(model.encode(pictures[:1]), torch.tensor([ids]))[0], expected)
    assert len(model.captions(pictures[:1])) == 1


def write_transformers_llama(folder, original: Originals):
    """A LLaMA whose heads share keys in pairs, and its weights in Meta's layout, reordered row by row."""
    sizes = original.sizes
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=originals.VOCABULARY,
        hidden_size=sizes.width,
        intermediate_size=sizes.inner,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        num_key_value_heads=sizes.heads // 2,
        initializer_range=0.2,
        rms_norm_eps=1e-6,
    )
    llama = LlamaForCausalLM(config)
    llama.save_pretrained(folder)
    LlamaTokenizer.from_pretrained(original.llama_dir).save_pretrained(folder)
    return folder, in_metas_layout(llama.state_dict(), sizes)


def in_metas_layout(state: dict[str, torch.Tensor], sizes: Sizes) -> dict[str, torch.Tensor]:
    names = {"q_proj": "wq", "k_proj": "wk", "v_proj": "wv", "o_proj": "wo"}
    names |= {"gate_proj": "w1", "down_proj": "w2", "up_proj": "w3"}
    rooms = {"self_attn": "attention", "mlp": "feed_forward"}
    found = {"tok_embeddings.weight": state["model.embed_tokens.weight"], "output.weight": state["lm_head.weight"]}
    found["norm.weight"] = state["model.norm.weight"]
    for name, value in state.items():
        if not name.startswith("model.layers."):
            continue
        layer, room, *rest = name.split(".")[2:]
        if room in rooms:
            value = in_pairs(value, sizes.width // sizes.heads) if rest[0] in ("q_proj", "k_proj") else value
            found[f"layers.{layer}.{rooms[room]}.{names[rest[0]]}.weight"] = value
        else:
            found[f"layers.{layer}.{'attention' if room == 'input_layernorm' else 'ffn'}_norm.weight"] = value
    return found


def in_pairs(value: torch.Tensor, width: int) -> torch.Tensor:
    """Channel i of a head's first half, then channel i of its second, for every i."""
    rows = []
    for head in range(len(value) // width):
        for channel in range(width // 2):
            rows += [value[head * width + channel], value[head * width + width // 2 + channel]]
    return torch.stack(rows)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_captions_of_a_batch_equal_those_of_pictures_alone(kind, models, pictures, temperature):
    options = {"temperature": temperature, "top_p": 0.9, "seed": 3}
    together = models[kind].captions(pictures, **options)
    assert together == [models[kind].captions([picture], **options)[0] for picture in pictures]
    assert len(set(together)) > 1


def test_a_row_that_has_ended_leaves_the_batch(models, pictures, monkeypatch):
    model = models["BIAS-7B"]
    sampling = Sampling(max_new_tokens=20)
    whole = [row.ids for row in model.write(pictures, "x", sampling=sampling)]
    stops = {whole[0][2], whole[1][7]}
    monkeypatch.setattr(model.tokens, "stop_ids", frozenset(stops))
    ends = [min((ids.index(stop) for stop in stops if stop in ids), default=None) for ids in whole]
    assert len({end for end in ends if end is not None}) > 1
    sizes: list[int] = []
    with model.llama.register_forward_pre_hook(
        lambda _, __, values: sizes.append(len(values["input_ids"])), with_kwargs=True
    ):
        written = model.write(pictures, "x", sampling=sampling)
    assert [row.ids for row in written] == [ids[:end] for ids, end in zip(whole, ends, strict=True)]
    assert [row.ended for row in written] == [end is not None for end in ends]
    # After step t the rows that have not ended by then are read on, the first reading being the prompt's.
    running = [sum(end is None or end > step for end in ends) for step in range(19)]
    assert sizes == [len(pictures), *[rows for rows in running if rows]]


def test_a_seed_decides_what_is_drawn(models, pictures):
    model = models["CAPTION-7B"]
    drawn = {seed: model.captions(pictures, temperature=2.0, top_p=1.0, seed=seed) for seed in (1, 2)}
    assert drawn[1] == model.captions(pictures, temperature=2.0, top_p=1.0, seed=1)
    assert drawn[1] != drawn[2]


def test_a_caption_that_the_limit_cuts_ends_at_its_last_clause(models, pictures, monkeypatch):
    model = models["BIAS-7B"]
    monkeypatch.setattr(model.tokens, "decode", lambda ids: "A red dress, worn by")
    assert model.captions(pictures[:1], max_new_tokens=3) == ["A red dress"]


def test_a_picture_does_not_matter_where_the_gates_are_shut(files, pictures, tmp_path):
    original = files["BIAS-7B"]
    shut = {name: value * 0 if name.endswith("gate") else value for name, value in original.adapter.items()}
    torch.save({"model": shut}, tmp_path / "shut.pth")
    model = load(original, adapter_checkpoint=tmp_path / "shut.pth")
    one, two = model(model.encode(pictures[:2]), torch.tensor([[1, 50, 60]] * 2))
    torch.testing.assert_close(one, two)


def test_bfloat16_is_near_float32(files, models, pictures):
    original = files["LORA-BIAS-7B"]
    half = LlamaAdapter.from_original(
        original.llama_dir, original.checkpoint, original.clip, device="cpu", dtype=torch.bfloat16
    )
    assert half.llama.dtype == torch.bfloat16
    ids = torch.tensor([prompt_ids(original)])
    exact = models["LORA-BIAS-7B"](half.encode(pictures[:1]), ids)
    found = half(half.encode(pictures[:1]), ids)
    assert float((found - exact).norm() / exact.norm()) < 0.1


def test_no_pictures_have_no_captions(models):
    assert models["BIAS-7B"].captions([]) == []


def test_settings_out_of_bounds_are_named(models, pictures):
    with pytest.raises(InvalidInput, match="temperature is 3"):
        models["BIAS-7B"].captions(pictures, temperature=3)
    with pytest.raises(PromptTooLong, match="together at most 2048"):
        models["BIAS-7B"].captions(pictures, "dress " * 2000)
