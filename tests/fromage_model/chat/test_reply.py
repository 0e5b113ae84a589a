"""Messages and interleaved prompts to replies of text and products, with an index and without."""

import math
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from fromage_model.catalogue import SCHEMA
from fromage_model.chat.reply import as_message, next_turn
from fromage_model.errors import ConfigError, InvalidInput
from fromage_model.index import RetrievalIndex
from fromage_model.model.reading import read_prompts
from fromage_model.prompts.messages import Finished, Message, Retrieval, Sampling, TextDelta
from fromage_model.prompts.segments import chat_prompt
from fromage_model.vision.encoders import load_vision_encoder
from tests.fromage_model import tiny

ITEMS = 12
MANY_RETS = {"max_new_tokens": 24, "ret_scale_factor": 4.0, "max_rets": 3}


def small_index(fingerprint: str = "f") -> RetrievalIndex:
    vectors = np.random.default_rng(5).normal(size=(ITEMS, tiny.SHARED_WIDTH)).astype(np.float32)
    rows = [
        {
            "id": f"id{row}",
            "image": f"{row}.png",
            "image_sha256": f"{row:064x}",
            "source": "test",
            "caption": f"item {row}",
            "group": f"group {row}",
            "split": "train",
            "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
        }
        for row in range(ITEMS)
    ]
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    return RetrievalIndex.build(units, table, fingerprint=fingerprint, catalogue="test")


def ids_of(reply) -> list[str]:
    return [hit.id for products in reply.products for hit in products.hits]


def test_a_reply_interleaves_text_and_products_as_they_were_written(chat_model):
    chat_model.index = small_index()
    reply = chat_model.generate(["Show me ", tiny.features(1)[0].numpy(), " please"], **MANY_RETS, top_k=4)
    assert len(reply.products) == 3
    assert reply.text == "".join(part for part in reply.parts if isinstance(part, str))
    before = ""
    for part in reply.parts:
        if isinstance(part, str):
            before += part
        else:
            assert part.offset == len(before)
            assert len(part.hits) == 4


def test_hits_are_the_index_s_nearest_to_the_embedding(chat_model):
    chat_model.index = small_index()
    reply = chat_model.chat([Message("user", ["a hat"])], retrieval="always", max_new_tokens=2, top_k=3)
    (products,) = reply.products
    expected = chat_model.index.search(products.embedding, top_k=3)[0]
    assert [hit.id for hit in products.hits] == [hit.id for hit in expected]


def test_an_item_appears_once_in_a_reply_and_excluded_ones_never(chat_model):
    chat_model.index = small_index()
    prompt = ["Show me ", tiny.features(1)[0].numpy(), " please"]
    ids = ids_of(chat_model.generate(prompt, **MANY_RETS, top_k=4))
    assert len(ids) == len(set(ids)) == ITEMS
    others = ids_of(chat_model.generate(prompt, **MANY_RETS, top_k=4, exclude=ids[:5]))
    assert sorted(others) == sorted(set(ids) - set(ids[:5]))


def test_without_an_index_products_are_embeddings_alone(chat_model):
    reply = chat_model.chat([{"role": "user", "content": "a hat"}], retrieval="always", max_new_tokens=4)
    (products,) = reply.products
    assert products.hits == ()
    assert float(np.linalg.norm(products.embedding)) == pytest.approx(1.0, abs=1e-5)


def test_never_gives_text_alone(chat_model):
    reply = chat_model.chat([{"role": "user", "content": "a hat"}], retrieval="never", **MANY_RETS)
    assert reply.products == []
    assert reply.parts == (reply.text,)


def test_the_config_s_bound_holds_where_a_request_does_not_say(lms):
    """A [RET] that would come late comes not at all; one that must come late, as the request says, still does."""
    late = {"max_new_tokens": 12, "ret_scale_factor": 4.0, "min_tokens_before_ret": 3}
    free, bound = (tiny.build(lms.chat, max_tokens_before_ret=most) for most in (None, 3))
    turns = [{"role": "user", "content": "a hat"}]
    assert [products.offset for products in free.chat(turns, **late).products]
    after_three = bound.chat(turns, retrieval="always", **late).products
    assert [products.offset for products in after_three] == [
        products.offset for products in free.chat(turns, retrieval="always", max_tokens_before_ret=3, **late).products
    ]
    at_once = tiny.build(lms.chat, max_tokens_before_ret=0)
    (products,) = at_once.chat(turns, retrieval="always", max_new_tokens=4).products
    assert products.offset == 0


AFTER_RET = "some dresses here"


