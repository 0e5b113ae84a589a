"""What the actor asks: every message as a client would send it, many side by side, without Ray."""

import pyarrow as pa
import pytest

from fromage_model.bundle import load_bundle
from fromage_model.catalogue import Catalogue
from fromage_model.index import RetrievalIndex
from fromage_model.prompts.messages import Message
from fromage_model.vision.images import decode_image
from jobs.evaluate.chat.asking import QUESTIONS, AskChat, Asking
from jobs.evaluate.chat.questions import Question

TOKENS, PENALTY = 6, 1.2


@pytest.fixture
def asking(tiny_world, whole_index, tmp_path):
    return Asking(
        bundle=str(tiny_world.bundle),
        index=str(tmp_path / "index"),
        catalogue=str(tiny_world.catalogue),
        sees_pictures=True,
        max_new_tokens=TOKENS,
        repetition_penalty=PENALTY,
        threads=1,
    )


@pytest.fixture
def model(tiny_world, whole_index, tmp_path):
    model = load_bundle(str(tiny_world.bundle))
    model.index = RetrievalIndex.load(tmp_path / "index")
    return model


def asked(asking, *questions):
    """The ids and replies that came for each message of each question."""
    rows = [
        {name: getattr(question, name) for name in QUESTIONS.names if name != "row"} | {"row": row}
        for row, question in enumerate(questions)
    ]
    answers = AskChat(asking)(pa.Table.from_pylist(rows, schema=QUESTIONS)).to_pylist()
    assert [answer["row"] for answer in answers] == list(range(len(questions)))
    return [[(came["ids"], came["reply"]) for came in answer["came"]] for answer in answers]


def written_out(model, texts, *, retrieval, picture=None, shown=()):
    """The same, message after message through the model's own `chat`."""
    messages, shown, came = [], list(shown), []
    for place, text in enumerate(texts):
        messages.append(Message("user", [picture, text] if picture is not None and not place else [text]))
        reply = model.chat(
            messages, retrieval=retrieval, exclude=shown, max_new_tokens=TOKENS, repetition_penalty=PENALTY
        )
        ids = [hit.id for found in reply.products for hit in found.hits]
        shown += ids
        messages.append(Message("assistant", [reply.text], tuple(found.offset for found in reply.products)))
        came.append((ids, reply.text))
    return came


@pytest.mark.parametrize("retrieval", ["auto", "always", "never"])
def test_a_conversation_is_answered_as_its_messages_would_be_one_by_one(asking, model, retrieval):
    texts = ("Do you have a red square?", "darker", "others")
    other = ("A picture of a square.", "and a blue one?")
    one, two = asked(
        asking,
        Question("conversation", 0, texts, retrieval, whole=True),
        Question("conversation", 1, other, retrieval, whole=True),
    )
    assert one == written_out(model, texts, retrieval=retrieval)
    assert two == written_out(model, other, retrieval=retrieval)


def test_a_picture_stands_before_the_first_message_and_its_item_does_not_come(asking, model, tiny_world):
    catalogue = Catalogue.open(tiny_world.catalogue)
    id = catalogue.items()[0].id
    question = Question("like", 0, ("more?", "others"), "always", id, (id,), whole=True)
    ((first, second),) = asked(asking, question)
    picture = decode_image(catalogue.image_bytes(id))
    assert [first, second] == written_out(model, question.texts, retrieval="always", picture=picture, shown=[id])
    assert id not in first[0] + second[0]
    assert len({*first[0], *second[0]}) == 10


def test_a_last_reply_is_waited_for_only_as_far_as_it_matters(asking):
    texts = ("Do you have a red square?",)
    ((short,), (whole,)) = asked(
        asking, Question("wish", 0, texts, "always"), Question("what", 0, texts, "always", whole=True)
    )
    assert short[0] == whole[0]
    assert len(short[0]) == 5
    assert whole[1].startswith(short[1])
    assert len(whole[1]) > len(short[1])
