"""How the page looks and reads: English and Korean, light and dark, within the rules of access, and light to load."""

import re
import threading

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.services.conftest import OpenPage
from tests.services.page.steps import SCREENS, five
from tests.services.scripted_chat import WEB, picture_bytes, product

EVERY_RULE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
MOST_BYTES = 60_000
HAT = {"name": "hat.png", "mimeType": "image/png", "buffer": picture_bytes()}
# All that is read or told: text, and what screen readers and tooltips say.
EVERY_WORD = """() => [document.title, ...[...document.querySelectorAll('body, body *:not(noscript)')].flatMap(node => [
    ...['aria-label', 'alt', 'title', 'placeholder'].map(name => node.getAttribute(name)),
    ...[...node.childNodes].filter(child => child.nodeType === 3).map(child => child.textContent.trim())
])].filter(Boolean)"""
NAMES_OF_THINGS = {"FROMAGE", "Fromage", "OpenMoji", "hat", "png", "coat", "English", "F", "R", "O", "M", "A", "G", "E"}


def test_the_page_is_light():
    assert sum(file.stat().st_size for file in WEB.rglob("*")) < MOST_BYTES


def latin_words(page: Page) -> set[str]:
    return set(re.findall(r"[A-Za-z]+", " ".join(page.evaluate(EVERY_WORD)))) - NAMES_OF_THINGS


def test_a_korean_reader_finds_every_word_in_korean_and_can_switch(chat, open_page: OpenPage):
    watched = open_page(chat.url, locale="ko-KR", timezone_id="Asia/Seoul")
    page = watched.page
    expect(page.locator("#items")).to_have_text("이번 호의 제품 2,186점")
    expect(page.locator("#date")).to_have_text(re.compile(r"^\d+월 \d+일 .요일$"))
    page.locator("#picture").set_input_files(HAT)
    page.get_by_alt_text("보낼 사진: hat.png").wait_for()
    assert latin_words(page) == set()
    page.get_by_label("무엇을 찾으세요?").press("Enter")
    expect(page.locator(".turn")).to_have_attribute("data-state", "done")
    chat.script, chat.finish_reason = (
        ["코트요: ", [product("coat", offset=5), product("coat", offset=5, caption="")]],
        "length",
    )
    page.get_by_role("button", name="다른 답변 보기").click()
    expect(page.get_by_text("답변이 길이 제한에 이르러 여기서 끝났습니다.")).to_be_visible()
    assert latin_words(page) == set()
    chat.script, chat.finish_reason = [{"error": {"message": "Too late.", "code": "timeout"}}], None
    page.get_by_label("무엇을 찾으세요?").fill("양말")
    page.keyboard.press("Enter")
    expect(page.locator(".erratum")).to_contain_text("제시간에 답변을 마치지 못했습니다.")
    assert latin_words(page) == set()
    assert page.locator("html").get_attribute("lang") == "ko"
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("button", name="한국어")).to_be_focused()
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.get_by_role("button", name="한국어").get_attribute("lang") == "ko"
    expect(page.locator(".erratum")).to_contain_text("Too late.")
    expect(page.locator("#items")).to_have_text("2,186 pieces in this issue")
    said = " ".join(page.evaluate(EVERY_WORD))
    assert set(re.findall(r"[가-힣]+", said)) == {"한국어", "코트요", "양말"} | {"이름", "없는", "제품"}
    page.reload()
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    assert page.locator("html").get_attribute("lang") == "en"


def test_the_theme_follows_the_system_until_the_reader_switches(chat, open_page: OpenPage):
    page = open_page(chat.url, color_scheme="dark").page
    root, switch = page.locator("html"), page.get_by_role("button", name="Dark theme")
    paper = "getComputedStyle(document.body).backgroundColor"
    expect(switch).to_have_attribute("aria-pressed", "true")
    dark = page.evaluate(paper)
    page.emulate_media(color_scheme="light")
    expect(root).to_have_attribute("data-theme", "light")
    assert page.evaluate(paper) != dark
    switch.press("Enter")
    expect(switch).to_have_attribute("aria-pressed", "true")
    page.reload()
    expect(root).to_have_attribute("data-theme", "dark")
    assert page.evaluate(paper) == dark
    switch.click()
    expect(root).to_have_attribute("data-theme", "light")
    page.emulate_media(color_scheme="dark")
    expect(root).to_have_attribute("data-theme", "dark")


@pytest.mark.parametrize("locale", ["en", "ko"])
@pytest.mark.parametrize("screen", **SCREENS)
def test_every_state_of_the_page_passes_the_accessibility_rules(chat, open_page: OpenPage, locale: str, screen):
    watched = open_page(chat.url, locale=locale, reduced_motion="reduce", **screen)
    page = watched.page
    chat.health["attribution"] = "Pictures: OpenMoji, CC BY-SA 4.0"

    def violations() -> list[str]:
        """Of both themes."""
        found = []
        for _ in range(2):
            page.locator("#theme").click()
            found += Axe().run(page, options=EVERY_RULE).response["violations"]
        return [f"{broken['id']}: {broken['nodes'][0]['html']}" for broken in found]

    page.locator("#picture").set_input_files(HAT)
    page.locator("#attachments img").wait_for()
    assert violations() == []
    go_on = threading.Event()
    chat.script = ["1. Layers", five(9), go_on]
    page.locator("#question").fill("Something warm")
    page.keyboard.press("Enter")
    page.locator(".plate").last.wait_for()
    assert violations() == []
    go_on.set()
    page.locator(".actions").wait_for()
    assert violations() == []
    chat.script, chat.finish_reason = [{"error": {"message": "The language model went away."}}], None
    page.locator("#question").fill("And shoes?")
    page.keyboard.press("Enter")
    page.locator(".erratum").wait_for()
    assert violations() == []
    chat.keys = {"secret"}
    page.locator(".erratum button").click()
    page.locator(".key").wait_for()
    assert violations() == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    watched.complaints.clear()
