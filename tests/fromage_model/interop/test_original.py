"""A folder laid out as the original's opens as a model of ours with the original's numbers, and goes out again.

What the numbers should be is computed slowly, from the raw tensors and transformers' own models, as the original does.
"""

import json
import shutil

import pytest
import torch
from transformers import AutoTokenizer, OPTForCausalLM

from fromage_model.bundle import load_bundle, save_bundle
from fromage_model.errors import CheckpointError, ConfigError, MissingArtefact
from fromage_model.interop import (
    ModelArgs,
    load_original,
    read_embeddings,
    read_model_args,
    read_pruned,
    write_model_args,
    write_pruned,
)
from fromage_model.language.lora import merge_into
from fromage_model.language.lora_settings import LoraSettings
from fromage_model.prompts.segments import raw_prompt
from tests.fromage_model import tiny
from tests.fromage_model.conftest import LanguageModels
from tests.fromage_model.interop import originals
from tests.fromage_model.interop.slow import PICTURES, TEXTS, Slow, opened, write_folder


@pytest.mark.parametrize(
    ("layers", "dtype", "shared", "table_width"),
    [
        ((-1,), torch.bfloat16, 8, 32),
        ((1, -1), torch.float32, 8, 32),
        ((1, -1), torch.float32, None, 32),
        ((1, -1), torch.float32, 8, 24),  # the last layer's state is as wide as the token table, as in OPT-350m
        ((-1,), torch.float32, None, 24),
        ((1,), torch.float32, None, 24),
    ],
)
def test_the_original_s_folder_gives_the_original_s_numbers(
    layers, dtype, shared, table_width, lms: LanguageModels, clip, own_home, tmp_path
):
    opt = lms.opt if table_width == 32 else tiny.write_opt(tmp_path / "lm", padding_rows=5, embedding_width=table_width)
    weights = write_folder(
        tmp_path / "m", opt, clip, layers=layers, dtype=dtype, shared=shared, table_width=table_width
    )
    slow = Slow.over(opt, clip, weights, layers)
    model = opened(tmp_path / "m")
    wanted = torch.stack([slow.read(text)[0] for text in TEXTS])
    torch.testing.assert_close(model.text_embeddings(TEXTS), wanted, rtol=0, atol=1e-4)
    features = model.encode(PICTURES)
    images = torch.stack([slow.image(picture) for picture in PICTURES])
    ours = model.image_embeddings(features)
    torch.testing.assert_close(ours, images / images.norm(dim=1, keepdim=True), rtol=0, atol=1e-4)
    prefixes = torch.stack([slow.prefix(picture, 2) for picture in PICTURES])
    torch.testing.assert_close(model.trained.prefix(model.trained.standardise(features)), prefixes, rtol=0, atol=1e-4)

    # The catalogue, prepared as load_fromage does it: normalised, times exp(logit_scale).
    raw = read_embeddings(sorted((tmp_path / "m").glob("*.pkl")))
    matrix = torch.from_numpy(raw.vectors)
    cosines = wanted @ (matrix / matrix.norm(dim=1, keepdim=True)).T
    scale = model.trained.log_scale.exp()
    assert float(scale) == pytest.approx(float(weights["model.logit_scale"].exp()))
    for row, hits in enumerate(model.index.search(model.text_embeddings(TEXTS).numpy(), top_k=5)):
        scores = torch.tensor([{hit.item.image: hit.score for hit in hits}[path] for path in raw.paths])
        torch.testing.assert_close(scores, cosines[row], rtol=0, atol=1e-4)
        torch.testing.assert_close(scores * scale, cosines[row] * scale, rtol=0, atol=1e-4 * float(scale))


@pytest.mark.parametrize(
    ("stored", "expected"),
    [(torch.float32, torch.float32), (torch.float16, torch.float32), (torch.bfloat16, torch.bfloat16)],
)
def test_nothing_of_a_stored_lm_is_lost(stored, expected, lms, clip, own_home, tmp_path):
    folder = shutil.copytree(lms.opt, tmp_path / "lm")
    OPTForCausalLM.from_pretrained(lms.opt, dtype=stored).save_pretrained(folder)
    write_folder(tmp_path / "m", folder, clip)
    assert load_original(tmp_path / "m", device="cpu").lm.dtype == expected


def test_ret_has_the_original_s_id_and_the_softmax_its_image_token(lms, clip, own_home, tmp_path):
    slow = Slow.over(lms.opt, clip, write_folder(tmp_path / "m", lms.opt, clip))
    model = opened(tmp_path / "m")
    added = AutoTokenizer.from_pretrained(lms.opt)
    added.add_special_tokens({"cls_token": "<|image|>"})
    added.add_tokens("[RET]")
    assert model.tokens.ret_id == added.convert_tokens_to_ids("[RET]")
    for text in TEXTS:
        batch = model.embed_prompts([[*raw_prompt([text], model.tokens), [model.tokens.ret_id]]])
        logits = model.logits(model.lm(batch.embeddings, attention_mask=batch.mask).last[0, -1])
        torch.testing.assert_close(logits, slow.read(text)[1], rtol=1e-4, atol=1e-4)
    assert model.tokens.ret_id - 1 not in model.tokens.encode("<|image|>")


