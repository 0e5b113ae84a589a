"""The frozen LM and [RET]: nothing of the LM is trained, padding rows are out, and [RET] is as long as other rows."""

import pytest
import torch
from transformers import DynamicCache

from fromage_model.errors import ConfigError
from fromage_model.language.model import RetToken, load_language_model
from tests.fromage_model import tiny

VOCABULARY = 320


def test_nothing_of_the_lm_takes_a_gradient_or_switches_to_training(model):
    model.train()
    assert all(not parameter.requires_grad for parameter in model.lm.parameters())
    assert all(not module.training for module in model.lm.backbone.modules())
    assert model.trained.training


def test_logits_and_states_are_those_of_transformers(model):
    ids = torch.tensor([[5, 17, 200, 42]])
    output = model.lm.backbone(input_ids=ids, use_cache=False)
    states = model.lm(model.lm.embed(ids))
    torch.testing.assert_close(model.lm.logits(states.last), output.logits[..., :VOCABULARY], atol=1e-5, rtol=1e-5)


def test_a_cache_changes_nothing_but_the_work(model):
    ids = torch.tensor([[5, 17, 200, 42, 9]])
    whole = model.lm(model.lm.embed(ids)).last
    cache = DynamicCache()
    first = model.lm(model.lm.embed(ids[:, :3]), cache=cache).last
    rest = model.lm(model.lm.embed(ids[:, 3:]), cache=cache).last
    torch.testing.assert_close(torch.cat([first, rest], dim=1), whole, atol=1e-5, rtol=1e-4)


def test_padding_rows_of_the_table_have_no_logit_and_do_not_count(chat_model):
    lm = chat_model.lm
    assert len(lm.backbone.get_input_embeddings().weight) == VOCABULARY + 9
    assert lm.logits(torch.zeros(2, lm.width)).shape == (2, VOCABULARY)
    before = lm.mean_row_norm()
    lm.backbone.get_input_embeddings().weight.data[VOCABULARY:] = 1e3
    lm._mean_norms.clear()
    assert lm.mean_row_norm() == before
    assert float(lm.mean_row().abs().max()) < 10


def test_tied_lms_have_one_ret_row_unless_two_are_asked_for(lms, own_home):
    rows = {
        name: len(list(tiny.build(getattr(lms, name)).trained.ret.parameters())) for name in ("chat", "opt", "untied")
    }
    assert rows == {"chat": 1, "opt": 1, "untied": 2}
    assert len(list(tiny.build(lms.chat, two_ret_rows=True).trained.ret.parameters())) == 2


def test_a_renormalised_row_is_as_long_as_other_rows_are_on_average(model):
    lm, ret = model.lm, model.trained.ret
    with torch.no_grad():
        for row in ret.parameters():
            row.mul_(7.0)
    ret.renormalise(lm)
    tables = [lm.backbone.get_input_embeddings().weight, lm.backbone.get_output_embeddings().weight]
    for row, table in zip(ret.parameters(), tables, strict=False):
        expected = sum(float(other.norm()) for other in table[:VOCABULARY]) / VOCABULARY
        assert float(row.detach().norm()) == pytest.approx(expected, rel=1e-5)


def test_renormalising_keeps_a_row_s_direction(model):
    ret = model.trained.ret
    before = ret.input_row.detach().clone()
    with torch.no_grad():
        ret.input_row.mul_(0.01)
    ret.renormalise(model.lm)
    assert float(torch.cosine_similarity(before, ret.input_row.detach(), dim=0)) == pytest.approx(1.0, abs=1e-6)


def test_one_seed_starts_ret_in_one_place(lms, own_home):
    rows = [tiny.build(lms.chat, seed=seed).trained.ret.input_row.detach() for seed in (3, 3, 4)]
    assert torch.equal(rows[0], rows[1])
    assert not torch.equal(rows[0], rows[2])


def test_an_opt_whose_embeddings_are_narrower_than_its_layers_gives_each_width(tmp_path, own_home):
    model = tiny.build(tiny.write_opt(tmp_path / "narrow", embedding_width=16), text_layers=(-1, 1))
    assert (model.lm.width, model.lm.layer_widths) == (16, [16, 32])
    states = model.lm(model.lm.embed(torch.tensor([[5, 6]])))
    assert [layer.shape for layer in states.layers] == [(1, 2, 16), (1, 2, 32)]
    assert model.text_embeddings(["a dress"]).shape == (1, tiny.SHARED_WIDTH)


def test_layers_are_counted_from_the_input_and_from_the_end(model):
    lm = model.lm
    embeddings = lm.embed(torch.tensor([[5, 6, 7]]))
    hidden = lm.backbone(inputs_embeds=embeddings, output_hidden_states=True, use_cache=False).hidden_states
    lm.state_layers = (0, 1, -2, 2, -1)
    layers = lm(embeddings).layers
    for found, expected in zip(layers, (hidden[0], hidden[1], hidden[-2], hidden[-1], hidden[-1]), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("layer", [3, -4])
def test_a_layer_that_the_lm_does_not_have_is_refused(layer, lms):
    with pytest.raises(ConfigError, match=f"text_layers has {layer}, but the LM has layers 0 .* to 2"):
        load_language_model(lms.chat, vocabulary=VOCABULARY, state_layers=(layer,))


def test_a_tokenizer_larger_than_the_table_is_refused(lms):
    with pytest.raises(ConfigError, match="token table has 329 rows, its tokenizer 400 tokens"):
        load_language_model(lms.chat, vocabulary=400)


def test_ret_stays_float32_over_a_bfloat16_lm(lms):
    lm = load_language_model(lms.chat, vocabulary=VOCABULARY, dtype=torch.bfloat16)
    ret = RetToken(lm.width)
    ret.initialise(lm, start=lm.mean_row())
    assert lm.dtype == torch.bfloat16
    assert ret.input_row.dtype == torch.float32
    assert float(ret.input_row.detach().norm()) == pytest.approx(lm.mean_row_norm(), rel=1e-4)


@pytest.mark.parametrize(("dtype", "rounding"), [("float32", 1e-5), ("bfloat16", 0.03)])
@pytest.mark.parametrize("name", ["chat", "opt", "untied"])
def test_a_packed_lm_computes_the_same_and_keeps_no_second_copy_of_its_layers(lms, own_home, name, dtype, rounding):
    plain, packed = (tiny.build(getattr(lms, name), dtype=dtype) for _ in range(2))
    packed.lm.pack_modules()
    kept = {parameter for parameter, _ in packed.lm.backbone.base_model.named_parameters()}
    assert not [parameter for parameter in kept if "proj" in parameter or "fc" in parameter]
    ids = torch.randint(5, 200, (2, 9), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, found = (model.lm(model.lm.embed(ids)).last.float() for model in (plain, packed))
        torch.testing.assert_close(found, expected, rtol=0, atol=rounding * float(expected.abs().max()))
        logits = [model.lm.logits(expected.to(model.lm.dtype)).float() for model in (plain, packed)]
    torch.testing.assert_close(logits[1], logits[0], rtol=0, atol=rounding * float(logits[0].abs().max()))
    assert packed.lm.dtype == plain.lm.dtype
