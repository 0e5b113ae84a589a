"""The original's app, step by step as it does them, against `POST /`."""

import base64
import hashlib
import io
import zlib
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from fromage_model.prompts.messages import Finished, Retrieval, TextDelta
from services.deployments.retrieval import ProductShelf
from services.http.history import Exchange, packed, unpacked
from tests.services.http.colours import ODD_ID, ColourLlm, client_over, unit

ASKS = (TextDelta("Look: "), Retrieval(unit("red"), 6), TextDelta("nice."), Finished("stop", 3, 4))
TALKS = (TextDelta("Hello!"), Finished("stop", 3, 2))


class App:
    """What the app shows: for each picture a bubble with its link, the text in the first; or a bubble of text."""

    def __init__(self, client: TestClient, path: str = "/"):
        self._client = client
        self._path = path

    def send(self, text: str) -> list[dict[str, Any]]:
        answer = self._client.post(self._path, json={"text": text}).json()
        if "response_image" in answer:
            return [
                {
                    "image": Image.open(io.BytesIO(base64.b64decode(picture, validate=True))),
                    "link": answer["response_link"][place],
                    "text": answer["response_text"] if place == 0 else "",
                }
                for place, picture in enumerate(answer["response_image"])
            ]
        return [{"text": answer["response_text"]}]


def said(llm: ColourLlm) -> list[str]:
    return [message.text for message in llm.asked[-1]]


@pytest.mark.parametrize("path", ["/", "/k/some-key"])
def test_a_reply_without_products_is_its_text_alone(colours: ProductShelf, path: str):
    client = client_over(colours, ColourLlm(TALKS))
    assert App(client, path).send("Hi") == [{"text": "Hello!"}]
    assert client.post(path, json={"text": "Hi"}).json() == {"response_text": "Hello!"}


def test_products_come_as_jpegs_on_white_with_their_links(colours: ProductShelf):
    bubbles = App(client_over(colours, ColourLlm(ASKS))).send("Something red?")
    assert [bubble["link"] for bubble in bubbles] == ["https://shop.example/red", "https://shop.example/yellow", ""]
    assert [bubble["text"] for bubble in bubbles] == ["Look: nice.", "", ""]
    for bubble in bubbles:
        assert bubble["image"].format == "JPEG"
        assert min(bubble["image"].convert("RGB").getpixel((290, 150))) > 250


def test_without_a_picture_that_can_be_shown_the_text_is_not_lost(colours: ProductShelf):
    """The index finds the blue item first, whose picture is gone."""
    script = (TextDelta("Blue."), Retrieval(unit("blue"), 5), Finished("stop", 3, 2))
    client = client_over(colours, ColourLlm(script))
    colours_shown = App(client).send("Blue?")
    assert len(colours_shown) == 3
    assert colours_shown[0]["text"] == "Blue."


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"text": ""}, 400, "at least 1"),
        ({"text": " "}, 400, "empty"),
        ({"text": "x" * 9000}, 400, "at most 8,000"),
        ({}, 400, "text"),
        ({"text": "Hi", "conversation": "nonsense"}, 400, "begin anew"),
    ],
)
def test_an_error_is_told_where_the_app_reads(colours: ProductShelf, body: dict, status: int, told: str):
    response = client_over(colours).post("/", json=body)
    answer = response.json()
    assert response.status_code == status
    assert answer["response_text"] == answer["error"]["message"]
    assert told in answer["response_text"]
    assert answer["error"]["param"] == ("conversation" if "conversation" in body else "text")


def test_our_own_fault_is_told_so_too(colours: ProductShelf):
    response = client_over(colours, ColourLlm([RuntimeError("secret")])).post("/", json={"text": "Hi"})
    assert response.status_code == 500
    assert "internal error" in response.json()["response_text"]
    assert "secret" not in response.text


def test_nothing_is_remembered_unless_asked_for(colours: ProductShelf):
    llm = ColourLlm(TALKS)
    client = client_over(colours, llm)
    for _ in range(2):
        response = client.post("/", json={"text": "Hi"})
        assert "set-cookie" not in response.headers
        assert said(llm) == ["Hi"]


def test_a_conversation_goes_on_with_what_the_answer_gave(colours: ProductShelf):
    llm = ColourLlm(ASKS)
    client = client_over(colours, llm)
    first = client.post("/", json={"text": "Red?", "conversation": ""}).json()
    second = client.post("/", json={"text": "More!", "conversation": first["conversation"]}).json()
    assert said(llm) == ["Red?", "Look: nice.", "More!"]
    assert len(first["response_image"]) == 3
    assert "response_image" not in second
    assert unpacked(second["conversation"])[0].products[:2] == (("red", 6), (ODD_ID, 6))


def test_a_cookie_remembers_where_the_server_is_told_to(colours: ProductShelf):
    llm = ColourLlm(TALKS)
    client = client_over(colours, llm, original_cookie=True)
    cookie = client.post("/", json={"text": "Hi"}).headers["set-cookie"]
    assert "HttpOnly" in cookie
    client.post("/", json={"text": "Again"})
    assert said(llm) == ["Hi", "Hello!", "Again"]
    client.cookies.set("conversation", "nonsense")
    client.cookies.clear()
    assert client.post("/", json={"text": "New"}, headers={"cookie": "conversation=nonsense"}).status_code == 200
    assert said(llm) == ["New"]


def test_what_is_remembered_is_bounded_and_keeps_the_last():
    talk = [Exchange(f"{number}: {'é' * 600}", "Yes.") for number in range(40)]
    kept = unpacked(packed(talk))
    assert kept == talk[-len(kept) :]
    assert 1 < len(kept) < 16
    assert (
        len(packed([Exchange(hashlib.sha256(bytes([n])).hexdigest() * 4, "") for n in range(40)], most_chars=500))
        <= 500
    )
    assert packed([Exchange("x" * 7000, "")]) == ""


def test_a_conversation_that_unpacks_to_megabytes_is_refused(colours: ProductShelf):
    bomb = base64.urlsafe_b64encode(zlib.compress(b"[" * 20_000_000)).decode()
    response = client_over(colours).post("/", json={"text": "Hi", "conversation": bomb})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "conversation")
