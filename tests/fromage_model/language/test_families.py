"""Every family of LMs decodes, embeds and is padded as its own causal LM of transformers, read whole, would have it."""

import pytest
import torch

from fromage_model.chat.decode import decode
from fromage_model.errors import InvalidInput, PromptTooLong
from fromage_model.fromage import Fromage
from fromage_model.language.model import attention_window
from fromage_model.prompts.messages import Finished, Retrieval, Sampling, TextDelta
from fromage_model.prompts.segments import Picture, Prompt, raw_prompt
from tests.fromage_model import families, reference, tiny

NEW_TOKENS = 32
TEXTS = ("a red dress", "shoes", "something warm for the long winter that is to come, please, and a pair of shoes")
WIDTHS = {"opt_350m": (16, 16)}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("families")
    return {name: write(folder / name) for name, write in families.FAMILIES.items()}


@pytest.fixture(params=families.FAMILIES)
def name(request) -> str:
    return request.param


@pytest.fixture
def model(name, folders, own_home) -> Fromage:
    return tiny.build(folders[name])


def prompt_of(model: Fromage) -> Prompt:
    pictures = tiny.features(2, seed=3)
    return raw_prompt(["Show me ", pictures[0], " or", pictures[1], " something warm"], model.tokens)


def test_greedy_decoding_with_a_cache_equals_reading_everything_again(model):
    options = {"max_new_tokens": NEW_TOKENS, "max_rets": 3}
    expected = reference.greedy(model, prompt_of(model), **options)
    events = list(decode(model, prompt_of(model), sampling=Sampling(**options)))
    stream = model.tokens.stream()
    written = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert written == "".join(stream.push(token) for token in expected.ids if token != model.tokens.ret_id)
    assert len(set(expected.ids)) >= 10


def test_a_ret_within_a_reply_has_the_embedding_of_all_before_it_read_again(model):
    sampling = Sampling(max_new_tokens=8, min_tokens_before_ret=5)
    events = list(decode(model, prompt_of(model), retrieval="always", sampling=sampling))
    (asked,) = [event for event in events if isinstance(event, Retrieval)]
    before = reference.greedy(model, prompt_of(model), max_new_tokens=5, max_rets=0).ids
    with torch.no_grad():
        expected = reference.embedding_at(model, [*prompt_of(model), [*before, model.tokens.ret_id]])
    torch.testing.assert_close(torch.from_numpy(asked.embedding), expected, atol=1e-4, rtol=0)


def test_a_row_of_a_batch_is_as_alone_and_as_read_whole(model):
    picture = Picture(tiny.features(1)[0])
    prompts: list[Prompt] = [[list(model.tokens.start_ids), model.tokens.encode(text)] for text in TEXTS]
    prompts[1].insert(1, picture)
    with torch.no_grad():
        together = model.ask(prompts).embeddings
        for prompt, row in zip(prompts, together, strict=True):
            torch.testing.assert_close(row, model.ask([prompt]).embeddings[0], atol=1e-5, rtol=0)
            whole = reference.embedding_at(model, [*prompt, [model.tokens.ret_id]])
            torch.testing.assert_close(row, whole, atol=1e-4, rtol=0)


def test_a_caption_s_loss_in_a_batch_is_that_of_its_own_reading(model):
    features = tiny.features(len(TEXTS))
    expected = []
    for row, text in zip(features, TEXTS, strict=True):
        prompt = [list(model.tokens.start_ids), Picture(row), model.tokens.encode("A picture of")]
        caption = [*model.tokens.encode(f" {text}."), model.tokens.stop_id]
        expected += reference.token_losses(model, prompt, caption)
    torch.testing.assert_close(
        model.caption_loss(features, TEXTS).loss, torch.stack(expected).mean(), atol=1e-4, rtol=1e-4
    )


def test_the_rows_of_ret_have_the_widths_of_the_tables(name, model):
    table = model.lm.backbone.get_input_embeddings().weight
    head = model.lm.backbone.get_output_embeddings().weight
    expected = WIDTHS.get(name, (32, 32))
    assert (table.shape[1], head.shape[1]) == expected
    ret = model.trained.ret
    assert (ret.input_row.numel(), ret.head_row.numel()) == expected
    assert (ret.output_row is None) == (table.data_ptr() == head.data_ptr())
    assert model.trained.prefix(tiny.features(1)).shape == (1, tiny.VISUAL_TOKENS, expected[0])
    assert model.trained.text_head.project[0].in_features == expected[1]


def test_an_inner_layer_is_as_wide_as_the_layers(name, folders, own_home):
    model = tiny.build(folders[name], text_layers=(1, -1))
    assert [head.in_features for head in model.trained.text_head.project] == [32, WIDTHS.get(name, (32, 32))[1]]
    prompt = [[*model.tokens.start_ids, *model.tokens.encode(TEXTS[0])]]
    with torch.no_grad():
        expected = reference.embedding_at(model, [*prompt, [model.tokens.ret_id]])
        torch.testing.assert_close(model.ask([prompt]).embeddings[0], expected, atol=1e-4, rtol=0)


def test_the_last_position_is_used_and_the_one_after_it_refused(model):
    limit = model.lm.max_positions
    assert limit == getattr(model.lm.backbone.config, "n_positions", model.lm.backbone.config.max_position_embeddings)
    prompt: Prompt = [[5] * (limit - 4)]
    *_, finished = decode(model, prompt, retrieval="never", sampling=Sampling(max_new_tokens=4))
    assert isinstance(finished, Finished)
    assert torch.isfinite(model.ask([[[5] * (limit - 1)]]).embeddings).all()
    with pytest.raises(PromptTooLong, match=f"has {limit} tokens and the reply up to 4; together at most {limit}"):
        decode(model, [[5] * limit], sampling=Sampling(max_new_tokens=4))
    with pytest.raises(
        PromptTooLong, match=f"a prompt of {limit} tokens, with 1 after it; together at most {limit} fit"
    ):
        model.ask([[[5] * limit]])


def test_an_empty_prompt_has_no_embedding(model):
    with pytest.raises(InvalidInput, match="a prompt is empty"):
        model.ask([[[5, 6]], [[]]])


def test_a_window_is_the_shortest_of_the_layers(folders, own_home):
    windows = {name: tiny.build(folder).lm.window for name, folder in folders.items()}
    assert windows == dict.fromkeys(families.FAMILIES) | {"gpt_neo": families.WINDOW}
    from transformers import Qwen2Config

    assert attention_window(Qwen2Config(use_sliding_window=True, sliding_window=7)) == 7


def test_gradients_beyond_a_window_are_those_of_reading_whole(folders, own_home):
    model = tiny.build(folders["gpt_neo"])
    prompts: list[Prompt] = [[model.tokens.encode(text)] for text in TEXTS]
    assert max(len(prompt[0]) for prompt in prompts) > families.WINDOW > min(len(prompt[0]) for prompt in prompts)
    weights = torch.randn(len(TEXTS), tiny.SHARED_WIDTH, generator=torch.Generator().manual_seed(0))
    (model.ask(prompts).embeddings * weights).sum().backward()
    found = model.trained.ret.input_row.grad.clone()
    model.zero_grad(set_to_none=True)
    whole = torch.stack([reference.embedding_at(model, [*prompt, [model.tokens.ret_id]]) for prompt in prompts])
    (whole * weights).sum().backward()
    torch.testing.assert_close(found, model.trained.ret.input_row.grad, atol=1e-4, rtol=1e-3)
