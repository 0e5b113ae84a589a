"""A reader's way through the page, on the real app: wishes, products, links, pictures, by mouse, thumb and keyboard.

Only what holds for any reply is claimed: pieces are asked for by the page's choice "always", not by the model's mood.
"""

import json

import pytest
from playwright.sync_api import Page, Route, expect

from tests.services.conftest import OpenPage
from tests.services.page.steps import SCREENS, ask
from tests.services.scripted_chat import picture_bytes

REPLY_MS = 150_000
QUESTION = "What are you looking for?"
# Notes how the latest reply grows: the lengths of its text, and every place that its grid has had on the page.
WATCH_THE_REPLY = """
() => {
    window.seen = {lengths: new Set(), grids: new Set(), shift: 0};
    const look = () => {
        const turn = document.querySelector('.turn:last-child');
        const prose = [...turn?.querySelectorAll('.prose') ?? []];
        seen.lengths.add(prose.map(piece => piece.textContent).join('').length);
        const grid = turn?.querySelector('.plates')?.getBoundingClientRect();
        if (grid) seen.grids.add([grid.x, grid.y + scrollY, grid.width, grid.height].map(Math.round).join());
    };
    const everything = {subtree: true, childList: true, characterData: true};
    new MutationObserver(look).observe(document.querySelector('#story'), everything);
    new PerformanceObserver(list => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) seen.shift += entry.value;
    }).observe({type: 'layout-shift'});
}
"""
WHAT_WAS_SEEN = "() => ({steps: seen.lengths.size, grids: [...seen.grids], shift: seen.shift})"


def wait_for_reply(page: Page) -> None:
    expect(page.locator(".turn").last).to_have_attribute("data-state", "done", timeout=REPLY_MS)


def ask_for_pieces(page: Page, question: str) -> None:
    """A reply to this may be products alone."""
    page.get_by_label("always").check()
    ask(page, question)
    wait_for_reply(page)


def ask_for_words(page: Page, question: str) -> None:
    page.get_by_label("never").check()
    ask(page, question)
    wait_for_reply(page)


def shown_ids(page: Page) -> list[str]:
    return page.locator(".turn").last.locator(".plate").evaluate_all("plates => plates.map(plate => plate.dataset.id)")


@pytest.mark.parametrize("screen", **SCREENS)
def test_a_wish_brings_products_that_can_be_followed_and_text_streams(served_url: str, open_page: OpenPage, screen):
    watched = open_page(served_url, **screen)
    page = watched.page
    page.evaluate(WATCH_THE_REPLY)
    ask_for_pieces(page, "Show me something to wear on my head.")
    seen = page.evaluate(WHAT_WAS_SEEN)
    assert len(seen["grids"]) == 1, "the grid moved while the reply was written"
    assert seen["shift"] < 0.01
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for plate in page.locator(".plate").all():
        plate.scroll_into_view_if_needed()
        expect(plate.locator(".plate-picture")).to_have_class("plate-picture is-shown")
        assert plate.locator("img").evaluate("image => image.naturalWidth") > 0
    link = page.locator(".plate a").first
    address = link.get_attribute("href")
    assert address.startswith("https://openmoji.org/library/emoji-")
    with page.context.expect_page() as opened:
        link.click()
    opened.value.wait_for_load_state()
    assert watched.outside == [address]
    watched.outside.clear()
    page.evaluate(WATCH_THE_REPLY)
    ask_for_words(page, "How do I look after wool?")
    assert page.evaluate(WHAT_WAS_SEEN)["steps"] > 3, "the text came at once, not as a stream"


