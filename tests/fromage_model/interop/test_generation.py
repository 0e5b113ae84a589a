"""The compatibility mode against the original's algorithm, written out: no cache, the whole sequence for every token.

`plain` follows `generate_for_images_and_texts` of kohjingyu/fromage step by step, with one correction: the embedding of
a [RET] is taken where it is consumed, in the whole sequence.

Shapes: T positions, V vocabulary.
"""

import pytest
import torch
from PIL import Image

from fromage_model.errors import ConfigError, InvalidInput, PromptTooLong
from fromage_model.fromage import Fromage
from fromage_model.interop import RET
from fromage_model.interop.generation import generate_for_images_and_texts, keep_top_p, truncate
from fromage_model.vision.encoders import load_vision_encoder
from tests.fromage_model import reference, tiny
from tests.fromage_model.chat.test_reply import ITEMS, small_index
from tests.fromage_model.interop.plain_generation import lean, plain, plain_ids, plain_prompt, plain_text

PARTS = ["Show me ", tiny.features(1)[0].numpy(), " or\nsomething warm"]


@pytest.fixture(params=["opt", "untied"])
def model(request, lms, own_home) -> Fromage:
    """OPT and LLaMA, both with a start token; full stops and line ends are likely enough to be written."""
    model = tiny.build(getattr(lms, request.param))
    model.index = small_index()
    return model


def ours(model: Fromage, parts: list, **options) -> list:
    found = generate_for_images_and_texts(model, parts, **options)
    return [part if isinstance(part, str) else [hit.id for hit in part] for part in found]


def test_greedy_text_without_ret_is_the_original_s(model):
    options = {"num_words": 32, "max_num_rets": 1, "max_img_per_ret": 1}
    ids = plain_ids(model, plain_prompt(model, PARTS), {"min_word_tokens": 32, "temperature": 0.0, "num_words": 32})
    assert len(set(ids)) >= 10
    assert ours(model, PARTS, **options, min_word_tokens=32) == plain(model, PARTS, **options, min_word_tokens=32)


@pytest.mark.parametrize("factor", [2.0, 4.0])
@pytest.mark.parametrize(
    ("max_num_rets", "max_img_per_ret", "min_word_tokens"), [(1, 1, 0), (3, 2, 0), (3, 4, 6), (2, ITEMS // 2, 0)]
)
def test_ret_is_answered_as_the_original_does(model, factor, max_num_rets, max_img_per_ret, min_word_tokens):
    options = {"num_words": 32, "ret_scale_factor": factor, "min_word_tokens": min_word_tokens}
    options |= {"max_num_rets": max_num_rets, "max_img_per_ret": max_img_per_ret}
    found = ours(model, PARTS, **options)
    assert found == plain(model, PARTS, **options)
    ids = [id for part in found if isinstance(part, list) for id in part]
    assert len(set(ids)) == len(ids)
    assert ids or factor < 4


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 0.9), (2.0, 0.5)])
def test_one_seed_draws_what_the_original_draws(model, seed, temperature, top_p):
    options = {"num_words": 16, "ret_scale_factor": 3.0, "max_num_rets": 2, "max_img_per_ret": 2}
    options |= {"temperature": temperature, "top_p": top_p}
    torch.manual_seed(seed)
    expected = plain(model, PARTS, **options)
    torch.manual_seed(seed)
    assert ours(model, PARTS, **options) == expected


def test_a_generator_of_one_s_own_leaves_torch_s_alone(model):
    state = torch.random.get_rng_state()
    options = {"num_words": 12, "temperature": 1.5}
    drawn = [ours(model, PARTS, **options, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2, 3)]
    assert drawn[0] == drawn[1]
    assert len({str(one) for one in drawn}) > 1
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize(("text", "factor"), [("\n", 2.0), ("\n", 6.0), (".", 3.0)])
@pytest.mark.parametrize("wording", ["Show", "Have you"])
def test_text_is_cut_where_the_original_cuts_it(model, text, factor, wording):
    lean(model, text, factor)
    options = {"num_words": 24, "ret_scale_factor": 3.0, "max_num_rets": 2, "max_img_per_ret": 1}
    parts = [PARTS[1], wording]
    assert ours(model, parts, **options) == plain(model, parts, **options)


@pytest.mark.parametrize("place", [0, 4])
def test_a_line_end_ends_what_is_written_unless_it_comes_first(lms, own_home, place):
    model = tiny.build(lms.untied)
    prompt = plain_prompt(model, PARTS)
    options = {"num_words": 9, "min_word_tokens": 9}
    ids = plain_ids(model, prompt, {"temperature": 0.0, **options})
    with torch.no_grad():
        states = reference.read(model, [*prompt, ids[:place]]).layers[0][-place - 1 :]
        earlier, here = states[:place], states[place]
        here = here - earlier.T @ torch.linalg.lstsq(earlier.T, here[:, None]).solution[:, 0] if place else here
        row = model.lm.backbone.get_output_embeddings().weight[model.tokens.encode("\n")[-1]]
        row.copy_(100 * here / here.norm())
    found = ours(model, PARTS, **options)
    assert found == plain(model, PARTS, **options, max_num_rets=1, max_img_per_ret=1)
    assert found == ["\n" if place == 0 else plain_text(model, ids[:place])]


