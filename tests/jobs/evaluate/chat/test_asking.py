"""What the actor asks: every message as a client would send it, many side by side, without Ray."""

from dataclasses import replace

import pyarrow as pa
import pytest

from fromage_model.bundle import load_bundle
from fromage_model.catalogue import Catalogue
from fromage_model.index import RetrievalIndex, Sentences
from fromage_model.language.sentences import SentenceEncoder
from fromage_model.prompts.messages import Message
from fromage_model.vision.images import decode_image
from jobs.evaluate.chat.asking import QUESTIONS, AskChat, Asking
from jobs.evaluate.chat.questions import Question
from tests.fromage_model.tiny import write_sentence_encoder

TOKENS, PENALTY = 6, 1.2
OTHERS = "others"


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


def written_out(model, texts, *, retrieval, picture=None, without=()):
    """The same, message after message through the model's own `chat`."""
    messages, shown, came = [], [], []
    for place, text in enumerate(texts):
        messages.append(Message("user", [picture, text] if picture is not None and not place else [text]))
        reply = model.chat(messages, retrieval=retrieval, max_new_tokens=TOKENS, repetition_penalty=PENALTY)
        ids = []
        for found in reply.products:
            gone, later = [*without, *ids, *(shown if text == OTHERS else ())], () if text == OTHERS else shown
            ids += [hit.id for hit in model.index.search(found.embedding, top_k=5, exclude=gone, demoted=later)[0]]
        shown += ids
        messages.append(Message("assistant", [reply.text], tuple(found.offset for found in reply.products)))
        came.append((ids, reply.text))
    return came


@pytest.mark.parametrize("retrieval", ["auto", "always", "never"])
def test_a_conversation_is_answered_as_its_messages_would_be_one_by_one(asking, model, retrieval):
    texts = ("Do you have a red square?", "darker", OTHERS)
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
    question = Question("like", 0, ("more?", OTHERS), "always", id, (id,), whole=True)
    ((first, second),) = asked(asking, question)
    picture = decode_image(catalogue.image_bytes(id))
    assert [first, second] == written_out(model, question.texts, retrieval="always", picture=picture, without=[id])
    assert id not in first[0] + second[0]
    assert len({*first[0], *second[0]}) == 10


def test_what_is_said_narrows_as_in_the_served_chat_where_that_is_asked_for(asking, tmp_path):
    index = RetrievalIndex.load(tmp_path / "index")
    table, ids = index.items, index.ids
    field = table.schema.field("attributes")
    told = pa.array([[("colour", "red" if row % 2 else "blue")] for row in range(len(ids))], field.type)
    table = table.set_column(table.schema.get_field_index("attributes"), field, told)
    coloured = RetrievalIndex.build(index.vectors, table, fingerprint=index.fingerprint, catalogue="squares")
    coloured.save(tmp_path / "coloured")
    question = Question("conversation", 0, ("squares please", "in red"), "always")
    read = replace(asking, index=str(tmp_path / "coloured"))
    ((first, second),) = asked(replace(read, said_filters=True), question)
    assert len(first[0]) == 5
    assert set(second[0]) <= set(ids[1::2])
    assert len(second[0]) == min(5, len(ids[1::2])) > 0
    ((before, alone),) = asked(read, question)
    assert (before[0], len(alone[0])) == (first[0], 5)


def test_words_count_in_an_index_for_hybrid_search_and_beside_a_picture_only_where_that_is_asked_for(
    asking, tmp_path, tiny_world
):
    folder = write_sentence_encoder(tmp_path / "sentences")
    encoder = SentenceEncoder.open(str(folder))
    index = RetrievalIndex.load(tmp_path / "index")
    texts = [f"words of number {row}" for row in range(len(index))]
    index.tell(encoder(texts), Sentences(str(folder), encoder.fingerprint, encoder.width))
    index.save(tmp_path / "hybrid")
    read = replace(asking, index=str(tmp_path / "hybrid"))
    wish = Question("wish", 0, (texts[7],), "always")
    ((words,),) = asked(replace(read, text_weight=1.0), wish)
    assert words[0][0] == index.ids[7]
    ((model_alone,),) = asked(replace(read, text_weight=0.0), wish)
    assert model_alone == asked(asking, wish)[0][0] != words
    pictured = Question("like", 0, (texts[7],), "always", index.ids[0], (index.ids[0],))
    assert asked(read, pictured) == asked(asking, pictured)
    assert asked(replace(read, text_weight=1.0), pictured)[0][0][0][0] == index.ids[7]


def test_a_last_reply_is_waited_for_only_as_far_as_it_matters(asking):
    texts = ("Do you have a red square?",)
    ((short,), (whole,)) = asked(
        asking, Question("wish", 0, texts, "always"), Question("what", 0, texts, "always", whole=True)
    )
    assert short[0] == whole[0]
    assert len(short[0]) == 5
    assert whole[1].startswith(short[1])
    assert len(whole[1]) > len(short[1])