def test_an_lm_without_a_row_for_the_image_token_opens_too(clip, own_home, tmp_path):
    lm = tiny.write_opt(tmp_path / "lm", padding_rows=0)
    write_folder(tmp_path / "m", lm, clip)
    model = opened(tmp_path / "m")
    assert model.tokens.ret_id == len(AutoTokenizer.from_pretrained(lm))


def test_prompts_are_the_original_s(lms, clip, own_home, tmp_path):
    write_folder(tmp_path / "m", lms.opt, clip)
    assert opened(tmp_path / "m").config.caption_prompt == "A picture of"
    write_folder(tmp_path / "m", lms.opt, clip, input_prompt=None)
    config = opened(tmp_path / "m").config
    assert (config.caption_prompt, config.system_prompt) == ("", "")


def test_training_goes_on_with_the_original_s_dropout_and_captions(lms, clip, own_home, tmp_path):
    write_folder(tmp_path / "m", lms.opt, clip, image_embed_dropout_prob=0.1, text_embed_dropout_prob=0.2)
    model = opened(tmp_path / "m")
    assert (model.config.image_dropout, model.config.text_dropout, model.config.original_captions) == (0.1, 0.2, True)
    trained = model.trained
    assert (trained.prefix.dropout.p, trained.image_head.output_dropout.p) == (0.1, 0.1)
    assert trained.text_head.output_dropout.p == 0.2
    write_model_args(model, tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text()) == json.loads((tmp_path / "m" / "model_args.json").read_text())


def test_text_dropout_means_nothing_without_a_shared_width(lms, clip, own_home, tmp_path):
    write_folder(tmp_path / "m", lms.opt, clip, shared=None, text_embed_dropout_prob=0.2)
    model = opened(tmp_path / "m")
    assert model.config.text_dropout == 0.0
    write_model_args(model, tmp_path / "a.json")
    assert read_model_args(tmp_path / "a.json").text_embed_dropout_prob == 0.2


def test_layers_that_can_t_be_summed_are_named(clip, own_home, tmp_path):
    lm = tiny.write_opt(tmp_path / "lm", embedding_width=24)
    write_folder(tmp_path / "m", lm, clip, layers=(1, -1), shared=None, table_width=24)
    with pytest.raises(ConfigError, match=r"text_layers \(1, -1\) are \[32, 24\] wide"):
        opened(tmp_path / "m")


def test_dropout_of_a_model_of_ours_goes_out(lms, own_home, tmp_path):
    model = tiny.build(lms.opt, image_dropout=0.3, text_dropout=0.4)
    write_model_args(model, tmp_path / "a.json")
    args = read_model_args(tmp_path / "a.json")
    assert (args.image_embed_dropout_prob, args.text_embed_dropout_prob) == (0.3, 0.4)


def test_a_model_of_ours_goes_out_with_its_statistics_in_the_maps(lms, clip, own_home, tmp_path):
    ours = tiny.build(lms.opt, text_layers=(0, -1), vision_encoder=str(clip))
    ours.trained.text_head.fit([torch.randn(40, 32) * 3 + 1, torch.randn(40, 32) - 2])
    folder = tmp_path / "out"
    write_model_args(ours, folder / "model_args.json")
    write_pruned(ours, folder / "pretrained_ckpt.pth.tar")
    model = opened(folder)
    assert model.index is None
    features = tiny.features(4)
    torch.testing.assert_close(model.image_embeddings(features), ours.image_embeddings(features), rtol=0, atol=1e-5)
    torch.testing.assert_close(model.text_embeddings(TEXTS), ours.text_embeddings(TEXTS), rtol=0, atol=1e-5)
    prefixes = [each.trained.prefix(each.trained.standardise(features)) for each in (model, ours)]
    torch.testing.assert_close(*prefixes, rtol=1e-5, atol=1e-5)
    assert not model.trained.standardise.mean.any()
    assert model.trained.ret.output_row is None
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_bfloat16_is_written_where_it_is_asked_for(lms, own_home, tmp_path):
    write_pruned(tiny.build(lms.opt), tmp_path / "p", dtype=torch.bfloat16)
    assert {tensor.dtype for tensor in read_pruned(tmp_path / "p").values()} == {torch.bfloat16}


@pytest.mark.parametrize("merged", [False, True])
def test_a_model_with_lora_can_t_be_written_in_this_form(merged, lms, own_home, tmp_path):
    model = tiny.build(lms.opt, lora=LoraSettings(rank=2))
    if merged:
        merge_into(model.lm)
        model.trained.lora = None
    with pytest.raises(CheckpointError, match="the original's form has no place; a model trained without lora_rank"):
        write_pruned(model, tmp_path / "p")
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("kind", ["untied", "opt"])
def test_two_rows_of_ret_can_t_be_written(kind, lms, own_home, tmp_path):
    model = tiny.build(getattr(lms, kind), two_ret_rows=True)
    with pytest.raises(CheckpointError, match=r"\[RET\] is untied.*two_ret_rows=False over a tied LM"):
        write_pruned(model, tmp_path / "p")
    assert not (tmp_path / "p").exists()


