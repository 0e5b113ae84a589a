"""The page as a shop: filters on chips, more like a piece, not this one, and questions to start with."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.services.conftest import OpenPage
from tests.services.page.steps import SCREENS, ask_and_wait
from tests.services.page.test_looks import EVERY_RULE
from tests.services.scripted_chat import narrowed, product

PRICE = "attributes.price"
COAT = product("coat", offset=0, title="Blue coat", price="45.00 EUR", brand="Norden")
HAT = product("hat", offset=0, price="25.00 EUR")


def chips(page: Page) -> list[str]:
    return page.locator("#filters li").evaluate_all("chips => chips.map(chip => chip.firstChild.textContent)")


def shown(page: Page) -> list[str]:
    return page.locator(".turn").last.locator(".plate").evaluate_all("plates => plates.map(plate => plate.dataset.id)")


def wait_for(page: Page, count: int) -> None:
    expect(page.locator(".turn")).to_have_count(count)
    expect(page.locator(".turn").last).to_have_attribute("data-state", "done")


def test_what_narrows_the_pieces_stands_on_chips_in_the_readers_words(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    filters = {
        PRICE: {"gte": 20, "lt": 1500},
        "brand": ["Norden", "Next"],
        "attributes.colour": {"not": ["black"]},
        "attributes.size": "M",
        "section": {"not": ["jewellery"]},
    }
    chat.script = [narrowed([COAT], filters)]
    ask_and_wait(page, "A coat")
    assert chips(page) == ["from 20 EUR under 1,500 EUR", "Norden / Next", "not black", "size M", "not jewellery"]
    page.get_by_role("button", name="한국어").click()
    assert chips(page) == ["20 EUR 이상 1,500 EUR 미만", "Norden / Next", "black 제외", "size M", "jewellery 제외"]
    page.reload()
    expect(page.locator("#filters li")).to_have_count(5)
    page.get_by_role("button", name="새 대화").click()
    expect(page.locator("#filters")).to_be_hidden()


def test_a_chip_taken_away_asks_again_without_it_and_stays_away(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    chat.script = [narrowed([COAT], {"brand": "Norden", PRICE: {"lt": 50}})]
    ask_and_wait(page, "A coat from Norden under 50 euros")
    chat.script = [narrowed([HAT], {PRICE: {"lt": 50}})]
    page.get_by_role("button", name="Remove Norden").press("Enter")
    expect(page.locator("#filters li")).to_have_count(1)
    expect(page.get_by_label("What are you looking for?")).to_be_focused()
    left = {"mode": "always", "parse": False, "filters": {PRICE: {"lt": 50}}, "exclude_ids": []}
    assert chat.requests[-1]["retrieval"] == left
    assert (chips(page), shown(page)) == (["under 50 EUR"], ["hat"])
    chat.script = ["You are welcome."]
    ask_and_wait(page, "Thanks")
    assert chips(page) == ["under 50 EUR"]
    assert chat.requests[-1]["messages"][1]["filters"] == {PRICE: {"lt": 50}}
    page.get_by_role("button", name="Remove under 50 EUR").click()
    expect(page.locator("#filters")).to_be_hidden()
    assert len(chat.requests) == 3
    ask_and_wait(page, "A bag")
    assert chat.requests[-1]["messages"][1]["filters"] == {}


def test_what_no_piece_meets_is_said(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    chat.script = [narrowed([COAT], {}, {PRICE: {"lt": 5}})]
    ask_and_wait(page, "A coat under 5 euros")
    expect(page.locator(".article .remark")).to_have_text("Nothing here is “under 5”, so that was left aside.")


def test_more_like_a_piece_comes_as_a_turn_within_the_filters_and_without_what_was_seen(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    chat.script = [narrowed([COAT, HAT], {PRICE: {"lt": 50}})]
    ask_and_wait(page, "Warm things")
    chat.found = [HAT, product("scarf", offset=0), product("cap", offset=0, caption="")]
    page.get_by_role("button", name="More like this: Blue coat").press("Enter")
    wait_for(page, 2)
    expect(page.get_by_role("heading", name="More like this: Blue coat")).to_be_visible()
    assert chat.searches == [
        {"item_id": "coat", "top_k": 5, "exclude_ids": ["coat", "hat"], "filters": {PRICE: {"lt": 50}}}
    ]
    assert (shown(page), chips(page)) == (["scarf", "cap"], ["under 50"])
    expect(page.get_by_role("button", name="Another answer")).to_have_count(0)
    chat.script = ["In blue?"]
    ask_and_wait(page, "But in blue")
    said = chat.requests[-1]["messages"]
    assert [message["content"] for message in said] == [
        "Warm things",
        "",
        "More like this: Blue coat",
        "",
        "But in blue",
    ]
    assert said[3]["products"] == [{"id": "scarf", "offset": 0}, {"id": "cap", "offset": 0}]
    page.reload()
    wait_for(page, 3)


def test_more_like_a_piece_goes_without_filters_that_leave_nothing(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    chat.script = [narrowed([COAT], {"brand": "Norden"})]
    ask_and_wait(page, "Norden")
    page.get_by_role("button", name="More like this: Blue coat").click()
    wait_for(page, 2)
    assert [search.get("filters") for search in chat.searches] == [{"brand": "Norden"}, None]
    expect(page.get_by_text("Nothing here is “Norden”, so that was left aside.")).to_be_visible()


def test_a_piece_that_is_not_wanted_makes_room_for_another_and_never_comes_again(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    chat.script = ["Try: ", narrowed([COAT | {"offset": 5}, HAT | {"offset": 5}], {PRICE: {"lt": 50}})]
    ask_and_wait(page, "Warm things")
    chat.found = [COAT, HAT, product("scarf", offset=0)]
    page.get_by_role("button", name="Not this: hat").press("Enter")
    expect(page.get_by_role("button", name="Not this: scarf")).to_be_focused()
    expect(page.get_by_role("status")).to_have_text("In its place: scarf")
    assert chat.searches[-1] == {
        "item_id": "coat",
        "top_k": 1,
        "exclude_ids": ["hat", "coat"],
        "filters": {PRICE: {"lt": 50}},
    }
    page.get_by_role("button", name="Not this: scarf").press("Enter")
    expect(page.locator(".plate")).to_have_count(1)
    expect(page.get_by_role("status")).to_have_text("Taken away")
    expect(page.get_by_label("What are you looking for?")).to_be_focused()
    page.reload()
    assert shown(page) == ["coat"]
    ask_and_wait(page, "Others")
    assert chat.requests[-1]["retrieval"]["exclude_ids"] == ["hat", "scarf"]
    assert chat.requests[-1]["messages"][1]["products"] == [{"id": "coat", "offset": 5}]


def test_starters_lead_through_what_this_catalogue_has(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    starters = page.locator("#starters button")
    expect(starters).to_have_count(5)
    expect(starters.nth(1)).to_have_text("What shoes do I need for hiking?")
    chat.health["examples"] = {"price": "70 EUR", "brand": "Norden"}
    page.reload()
    expect(starters.nth(1)).to_have_text("Something warm under 70 EUR")
    expect(starters.nth(2)).to_have_text("What do you have from Norden?")
    page.get_by_role("button", name="한국어").click()
    expect(starters.nth(1)).to_have_text("70 EUR 이하의 따뜻한 옷")
    with page.expect_file_chooser():
        starters.nth(4).click()
    starters.nth(2).click()
    wait_for(page, 1)
    assert chat.requests[-1]["messages"] == [{"role": "user", "content": "Norden 제품을 보여 주세요"}]


@pytest.mark.parametrize("screen", **SCREENS)
def test_chips_and_cards_pass_the_accessibility_rules(chat, open_page: OpenPage, screen):
    page = open_page(chat.url, reduced_motion="reduce", **screen).page
    chat.script = [narrowed([COAT, HAT], {"brand": "Norden", PRICE: {"lt": 50}}, {"attributes.colour": "red"})]
    ask_and_wait(page, "Warm things")
    for _ in range(2):
        page.locator("#theme").click()
        broken = Axe().run(page, options=EVERY_RULE).response["violations"]
        assert [f"{one['id']}: {one['nodes'][0]['html']}" for one in broken] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
