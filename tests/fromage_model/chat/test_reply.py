"""Messages and interleaved prompts to replies of text and products, with an index and without."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from fromage_model.catalogue import SCHEMA
from fromage_model.chat.reply import as_message
from fromage_model.errors import ConfigError, InvalidInput
from fromage_model.index import RetrievalIndex
from fromage_model.prompts.messages import Finished, Message, Retrieval, TextDelta
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
