"""What a reader can do with a reply: another one, its text; and what the page does without a server or a key."""

import re

from playwright.sync_api import Page, expect

from tests.services.conftest import OpenPage
from tests.services.page.steps import Watched, ask, ask_and_wait, order_of_article
from tests.services.scripted_chat import ScriptedChat, product

WAITS = "Your question is asked again by itself as soon as it answers."


def forgive(watched: Watched, what: str) -> None:
    """The browser itself complains of each answer that is an error."""
    assert all(what in complaint for complaint in watched.complaints), watched.complaints
    watched.complaints.clear()


def test_another_answer_is_drawn_in_the_place_of_the_latest_one(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    ask_and_wait(page, "One")
    ask_and_wait(page, "Two")
    expect(page.get_by_role("button", name="Another answer")).to_have_count(1)
    chat.script = ["Good evening."]
    page.get_by_role("button", name="Another answer").press("Enter")
    expect(page.locator(".prose").last).to_have_text("Good evening.")
    expect(page.get_by_label("What are you looking for?")).to_be_focused()
    first, again = chat.requests[-2:]
    assert again == first | {"temperature": 0.8}
    ask_and_wait(page, "Three")
    said = [message["content"] for message in chat.requests[-1]["messages"]]
    assert said == ["One", "Good day.", "Two", "Good evening.", "Three"]


def test_the_text_of_a_reply_is_copied_and_said_to_be(chat, open_page: OpenPage):
    page = open_page(chat.url, permissions=["clipboard-read", "clipboard-write"]).page
    chat.script = ["**Wool**,", [product("coat", offset=9)], " then.\n\n1. Silk"]
    ask_and_wait(page, "A coat")
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_focused()
    expect(page.locator("#announcer")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "**Wool**, then.\n\n1. Silk"
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject() }")
    expect(page.get_by_role("button", name="Copy")).to_be_visible()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Could not copy")).to_be_focused()


def test_products_tell_their_brand_and_price_where_they_have_them(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    dear = product("coat", offset=0, brand="Arket", price="129000 KRW")
    chat.script = [[dear, product("hat", offset=0, price="from £5", brand=None), product("bag", offset=0)]]
    ask_and_wait(page, "A coat")
    assert page.locator(".plate-caption").all_inner_texts() == ["Coat\nArket\n129,000 KRW", "Hat\nfrom £5", "Bag"]
    expect(page.locator(".plate img").first).to_have_attribute("src", re.compile(r"/v1/items/coat/image\?width=512$"))
    expect(page.get_by_role("link", name="coat, Arket, 129,000 KRW (opens in a new tab)")).to_be_visible()


def test_a_server_that_is_away_is_waited_for_and_asked_by_itself(open_page: OpenPage):
    with ScriptedChat() as chat:
        watched = open_page(chat.url)
    page = watched.page
    ask(page, "A coat")
    expect(page.locator(".remark").filter(has_text=WAITS)).to_be_visible()
    expect(page.locator("#announcer")).to_contain_text(WAITS)
    page.keyboard.press("Escape")
    expect(page.locator(".turn")).to_have_attribute("data-state", "stopped")
    page.get_by_role("button", name="Another answer").click()
    expect(page.locator(".remark").filter(has_text=WAITS)).to_be_visible()
    with ScriptedChat(port=chat.port):
        expect(page.locator(".turn")).to_have_attribute("data-state", "done")
        assert order_of_article(page)[0] == "Good day."
        forgive(watched, "net::ERR_")


def test_a_server_that_is_not_ready_is_said_to_be_starting(chat, open_page: OpenPage):
    chat.ready, chat.refusal = False, (503, b"<html>Bad gateway</html>")
    watched = open_page(chat.url)
    page = watched.page
    starting = page.locator("#starting")
    expect(starting).to_have_text("The server is starting. This page tries again by itself.")
    expect(page.locator("#announcer")).to_have_text("The server is starting. This page tries again by itself.")
    ask(page, "A coat")
    expect(page.locator(".remark").filter(has_text=WAITS)).to_be_visible()
    chat.ready, chat.refusal = True, None
    expect(page.locator(".turn")).to_have_attribute("data-state", "done")
    expect(starting).to_be_hidden()
    expect(page.locator("#items")).to_have_text("2,186 pieces in this issue")
    forgive(watched, "503")


def give_key(page: Page, key: str) -> None:
    expect(page.get_by_label("Key")).to_be_focused()
    page.keyboard.type(key)
    page.keyboard.press("Enter")


def test_a_server_with_keys_is_given_one_for_chats_and_pictures(chat, open_page: OpenPage):
    watched = open_page(chat.url)
    page = watched.page
    chat.keys = {"secret"}
    chat.script = ["Here:", [product("coat", offset=5)]]
    ask(page, "A coat")
    expect(page.get_by_role("alert").filter(has_text="This chat asks for a key.")).to_be_visible()
    give_key(page, "wrong")
    expect(page.get_by_role("alert").filter(has_text="That key is not one of")).to_be_visible()
    give_key(page, "secret")
    expect(page.locator(".turn")).to_have_attribute("data-state", "done")
    expect(page.locator(".plate-picture.is-shown")).to_be_visible()
    expect(page.get_by_label("What are you looking for?")).to_be_focused()
    assert "temperature" not in chat.requests[-1]
    forgive(watched, "401")
    page.reload()
    expect(page.locator(".plate-picture.is-shown")).to_be_visible()
    ask_and_wait(page, "Another")
    assert page.evaluate("localStorage.getItem('fromage.key')") is None


def test_a_key_is_remembered_on_the_device_if_the_reader_wants_it(chat, open_page: OpenPage):
    watched = open_page(chat.url)
    page = watched.page
    chat.keys = {"secret"}
    ask(page, "A coat")
    page.get_by_label("Remember it on this device").check()
    page.get_by_label("Key").focus()
    give_key(page, "secret")
    expect(page.locator(".turn")).to_have_attribute("data-state", "done")
    forgive(watched, "401")
    page.evaluate("sessionStorage.clear()")
    page.reload()
    ask_and_wait(page, "Another")
