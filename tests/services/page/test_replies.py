"""What the page makes of whatever a chat can send, against a peer whose every pause is under control."""

import threading
from itertools import pairwise

import pytest
from playwright.sync_api import expect

from tests.services.conftest import OpenPage
from tests.services.page.steps import SCREENS, ask, ask_and_wait, five, order_of_article
from tests.services.scripted_chat import product


def test_text_from_people_and_models_is_never_read_as_html(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    hostile = "<img src=x onerror=alert(1)><b>bold</b> &amp; [RET]"
    chat.script = [hostile, [product("coat", offset=len(hostile), caption=hostile)]]
    ask_and_wait(page, hostile)
    assert page.locator(".quote h2").text_content() == hostile
    assert page.locator(".prose").first.text_content() == hostile
    assert page.locator(".plate-name").text_content() == hostile
    assert page.locator(".story b, .story img[src='x']").count() == 0


def test_paragraphs_lists_and_bold_words_are_set_as_such(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    chat.script = [
        "Pack *",
        "*light**:\n\n1.",
        " A hat\n\n2. Two **linen** shirts\nand a belt\n\n- soap\n* salt\n",
        "\nGo.",
    ]
    ask_and_wait(page, "What do I pack?")
    assert page.locator(".article strong").all_text_contents() == ["light", "linen"]
    assert page.locator(".article ol > li").all_text_contents() == ["A hat", "Two linen shirts and a belt"]
    assert page.locator(".article ul:not(.plates) > li").all_text_contents() == ["soap", "salt"]
    assert page.locator(".article p").all_text_contents() == ["Pack light:", "Go."]


def test_products_part_the_text_at_their_offset_counted_in_whole_characters(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    chat.script = ["👗👠 Try these", " or ask.", [product("dress", offset=12), product("shoe", offset=12)], " Bye."]
    ask_and_wait(page, "A dress")
    assert order_of_article(page) == ["👗👠 Try these", "plates: dress, shoe", "or ask. Bye."]


def test_products_at_offset_zero_stand_before_the_text(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    chat.script = [five(0), "Layers, ", "first of all."]
    ask_and_wait(page, "Something warm")
    assert order_of_article(page) == ["plates: scarf, coat, gloves, socks, boots", "Layers, first of all."]


def test_every_request_for_products_gets_its_own_grid(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    chat.script = ["Hats.", [product("hat", offset=5)], "Bags.", [product("bag", offset=10)]]
    ask_and_wait(page, "Both")
    assert order_of_article(page) == ["Hats.", "plates: hat", "Bags.", "plates: bag"]


@pytest.mark.parametrize("screen", **SCREENS)
@pytest.mark.parametrize("count", [1, 4, 5])
def test_grid_stays_where_it_is_while_pictures_load_and_text_streams(chat, open_page: OpenPage, screen, count: int):
    page = open_page(chat.url, reduced_motion="reduce", **screen).page
    go_on = threading.Event()
    shown = [product(f"piece-{number}", offset=5) for number in range(count)]
    chat.script = ["Here:", shown, go_on, *(f" word{number}" for number in range(80)), "\n\n1. One\n2. Two"]
    ask(page, "Something warm")
    page.locator(".plate").nth(count - 1).wait_for()
    boxes = "nodes => nodes.map(node => JSON.stringify(node.getBoundingClientRect()))"
    before = page.locator(".plates, .plate, .plate-picture").evaluate_all(boxes)
    go_on.set()
    expect(page.locator(".turn")).to_have_attribute("data-state", "done")
    expect(page.locator(".plate-picture.is-shown").first).to_be_attached()
    assert page.locator(".plates, .plate, .plate-picture").evaluate_all(boxes) == before


def test_a_new_question_stands_at_the_top_of_the_page_and_stays_there(chat, open_page: OpenPage):
    page = open_page(chat.url, reduced_motion="reduce").page
    chat.script = [five(0), "Layers."]
    ask_and_wait(page, "First")
    ask_and_wait(page, "Second")
    bar = page.locator(".masthead").bounding_box()
    turn = page.locator(".turn").last.bounding_box()
    assert turn["y"] == pytest.approx(bar["y"] + bar["height"], abs=2)


def test_a_picture_that_is_lost_leaves_its_box(chat, open_page: OpenPage):
    watched = open_page(chat.url)
    chat.script = [[product("lost", offset=0), product("coat", offset=0)]]
    ask_and_wait(watched.page, "A coat")
    lost, found = watched.page.locator(".plate-picture").all()
    expect(lost).to_have_text("No picture")
    assert lost.bounding_box()["height"] == found.bounding_box()["height"]
    assert any("404" in complaint for complaint in watched.complaints)
    watched.complaints.clear()


def test_a_link_opens_the_shop_in_a_tab_of_its_own(chat, open_page: OpenPage):
    watched = open_page(chat.url)
    page = watched.page
    chat.script = [[product("coat", offset=0)]]
    ask_and_wait(page, "A coat")
    link = page.get_by_role("link", name="coat (opens in a new tab)")
    assert link.get_attribute("rel") == "noopener noreferrer"
    with page.context.expect_page() as opened:
        link.click()
    opened.value.wait_for_load_state()
    assert opened.value.url == "https://shop.example/coat"
    assert opened.value.evaluate("[opener, document.referrer]") == [None, ""]
    assert watched.outside == ["https://shop.example/coat"]
    watched.outside.clear()


@pytest.mark.parametrize("address", [None, "", "javascript:alert(1)", "data:text/html,x", "https://"])
def test_a_product_without_a_web_address_has_no_link(chat, open_page: OpenPage, address):
    page = open_page(chat.url).page
    chat.script = [[product("coat", offset=0, item_url=address)]]
    ask_and_wait(page, "A coat")
    assert page.locator(".plate").count() == 1
    assert page.locator(".plate a").count() == 0
    assert page.get_by_alt_text("Picture of coat").count() == 1


def test_events_are_read_wherever_the_network_cuts_them(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    in_two_lines = 'data: {"choices":\r\ndata: [{"delta": {"content": "Ça va 👗?"}}]}\r\n\r\n'.encode()
    nothing = b': hello\n\nevent: x\rdata:{"choices":[]}\r\r'
    cuts = [in_two_lines.index(place) + 1 for place in (b"\r\ndata", "Ç".encode(), "👗".encode(), b"\r\n\r\n")]
    pieces = [in_two_lines[start:end] for start, end in pairwise([0, *cuts, len(in_two_lines)])]
    chat.script = [nothing, *(step for piece in pieces for step in (piece, 0.1)), nothing, in_two_lines]
    ask_and_wait(page, "Hello")
    assert order_of_article(page) == ["Ça va 👗?Ça va 👗?"]


def test_a_refusal_says_why_and_the_question_can_be_asked_again(chat, open_page: OpenPage):
    watched = open_page(chat.url)
    page = watched.page
    chat.refusal = (503, b'{"error": {"message": "All seats are taken; try again in 5 s."}}')
    ask(page, "A coat")
    expect(page.get_by_role("alert").filter(has_text="All seats are taken; try again in 5 s.")).to_be_visible()
    chat.refusal = None
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".turn")).to_have_attribute("data-state", "done")
    assert order_of_article(page) == ["Good day."]
    assert chat.requests[0] == chat.requests[1]
    assert all("503" in complaint for complaint in watched.complaints)
    watched.complaints.clear()


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        ({"error": {"message": "The language model went away."}}, "The language model went away."),
        (b"data: {not json\n\n", "came in a form that this page"),
        (b"", "The connection ended before the reply did."),
    ],
    ids=["error event", "no JSON", "cut off"],
)
def test_a_reply_that_breaks_keeps_its_text_and_offers_another_try(chat, open_page: OpenPage, ending, words: str):
    page = open_page(chat.url).page
    chat.script, chat.finish_reason = ["A light dress", ending], None
    ask(page, "A wedding")
    expect(page.locator(".erratum")).to_contain_text(words)
    expect(page.locator(".prose")).to_have_text("A light dress")
    chat.script, chat.finish_reason = ["A linen suit."], "stop"
    ask_and_wait(page, "Something else")
    assert page.get_by_role("button", name="Try again").count() == 0
    assert [message["content"] for message in chat.requests[-1]["messages"]] == ["Something else"]


def test_a_reply_cut_at_its_length_says_so(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    chat.finish_reason = "length"
    ask_and_wait(page, "A coat")
    expect(page.locator(".article .remark")).to_have_text("The reply reached its length limit here.")


def test_the_catalogues_licence_is_named_when_it_asks_for_it(chat, open_page: OpenPage):
    footer = open_page(chat.url).page.get_by_role("contentinfo")
    expect(footer).to_be_hidden()
    chat.health["attribution"] = "Pictures: OpenMoji, CC BY-SA 4.0"
    page = open_page(chat.url).page
    expect(page.get_by_role("contentinfo")).to_have_text("Pictures: OpenMoji, CC BY-SA 4.0")
    expect(page.get_by_text("2,186 pieces in this issue")).to_be_visible()


def test_a_finished_reply_is_announced_once_with_its_products(chat, open_page: OpenPage):
    page = open_page(chat.url).page
    chat.script = ["**Warm** things.", five(0)[:2]]
    ask_and_wait(page, "A coat")
    expect(page.get_by_role("status")).to_have_text("Warm things. 2 pieces: scarf, coat.")


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_is_wider_than_the_screen(chat, open_page: OpenPage, width: int):
    page = open_page(chat.url, viewport={"width": width, "height": 800}).page
    widest = "Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"
    assert page.evaluate(widest) <= width
    chat.script = ["Look " + "x" * 300, [product("y" * 200, offset=3), *five(3)], "**" + "z" * 300 + "**"]
    ask_and_wait(page, "w" * 300)
    assert page.evaluate(widest) <= width
    assert all(
        box["x"] + box["width"] <= width for box in map(box_of, page.locator(".plate, .prose, h2:visible").all())
    )


def box_of(locator):
    return locator.bounding_box() or {"x": 0, "width": 0}
