"""What the page keeps across reloads: the conversation, in bounds; and that no tab spoils another's."""

import io
import random
import threading

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.services.conftest import OpenPage
from tests.services.page.steps import ask, ask_and_wait, order_of_article
from tests.services.scripted_chat import picture_bytes, product

HAT = {"name": "hat.png", "mimeType": "image/png", "buffer": picture_bytes()}


def questions(page: Page) -> list[str]:
    return page.locator(".quote h2").all_text_contents()


def test_a_reload_keeps_the_conversation_with_its_pictures_and_new_chat_ends_it(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    page.locator("#picture").set_input_files(HAT)
    page.get_by_alt_text("To send: hat.png").wait_for()
    chat.script = ["Try 👗: ", [product("scarf", offset=7)], "Bye."]
    ask_and_wait(page, "Warm things")
    before = order_of_article(page)
    page.reload()
    expect(page.get_by_alt_text("Picture that you sent: hat.png")).to_be_visible()
    expect(page.locator(".plate-picture.is-shown")).to_be_visible()
    assert order_of_article(page) == before
    ask_and_wait(page, "And?")
    first, answer, _ = chat.requests[-1]["messages"]
    assert first == chat.requests[0]["messages"][0]
    assert answer["products"] == [{"id": "scarf", "offset": 7}]
    page.get_by_role("button", name="New chat").click()
    page.reload()
    expect(page.get_by_role("heading", name="What are you dressing for?")).to_be_visible()
    with page.context.expect_page() as opened:
        page.evaluate("url => window.open(url, '_blank', 'noopener')", chat.url)
    expect(opened.value.locator("#starters button")).to_have_count(5)
    assert questions(page) == questions(opened.value) == []


def test_a_reload_while_a_reply_is_written_keeps_what_was_said_as_stopped(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    chat.script = ["A light dress", threading.Event()]
    ask(page, "A wedding")
    expect(page.locator(".prose")).to_have_text("A light dress")
    page.reload()
    expect(page.locator(".turn")).to_have_attribute("data-state", "stopped")
    assert order_of_article(page)[:2] == ["A light dress", "Stopped."]
    expect(page.get_by_role("button", name="Ask")).to_be_visible()


def test_a_new_tab_goes_on_with_a_copy_and_tabs_do_not_spoil_each_other(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    ask_and_wait(page, "One")
    other = page.context.new_page()
    other.goto(chat.url)
    ask_and_wait(other, "Two")
    ask_and_wait(page, "Three")
    page.reload()
    other.reload()
    assert (questions(page), questions(other)) == (["One", "Three"], ["One", "Two"])
    other.get_by_role("button", name="New chat").click()
    page.reload()
    other.reload()
    assert (questions(page), questions(other)) == (["One", "Three"], [])


def test_what_fills_the_store_goes_first_pictures_then_turns(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    noise = io.BytesIO()
    Image.frombytes("RGB", (1024, 1024), random.Random(0).randbytes(3 << 20)).save(noise, "JPEG", quality=90)
    large = HAT | {"buffer": noise.getvalue()}
    for question, pictures in (("First", [large]), ("Second", [large, large])):
        page.locator("#picture").set_input_files(pictures)
        expect(page.locator("#attachments li")).to_have_count(len(pictures))
        ask_and_wait(page, question)
    page.reload()
    assert questions(page) == ["First", "Second"]
    shown = page.locator(".turn").evaluate_all("turns => turns.map(turn => turn.querySelectorAll('.quote img').length)")
    assert shown == [0, 2]


@pytest.mark.parametrize(
    "spoil",
    [
        "localStorage.setItem('fromage.chat', '{\"turns\": [{\"text\": 5}, null]}')",
        "localStorage.setItem('fromage.chat', 'not json')",
        "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError') }",
        "for (const area of ['localStorage', 'sessionStorage'])"
        " Object.defineProperty(window, area, { get() { throw new DOMException('closed', 'SecurityError') } })",
    ],
    ids=["of another form", "no JSON", "full", "closed"],
)
def test_a_store_that_is_spoilt_full_or_closed_is_no_error(chat, open_page: OpenPage, spoil: str):
    page = open_page(chat.url).page
    page.add_init_script(spoil)
    page.reload()
    expect(page.get_by_role("heading", name="What are you dressing for?")).to_be_visible()
    ask_and_wait(page, "Hello")
    assert order_of_article(page)[0] == "Good day."