@pytest.mark.parametrize("screen", **SCREENS)
def test_a_picture_can_be_asked_about(served_url: str, open_page: OpenPage, screen):
    page = open_page(served_url, **screen).page
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add a picture").click()
    hat = picture_bytes("JPEG", size=(1600, 1200))
    chooser.value.set_files({"name": "hat.jpg", "mimeType": "image/jpeg", "buffer": hat})
    expect(page.get_by_alt_text("To send: hat.jpg")).to_be_visible()
    ask_for_pieces(page, "What goes with this?")
    expect(page.get_by_alt_text("Picture that you sent: hat.jpg")).to_be_visible()
    assert len(shown_ids(page)) == 5
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_who_asks_for_another_is_shown_other_products(served_url: str, open_page: OpenPage):
    page = open_page(served_url).page
    ask_for_pieces(page, "A warm coat")
    first = shown_ids(page)
    ask_for_pieces(page, "Another warm coat")
    assert len(set(first + shown_ids(page))) == 10


def test_everything_can_be_done_by_keyboard(served_url: str, open_page: OpenPage):
    watched = open_page(served_url, reduced_motion="reduce")
    page = watched.page
    expect(page.get_by_label(QUESTION)).to_be_focused()
    for key in ("Tab", "Tab", "ArrowRight"):
        page.keyboard.press(key)
    expect(page.get_by_label("always")).to_be_checked()
    for key in ("Shift+Tab", "Shift+Tab"):
        page.keyboard.press(key)
    page.keyboard.type("Shoes to dance in")
    page.keyboard.press("Enter")
    wait_for_reply(page)
    expect(page.get_by_label(QUESTION)).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("button", name="Add a picture")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("button", name="Another answer")).to_be_focused()
    if page.get_by_role("button", name="Copy").count():
        page.keyboard.press("Shift+Tab")
    for act in ("hide", "like"):
        page.keyboard.press("Shift+Tab")
        expect(page.locator(f".plate [data-act={act}]").last).to_be_focused()
    page.keyboard.press("Shift+Tab")
    link = page.locator(".plate a").last
    expect(link).to_be_focused()
    assert link.evaluate("link => getComputedStyle(link).outlineStyle") == "solid"
    line = page.locator(".composer").bounding_box()
    assert link.bounding_box()["y"] < line["y"], "the focused link is hidden under the line for questions"
    with page.context.expect_page() as opened:
        page.keyboard.press("Enter")
    opened.value.wait_for_load_state()
    assert watched.outside == [link.get_attribute("href")]
    watched.outside.clear()


def test_a_starter_is_asked_as_it_reads(served_url: str, open_page: OpenPage):
    page = open_page(served_url).page
    page.get_by_label("never").check()
    starter = page.locator("#starters button").first
    words = starter.text_content().strip()
    starter.click()
    expect(page.get_by_role("heading", name=words)).to_be_visible()
    wait_for_reply(page)
    expect(page.locator(".prose").filter(has_text=" ").first).to_be_visible()


def test_a_long_reply_can_be_stopped(served_url: str, open_page: OpenPage):
    """The model's greedy reply to this goes on for as long as it may: for some seconds on the fastest machine."""
    page = open_page(served_url).page

    def ask_for_more(route: Route) -> None:
        route.continue_(post_data=json.dumps(route.request.post_data_json | {"max_tokens": 600}))

    page.route("**/v1/chat/completions", ask_for_more)
    page.get_by_label("never").check()
    ask(page, "List fifty reasons to wear a hat.")
    expect(page.locator(".prose").filter(has_text=" ").first).to_be_visible(timeout=REPLY_MS)
    page.keyboard.press("Escape")
    expect(page.locator(".turn")).to_have_attribute("data-state", "stopped")
    expect(page.get_by_role("button", name="Ask")).to_be_visible()


def test_the_page_names_the_catalogues_licence_and_its_size(served_url: str, open_page: OpenPage):
    page = open_page(served_url).page
    health = page.request.get(f"{served_url}/healthz").json()
    assert "OpenMoji" in health["attribution"]
    expect(page.get_by_role("contentinfo")).to_have_text(health["attribution"])
    expect(page.locator("#items")).to_contain_text(f"{health['items']:,}")