def test_a_hidden_layer_of_the_text_head_can_t_be_written(lms, own_home, tmp_path):
    model = tiny.build(lms.chat, text_hidden=4)
    with pytest.raises(CheckpointError, match=r"a hidden layer \(text_hidden\).*text_hidden=0 can be written"):
        write_pruned(model, tmp_path / "p")
    assert not (tmp_path / "p").exists()


def test_a_decision_can_t_be_written(lms, own_home, tmp_path):
    model = tiny.build(lms.chat, ret_hidden=4, max_tokens_before_ret=0)
    with pytest.raises(CheckpointError, match=r"a decision of its own \(ret_hidden\).*ret_hidden=0 can be written"):
        write_pruned(model, tmp_path / "p")
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("base", [originals.PAPER_ARGS, originals.VIS4_ARGS], ids=["paper", "vis4"])
def test_both_released_variants_survive_a_round_trip(base, tmp_path):
    values = originals.write_args(tmp_path / "a.json", base, some_new_key={"deep": [1]})
    args = read_model_args(tmp_path / "a.json")
    write_model_args(args, tmp_path / "b.json")
    assert json.loads((tmp_path / "b.json").read_text()) == values
    assert (args.n_visual_tokens, args.shared_emb_dim, args.text_emb_layers) == (base["n_visual_tokens"], 256, (-1,))
    assert args.input_prompt == base.get("input_prompt", "")


def test_unknown_keys_survive_the_model_and_its_bundle(lms, clip, own_home, tmp_path):
    write_folder(tmp_path / "m", lms.opt, clip)
    values = json.loads((tmp_path / "m" / "model_args.json").read_text())
    model = opened(tmp_path / "m")
    write_model_args(model, tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text()) == values
    save_bundle(
        model,
        tmp_path / "bundle",
        feature_width=tiny.FEATURE_WIDTH,
        encoder_fingerprint=model.encoder.fingerprint,
        lineage=model.lineage,
    )
    again = load_bundle(str(tmp_path / "bundle"), device="cpu", dtype=torch.float32)
    write_model_args(again, tmp_path / "b.json")
    assert json.loads((tmp_path / "b.json").read_text()) == values
    torch.testing.assert_close(again.text_embeddings(TEXTS), model.text_embeddings(TEXTS), rtol=0, atol=2e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_visual_tokens": 0}, "n_visual_tokens is 0; expected 1 or more"),
        ({"n_visual_tokens": True}, "n_visual_tokens is True"),
        ({"text_emb_layers": []}, r"text_emb_layers is \[\]; expected a list of different layers"),
        ({"text_emb_layers": [1, 1]}, "text_emb_layers"),
        ({"shared_emb_dim": "256"}, "shared_emb_dim is '256'; expected 1 or more, or null"),
        ({"opt_version": 3}, "opt_version is 3; expected a name or a folder"),
        ({"image_embed_dropout_prob": 1.5}, "image_embed_dropout_prob is 1.5"),
        ({"retrieval_token_idx": -1}, "retrieval_token_idx is -1"),
        ({"freeze_lm": False}, "freeze_lm is False; expected true: released weights hold no LM"),
    ],
)
def test_a_field_that_can_t_work_is_named(changes, message, tmp_path):
    originals.write_args(tmp_path / "a.json", originals.PAPER_ARGS, **changes)
    with pytest.raises(ConfigError, match=message):
        read_model_args(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "can't be read"), ("[]", "holds list"), ("{}", "lacks opt_version and visual_encoder")],
)
def test_a_file_that_is_no_model_args_is_named(text, message, tmp_path):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_model_args(tmp_path / "a.json")


def test_a_folder_that_lacks_a_file_says_which(tmp_path):
    with pytest.raises(MissingArtefact, match=r"model_args\.json is not there"):
        load_original(tmp_path)
    originals.write_args(tmp_path / "model_args.json", originals.PAPER_ARGS)
    with pytest.raises(MissingArtefact, match=r"pretrained_ckpt\.pth\.tar is not there"):
        load_original(tmp_path)


def test_an_lm_with_a_head_of_its_own_is_refused_by_name(lms, clip, own_home, tmp_path):
    write_folder(tmp_path / "m", lms.untied, clip)
    with pytest.raises(ConfigError, match=r"opt_version .*untied has a head of its own"):
        opened(tmp_path / "m")


def test_weights_of_other_widths_than_the_args_are_all_named(lms, clip, own_home, tmp_path):
    write_folder(tmp_path / "m", lms.opt, clip, shared_emb_dim=16, n_visual_tokens=3)
    with pytest.raises(CheckpointError) as told:
        opened(tmp_path / "m")
    assert "model.visual_fc.weight is (8, 12), expected (16, 12)" in str(told.value)
    assert "model.visual_embeddings.weight is (64, 12), expected (96, 12)" in str(told.value)


def test_args_made_by_hand_are_written(tmp_path):
    args = ModelArgs(opt_version="a", visual_encoder="b", others={"note": "ä"})
    write_model_args(args, tmp_path / "a.json")
    assert read_model_args(tmp_path / "a.json") == args