@pytest.mark.parametrize(
    "parts",
    [
        ["a dog[RET]"],
        [PARTS[1], "a dog[RET]"],
        ["like ", PARTS[1], " but red[RET] and ", PARTS[1], " blue.[RET] in\nthe end[RET]"],
        [PARTS[1], "no wish. At all."],
    ],
)
@pytest.mark.parametrize("max_num_rets", [1, 3])
def test_without_words_the_prompt_s_own_rets_are_answered(model, parts, max_num_rets):
    options = {"num_words": 0, "max_num_rets": max_num_rets, "max_img_per_ret": 2}
    assert ours(model, parts, **options, ret_in_text=True) == plain(model, parts, **options)


def test_a_mark_is_the_token_and_text_is_not_unless_one_says_so(model):
    marked = ours(model, [PARTS[1], "a dog", RET])
    assert marked == ours(model, [PARTS[1], "a dog[RET]"], ret_in_text=True)
    assert len(marked) == 2
    assert ours(model, [PARTS[1], "a dog[RET]"]) == ["a dog[RET]"]


def test_a_ret_that_is_written_last_is_answered(model):
    model.trained.ret.initialise(model.lm, start=model.lm.mean_row())
    words = next(
        count
        for count in range(1, 32)
        if plain_ids(
            model,
            plain_prompt(model, PARTS),
            {"min_word_tokens": 3, "ret_scale_factor": 50.0, "temperature": 0.0, "num_words": count},
        )[-1]
        == model.tokens.ret_id
    )
    options = {"num_words": words, "min_word_tokens": 3, "ret_scale_factor": 50.0}
    found = ours(model, PARTS, **options)
    assert found == plain(model, PARTS, **options, max_num_rets=1, max_img_per_ret=1)
    assert len(found[1]) == 1


def test_an_opt_writes_on_beyond_its_end_and_a_llama_stops(model):
    with torch.no_grad():
        model.lm.backbone.get_output_embeddings().weight[model.tokens.stop_id] *= 3
    options = {"num_words": 24, "min_word_tokens": 24}
    assert ours(model, PARTS, **options) == plain(model, PARTS, **options, max_num_rets=1, max_img_per_ret=1)


def test_a_picture_is_encoded_as_the_model_s_encoder_does(lms, clip, own_home):
    model = tiny.build(lms.opt, vision_encoder=str(clip))
    model.encoder = load_vision_encoder(str(clip))
    picture = Image.new("RGB", (40, 30), "crimson")
    features = model.encode([picture])[0].numpy()
    assert ours(model, [picture, "A"], num_words=6) == ours(model, [features, "A"], num_words=6)


def test_without_an_index_text_comes_and_no_items(plain_model):
    assert ours(plain_model, ["a dog", RET]) == ["a dog [RET]", []]
    assert ours(plain_model, ["a dog", RET], index=small_index())[1] != []


def test_without_answers_all_is_text(model):
    found = ours(model, PARTS, num_words=16, ret_scale_factor=4.0, max_num_rets=0)
    assert len(found) == 1
    assert isinstance(found[0], str)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"num_words": -1}, "num_words is -1; it must be 0 or more"),
        ({"top_p": 0.9}, r"top_p is 0.9; it must be 1.0 at temperature 0"),
        ({"top_p": 0.0, "temperature": 1.0}, r"top_p is 0.0; it must be above 0"),
        ({"temperature": -1.0}, r"temperature is -1.0; it must be 0 \(greedy\) or more"),
        ({"min_word_tokens": -1}, "min_word_tokens is -1"),
        ({"max_num_rets": -1}, "max_num_rets is -1"),
        ({"max_img_per_ret": 0}, "max_img_per_ret is 0; it must be 1 or more"),
    ],
)
def test_an_option_that_cannot_work_is_refused_by_name(plain_model, option, message):
    with pytest.raises(InvalidInput, match=message):
        generate_for_images_and_texts(plain_model, ["a"], **option)


def test_a_prompt_that_cannot_work_is_refused(plain_model):
    with pytest.raises(InvalidInput, match="the prompt is empty"):
        generate_for_images_and_texts(plain_model, [], num_words=1)
    with pytest.raises(InvalidInput, match=r"must be text or a picture's features \(F,\), got int"):
        generate_for_images_and_texts(plain_model, [3], num_words=1)
    with pytest.raises(PromptTooLong, match="num_words is 300; together at most 256 fit"):
        generate_for_images_and_texts(plain_model, ["a"], num_words=300)
    with pytest.raises(ConfigError, match="without its vision encoder"):
        generate_for_images_and_texts(plain_model, [Image.new("RGB", (4, 4))], num_words=1)


def test_truncate_prefers_the_line_end_to_an_earlier_full_stop():
    assert [truncate(text) for text in ("a. b\nc", "a. b.", "a b", "", "\na")] == ["a. b\n", "a.", "a b", "", "\n"]


def test_top_p_keeps_the_token_that_passes_the_mass():
    logits = torch.tensor([0.2, 0.5, 0.3]).log()
    for top_p, kept in ((0.4, [1]), (0.6, [1, 2]), (0.85, [0, 1, 2]), (0.1, [1])):
        assert torch.where(torch.isfinite(keep_top_p(logits, top_p)))[0].tolist() == kept
