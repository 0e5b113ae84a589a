"""Pictures in messages are read however their URLs are written; what is none is refused, and its field named."""

import base64
import textwrap
from urllib.parse import quote

import pytest

from fromage_model.errors import ImageError, InvalidInput
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