def test_a_reply_that_begins_with_ret_goes_on_as_the_config_says(lms):
    """And as the LM would from there: the words are as if it had written them."""
    plain, told = tiny.build(lms.chat), tiny.build(lms.chat, after_ret=AFTER_RET)
    turns = [{"role": "user", "content": "a hat"}]
    reply = told.chat(turns, retrieval="always", max_new_tokens=40)
    assert [products.offset for products in reply.products] == [0]
    written = plain.chat([*turns, {"role": "assistant", "content": AFTER_RET}], retrieval="never", max_new_tokens=40)
    assert reply.text.startswith(AFTER_RET)
    assert (AFTER_RET + written.text).startswith(reply.text)
    assert reply.text != AFTER_RET
    assert told.chat(turns, retrieval="always", max_new_tokens=12, after_ret="").text == (
        plain.chat(turns, retrieval="always", max_new_tokens=12).text
    )


def test_what_follows_ret_is_not_said_where_there_is_none_or_text_before(lms):
    plain, told = tiny.build(lms.chat), tiny.build(lms.chat, after_ret=AFTER_RET)
    turns = [{"role": "user", "content": "a hat"}]
    for options in ({"retrieval": "never"}, {"retrieval": "always", "min_tokens_before_ret": 2}):
        replies = [model.chat(turns, max_new_tokens=12, **options).parts for model in (plain, told)]
        texts = [[part for part in parts if isinstance(part, str)] for parts in replies]
        assert texts[0] == texts[1]
    assert AFTER_RET not in told.generate(["a hat"], **MANY_RETS).text


def test_a_reply_without_products_does_not_begin_as_those_with_products_do(lms):
    turns = [{"role": "user", "content": "a hat"}]
    plain = tiny.build(lms.chat).chat(turns, retrieval="never", max_new_tokens=4).text
    told = tiny.build(lms.chat, after_ret=plain)
    first = told.tokens.encode(plain)[0]
    reply = told.chat(turns, retrieval="never", max_new_tokens=4).text
    assert told.tokens.encode(reply)[0] not in (first, *told.tokens.signs)
    begun = [*turns, {"role": "assistant", "content": plain}]
    assert told.chat(begun, max_new_tokens=4, retrieval="never").text == (
        tiny.build(lms.chat).chat(begun, max_new_tokens=4, retrieval="never").text
    )


def test_under_a_picture_ret_is_chosen_like_any_token_and_nothing_is_said_for_the_lm(lms, clip):
    plain = tiny.build(lms.chat)
    told = tiny.build(lms.chat, after_ret=AFTER_RET, show_threshold=0.999)
    for model in (plain, told):
        model.encoder = load_vision_encoder(str(clip))
    shown = {"role": "user", "content": [Image.new("RGB", (40, 30), "teal"), "a hat"]}
    for options in ({"retrieval": "auto"}, {"retrieval": "always"}):
        first, second = (model.chat([shown], max_new_tokens=12, **options) for model in (plain, told))
        assert first.text == second.text
        assert [one.offset for one in first.products] == [one.offset for one in second.products]
    before = [shown, {"role": "assistant", "content": "some"}, {"role": "user", "content": "a hat"}]
    assert told.chat(before, retrieval="always", max_new_tokens=40).text.startswith(AFTER_RET)


def test_a_reply_begun_within_those_words_says_the_rest_of_them(lms):
    told = tiny.build(lms.chat, after_ret=AFTER_RET)
    turns = [{"role": "user", "content": "a hat"}]
    whole = told.chat(turns, retrieval="always", max_new_tokens=40)
    first = Message("assistant", ["some"], ret_offsets=(0,))
    rest = told.chat([*map(as_message, turns), first], max_new_tokens=40)
    assert whole.text.startswith(AFTER_RET)
    assert len(whole.text) > len(AFTER_RET)
    assert ("some" + rest.text).startswith(whole.text)
    assert rest.products == []


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_the_bundle_s_threshold_decides_whether_a_reply_begins_with_products(lms, temperature):
    """Just below [RET]'s log-odds it shows some and just above it does not, however the text is drawn."""
    turns = [Message("user", ["a hat"])]
    plain = tiny.build(lms.chat, max_tokens_before_ret=0)
    read = read_prompts(plain, [chat_prompt(turns, plain.tokens, system_prompt=plain.config.system_prompt)])
    logits = plain.logits(read.states.last[0, -1])
    odds = float((logits[-1] - logits[:-1].logsumexp(dim=-1)).detach())
    for beside, expected in ((-0.01, [0]), (0.01, [])):
        threshold = 1 / (1 + math.exp(-(2.0 * (odds + beside) + 1.0)))
        config = {"max_tokens_before_ret": 0, "show_calibration": (2.0, 1.0), "show_threshold": threshold}
        model = tiny.build(lms.chat, **config)
        replies = [model.chat(turns, max_new_tokens=3, temperature=temperature, seed=seed) for seed in range(4)]
        assert [[products.offset for products in reply.products] for reply in replies] == [expected] * 4


