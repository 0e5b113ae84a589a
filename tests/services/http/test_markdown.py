"""Products as markdown stand in the text at their moment, can inject nothing, and are read out of it again."""

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from fromage_model.prompts.messages import Finished, TextDelta
from services.http.markdown import products_text, read_products
from services.products import Product, Products
from tests.services.http.chatting import CHAT, HELLO, client_of, events_of
from tests.services.peers import ScriptedLlm, asks_for_products

HOST = "http://testserver"
ASKED = {"messages": HELLO, "products_as": "markdown", "top_k": 2}


def line(number: int, base: str = HOST) -> str:
    name = rf"A item\-{number}"
    return f"![{name}]({base}/v1/items/item-{number}/image) [{name}](https://shop.example/item-{number})"


TEXT = f"Try these 👗\n\n{line(0)}\n\n{line(1)}\n\n or ask."


def test_products_stand_in_the_text_at_their_moment_streamed_or_not(client: TestClient):
    message = client.post(CHAT, json=ASKED).json()["choices"][0]["message"]
    assert (message["content"], message["products"]) == (TEXT, [])
    chunks = events_of(client.post(CHAT, json={**ASKED, "stream": True}).text)[:-1]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert "".join(delta.get("content", "") for delta in deltas) == TEXT
    assert not any("products" in delta for delta in deltas)
    assert deltas[3]["content"] == f"\n\n{line(0)}\n\n{line(1)}"


def test_products_at_the_beginning_and_next_to_each_other_are_paragraphs():
    script = (
        asks_for_products(0),
        asks_for_products(0),
        TextDelta("And"),
        asks_for_products(3),
        Finished("stop", 1, 1),
    )
    reply = client_of(ScriptedLlm(script)).post(CHAT, json={**ASKED, "top_k": 1}).json()
    assert reply["choices"][0]["message"]["content"] == f"{line(0)}\n\n{line(1)}\n\nAnd\n\n{line(2)}"


def test_a_reply_that_comes_back_is_read_as_it_was_written_and_its_items_are_not_shown_again():
    llm = ScriptedLlm()
    messages = [*HELLO, {"role": "assistant", "content": TEXT}, {"role": "user", "content": "More"}]
    reply = client_of(llm).post(CHAT, json={**ASKED, "messages": messages}).json()
    earlier = llm.asked[0][1]
    assert (earlier.text, earlier.ret_offsets) == ("Try these 👗 or ask.", (11,))
    assert line(2) in reply["choices"][0]["message"]["content"]
    assert line(0) not in reply["choices"][0]["message"]["content"]


def test_markdown_is_read_as_products_only_where_it_is_asked_for_and_the_assistant_s():
    llm = ScriptedLlm()
    for role, asked in (("assistant", {}), ("user", {"products_as": "markdown"})):
        messages = [{"role": role, "content": TEXT}, *HELLO]
        client_of(llm).post(CHAT, json={"messages": messages, **asked})
        assert llm.asked[-1][0].text == TEXT


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("shop.example:8443", "http://shop.example:8443"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("a) [b](http://evil.example", ""),
        ("evil.example/path", ""),
        ("user@evil.example", ""),
    ],
)
def test_addresses_are_the_host_s_that_was_asked_and_paths_where_that_is_none(client: TestClient, host, base):
    text = client.post(CHAT, json=ASKED, headers={"host": host}).json()["choices"][0]["message"]["content"]
    assert line(0, base) in text


def test_a_public_url_stands_before_whatever_host_was_asked():
    client = client_of(public_url="https://shop.example/chat")
    text = client.post(CHAT, json=ASKED, headers={"host": "inner:8000"}).json()["choices"][0]["message"]["content"]
    assert line(0, "https://shop.example/chat") in text


NASTY = st.text(st.sampled_from("ab[]()!\\<>*_`&;:/.#|~@\"' \n\r\t\u2028\u202e\x00\u0085é👗"), max_size=30)


@given(caption=NASTY, link=st.none() | NASTY.map(lambda path: f"https://shop.example/{path}"), id=NASTY)
def test_a_name_is_one_line_of_text_whatever_it_holds(caption, link, id):
    product = Product(f"i{id}", caption, link, "/v1/items/x/image", 0.5)
    text = products_text(Products([product], 0), base_url="")
    assert "\n" not in text
    assert not {"\u2028", "\x00", "\u0085", "\u202e"} & set(text)
    assert text.isprintable()
    unescaped = [
        character for place, character in enumerate(text) if character in "[]()!<>" and not escaped(text, place)
    ]
    picture = list("![]()")
    assert unescaped == (picture if link is None else [*picture, *"[]()"])


def escaped(text: str, place: int) -> bool:
    before = text[:place]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1


TEXTS = st.text(st.sampled_from("ab .!\n[é👗"), max_size=8)


@given(first=TEXTS, more=st.lists(st.tuples(st.integers(1, 3), TEXTS), max_size=3))
def test_what_is_written_is_what_is_read(first, more):
    text, written, shown, number = first, first, [], 0
    for count, following in more:
        products = [
            Product(
                f"id/{number + place} (é)",
                "A [name](x)",
                None,
                f"/v1/items/id%2F{number + place}%20%28%C3%A9%29/image",
                0.5,
            )
            for place in range(count)
        ]
        shown += [(product.id, len(text)) for product in products]
        gap = "\n\n" if text else ""
        written += gap + products_text(Products(products, len(text)), base_url=HOST)
        number += count
        if following:
            written += "\n\n" + following
            text += following
        else:
            break
    found, references = read_products(written)
    assert found == text
    assert [(one.id, one.offset) for one in references] == shown


def test_what_is_too_long_to_be_a_reply_is_refused_as_any_text(client: TestClient):
    messages = [*HELLO, {"role": "assistant", "content": f"{line(0)}\n\n" * 20_000}, *HELLO]
    error = client.post(CHAT, json={**ASKED, "messages": messages}).json()["error"]
    assert error["param"] == "messages.1.content"
