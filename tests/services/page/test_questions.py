"""What the page sends: questions, pictures, what was said before; and how a reader stops and begins anew."""

import base64
import io
import threading

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.services.conftest import OpenPage
from tests.services.page.steps import ask, ask_and_wait
from tests.services.scripted_chat import picture_bytes, product


def test_escape_stops_the_reply_and_keeps_what_was_said(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    chat.script = ["A light dress", threading.Event(), " never said"]
    ask(page, "A wedding")
    expect(page.locator(".prose")).to_have_text("A light dress")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".turn")).to_have_attribute("data-state", "stopped")
    assert chat.client_left.wait(5)
    chat.script = ["And shoes."]
    ask_and_wait(page, "And then?")
    said = [message["content"] for message in chat.requests[-1]["messages"]]
    assert said == ["A wedding", "A light dress", "And then?"]


def test_a_question_stopped_before_a_word_came_is_not_told_again(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    chat.script = [threading.Event()]
    ask(page, "A wedding")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".turn")).to_have_attribute("data-state", "stopped")
    chat.script = ["Good day."]
    ask_and_wait(page, "Hello")
    assert [message["content"] for message in chat.requests[-1]["messages"]] == ["Hello"]


def test_products_shown_before_are_told_again_by_id_and_offset(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    chat.script = ["Try: ", [product("scarf", offset=5), product("coat", offset=5)], "Bye."]
    ask_and_wait(page, "Warm things")
    chat.script = [[product("boots", offset=0)]]
    ask_and_wait(page, "Others?")
    ask_and_wait(page, "More?")
    assert chat.requests[-1]["messages"] == [
        {"role": "user", "content": "Warm things"},
        {
            "role": "assistant",
            "content": "Try: Bye.",
            "products": [{"id": "scarf", "offset": 5}, {"id": "coat", "offset": 5}],
        },
        {"role": "user", "content": "Others?"},
        {"role": "assistant", "content": "", "products": [{"id": "boots", "offset": 0}]},
        {"role": "user", "content": "More?"},
    ]


def test_the_reader_chooses_when_pieces_are_shown(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    ask_and_wait(page, "One")
    page.get_by_label("always").check()
    ask_and_wait(page, "Two")
    page.get_by_label("never").check()
    ask_and_wait(page, "Three")
    assert [request["retrieval"]["mode"] for request in chat.requests] == ["auto", "always", "never"]
    assert all(request["stream"] is True and request["model"] == "default" for request in chat.requests)


def test_a_large_picture_is_sent_small_and_upright(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    large = Image.new("RGB", (3000, 1500), "teal")
    exif = large.getexif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    large.save(stream, "JPEG", exif=exif)
    page.locator("#picture").set_input_files(
        {"name": "sofa.jpg", "mimeType": "image/jpeg", "buffer": stream.getvalue()}
    )
    expect(page.get_by_alt_text("To send: sofa.jpg")).to_be_visible()
    ask_and_wait(page, "What goes with this?")
    shown, said = chat.requests[0]["messages"][0]["content"]
    sent = Image.open(io.BytesIO(base64.b64decode(shown["image_url"]["url"].removeprefix("data:image/jpeg;base64,"))))
    assert (sent.format, sent.size) == ("JPEG", (512, 1024))
    assert said == {"type": "text", "text": "What goes with this?"}
    expect(page.get_by_alt_text("Picture that you sent: sofa.jpg")).to_be_visible()
    expect(page.locator("#attachments")).to_be_hidden()


@pytest.mark.parametrize("way", ["paste", "drop"])
def test_a_picture_comes_by_paste_and_by_drop(chat, open_page: OpenPage, way: str):
    page = open_page(chat.url).page
    page.evaluate(
        """async ([way, png]) => {
            const bytes = Uint8Array.from(atob(png), character => character.charCodeAt(0));
            const carried = new DataTransfer();
            carried.items.add(new File([bytes], 'hat.png', {type: 'image/png'}));
            const event = way === 'paste'
                ? new ClipboardEvent('paste', {clipboardData: carried, bubbles: true, cancelable: true})
                : new DragEvent('drop', {dataTransfer: carried, bubbles: true, cancelable: true});
            document.body.dispatchEvent(event);
            if (!event.defaultPrevented) throw new Error('the browser would leave the page for the picture');
        }""",
        [way, base64.b64encode(picture_bytes()).decode()],
    )
    expect(page.get_by_alt_text("To send: hat.png")).to_be_visible()
    page.get_by_label("What are you looking for?").press("Enter")
    expect(page.locator(".turn")).to_have_attribute("data-state", "done")
    assert [part["type"] for part in chat.requests[0]["messages"][0]["content"]] == ["image_url"]


def test_a_picture_can_be_taken_back(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    page.locator("#picture").set_input_files({"name": "hat.png", "mimeType": "image/png", "buffer": picture_bytes()})
    page.get_by_role("button", name="Remove hat.png").click()
    ask_and_wait(page, "Hello")
    assert chat.requests[0]["messages"] == [{"role": "user", "content": "Hello"}]


def test_a_file_that_is_no_picture_is_refused_in_words(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    page.locator("#picture").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": b"no picture"})
    expect(page.get_by_role("alert")).to_have_text("That file is not a picture that this browser can read.")


def test_a_long_chat_tells_its_latest_turns_and_few_pictures(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    hat = {"name": "hat.png", "mimeType": "image/png", "buffer": picture_bytes()}
    for number in range(4):
        page.locator("#picture").set_input_files([hat] * 3)
        expect(page.locator("#attachments li")).to_have_count(3)
        ask_and_wait(page, f"Question {number}")
    messages = chat.requests[-1]["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    for number in range(4, 20):
        ask_and_wait(page, f"Question {number}")
    asked = [message["content"] for message in chat.requests[-1]["messages"] if message["role"] == "user"]
    assert asked == [f"Question {number}" for number in range(7, 20)]


def test_a_chat_that_grew_too_long_goes_on_with_its_latest_turns(chat, open_page: OpenPage):
    watched = open_page(chat.url)
    page = watched.page
    for number in range(5):
        ask_and_wait(page, f"Question {number}")
    chat.most_messages = 5
    ask_and_wait(page, "Question 5")
    asked = [message["content"] for message in chat.requests[-1]["messages"] if message["role"] == "user"]
    assert asked == ["Question 3", "Question 4", "Question 5"]
    chat.most_messages = 0
    ask(page, "Question 6")
    expect(page.get_by_text("The chat is too long.")).to_be_visible()
    assert len(chat.requests[-1]["messages"]) == 1
    assert all("400" in complaint for complaint in watched.complaints)
    watched.complaints.clear()


def test_new_chat_begins_with_an_empty_page(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    chat.script = ["A light dress", threading.Event()]
    ask(page, "A wedding")
    expect(page.locator(".prose")).to_have_text("A light dress")
    page.get_by_role("button", name="New chat").click()
    expect(page.locator(".turn")).to_have_count(0)
    expect(page.get_by_role("heading", name="What are you dressing for?")).to_be_visible()
    assert chat.client_left.wait(timeout=10)
    expect(page.locator("#announcer")).to_have_text("New chat")
    chat.script = ["Good day."]
    ask_and_wait(page, "Hello")
    assert [message["content"] for message in chat.requests[-1]["messages"]] == ["Hello"]


def test_shift_enter_writes_a_line_and_enter_sends(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    expect(page.get_by_label("What are you looking for?")).to_be_focused()
    page.keyboard.type("One")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("Two")
    page.keyboard.press("Enter")
    expect(page.locator(".turn")).to_have_attribute("data-state", "done")
    assert chat.requests[0]["messages"][0]["content"] == "One\nTwo"
    expect(page.get_by_label("What are you looking for?")).to_be_focused()
    page.keyboard.press("Enter")
    assert len(chat.requests) == 1