def test_under_a_picture_a_threshold_of_its_own_decides(lms):
    turns = [Message("user", [np.ones(tiny.FEATURE_WIDTH, dtype=np.float32), "a hat"])]
    plain = tiny.build(lms.chat, max_tokens_before_ret=0)
    prompt = next_turn(plain, turns, sampling=Sampling()).prompt
    logits = plain.logits(read_prompts(plain, [prompt]).states.last[0, -1])
    odds = float((logits[-1] - logits[:-1].logsumexp(dim=-1)).detach())
    for beside, otherwise, expected in ((-0.01, 0.999999, 1), (0.01, 1e-6, 0)):
        model = tiny.build(
            lms.chat, max_tokens_before_ret=0, show_threshold=otherwise, show_log_odds_pictured=odds + beside
        )
        assert len(model.chat(turns, max_new_tokens=3).products) == expected
        assert len(model.chat([Message("user", ["a hat"])], max_new_tokens=3).products) == 1 - expected


def test_a_request_s_ret_scale_factor_takes_the_threshold_s_place(lms):
    """As in the original, 0 makes of [RET]'s logit one that leads no other, 1 leaves it as it is."""
    config = {"max_tokens_before_ret": 0, "show_calibration": (1.0, 100.0), "show_threshold": 0.5}
    model, plain = tiny.build(lms.chat, **config), tiny.build(lms.chat, max_tokens_before_ret=0)
    turns = [Message("user", ["a hat"])]
    assert len(model.chat(turns, max_new_tokens=3).products) == 1
    for factor in (0.0, 1.0):
        asked = [one.chat(turns, max_new_tokens=3, ret_scale_factor=factor).parts for one in (model, plain)]
        assert [len(parts) for parts in asked] == [1, 1]
        assert asked[0] == asked[1]
    assert len(model.chat(turns, retrieval="never", max_new_tokens=3).products) == 0


def test_a_picture_and_its_features_give_the_same_reply(chat_model, clip):
    chat_model.encoder = load_vision_encoder(str(clip))
    picture = Image.new("RGB", (40, 30), "teal")
    features = chat_model.encode([picture])[0].numpy()
    replies = [chat_model.generate(["Q: ", part, " what?"], **MANY_RETS) for part in (picture, features)]
    assert replies[0].text == replies[1].text
    assert replies[0].products


def test_pictures_of_a_conversation_reach_the_lm(chat_model, clip):
    chat_model.encoder = load_vision_encoder(str(clip))
    texts = {
        chat_model.chat(
            [{"role": "user", "content": ["like this", Image.new("RGB", (32, 32), colour)]}], max_new_tokens=16
        ).text
        for colour in ("black", "white", "red")
    }
    assert len(texts) > 1


def test_a_picture_without_an_encoder_is_an_error_that_says_what_works(chat_model):
    with pytest.raises(ConfigError, match="vision=False"):
        chat_model.chat([{"role": "user", "content": [Image.new("RGB", (8, 8))]}])


def test_a_stream_gives_the_reply_s_events_and_ends_in_one_finished(chat_model):
    messages = [Message("user", ["a hat"])]
    events = list(chat_model.chat_stream(messages, retrieval="always"))
    reply = chat_model.chat(messages, retrieval="always")
    assert [type(event) for event in events].count(Finished) == 1
    assert isinstance(events[-1], Finished)
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == reply.text
    assert sum(isinstance(event, Retrieval) for event in events) == len(reply.products) == 1


def test_a_stream_ends_when_its_caller_wants_no_more(chat_model):
    assert list(chat_model.chat_stream([Message("user", ["a hat"])], stop=lambda: True)) == []


def test_an_lm_without_a_template_chats_too(plain_model):
    assert plain_model.chat([{"role": "user", "content": "a hat"}], max_new_tokens=16).text


@pytest.mark.parametrize(
    ("message", "field"),
    [({"role": "robot", "content": "hi"}, "role"), ({"role": "user"}, "content"), ({"content": "hi"}, "role")],
)
def test_a_message_that_is_none_is_refused_by_field(message, field):
    with pytest.raises(InvalidInput) as caught:
        as_message(message)
    assert caught.value.field == field


def test_no_messages_are_refused(chat_model):
    with pytest.raises(InvalidInput, match="at least one message"):
        chat_model.chat([])
