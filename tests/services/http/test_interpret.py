"""Pictures in messages are read however their URLs are written, what is none is refused, and its field named; and what
a conversation has shown stands in what is searched by.
"""

import base64
import textwrap
from urllib.parse import quote

import pytest

from fromage_model.errors import ImageError, InvalidInput
from fromage_model.understanding import Said
from services.http.forms.chat import ChatRequest
from services.http.interpret import read_conversation
from tests.pictures import png

PNG = png()
PLAIN = base64.b64encode(PNG).decode()
FIELD = "messages.0.content.0.image_url.url"


def asking(url: str) -> ChatRequest:
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "Like this?"}]
    return ChatRequest.model_validate({"messages": [{"role": "user", "content": content}]})


@pytest.mark.parametrize(
    "url",
    [
        f"data:image/png;base64,{PLAIN}",
        "data:image/png;base64,\n" + "\r\n".join(textwrap.wrap(PLAIN, 76)) + "\n",
        f"data:image/*;base64,{PLAIN.rstrip('=')} ",
        f"data:;base64,{quote(PLAIN, safe='')}",
    ],
)
def test_a_picture_is_read_however_its_url_is_written(url):
    (picture,) = read_conversation(asking(url)).pictures
    assert (picture.data, picture.field) == (PNG, FIELD)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("data:application/pdf;base64,JVBERi0=", "of type application/pdf, a PDF"),
        (f"data:image/png;base64,{PLAIN}!", "'!' is none of its characters"),
        (" https://shop.example/a.png", "remote pictures are not fetched"),
        ("\ud800", "expected a URL like data:"),
    ],
)
def test_what_is_no_picture_is_refused_and_its_field_named(url, reason):
    with pytest.raises((ImageError, InvalidInput), match=reason) as raised:
        read_conversation(asking(url))
    assert raised.value.field == FIELD


def talk(*, text: str, **request) -> ChatRequest:
    shown = [{"id": "red", "offset": 0}, {"id": "blue", "offset": 0}]
    messages = [
        {"role": "user", "content": "a dress"},
        {"role": "assistant", "content": "Here.", "products": shown, **request.pop("reply", {})},
        {"role": "assistant", "content": "Anything else?"},
        {"role": "user", "content": text},
    ]
    return ChatRequest.model_validate({"messages": messages, **request})


def test_a_reply_says_which_products_it_showed_and_no_words():
    narrowing = read_conversation(talk(text="in black")).narrowing
    assert narrowing.said == (Said("a dress"), Said(shown=("red", "blue")), Said("in black"))
    assert (narrowing.asked, narrowing.words) == ("in black", "in black\na dress")
    assert (narrowing.exclude, narrowing.shown) == (frozenset(), {"red", "blue"})


def test_filters_of_a_reply_stand_beside_its_products():
    narrowing = read_conversation(talk(text="cheaper", reply={"filters": {"brand": "Ada"}})).narrowing
    assert narrowing.said[1] == Said(filters={"brand": "Ada"}, shown=("red", "blue"))
    assert narrowing.exclude == {"red", "blue"}


def test_where_nothing_is_parsed_what_was_shown_is_left_out_or_comes_later_all_the_same():
    narrowing = read_conversation(talk(text="shorter", retrieval={"parse": False})).narrowing
    assert (narrowing.said, narrowing.exclude) == ((), {"red", "blue"})
