"""An item's own page in a browser: within the rules of access at any width, and opened from the cards of the chat."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from fromage_model.prompts.messages import Finished, Retrieval
from services.http.access.options import AccessOptions
from tests.services.conftest import OpenPage
from tests.services.http.colours import ColourLlm, client_over, drawn, open_shelf, unit
from tests.services.http.test_item_pages import KEY, KEYS, ODD_PATHS
from tests.services.page.steps import DESKTOP, PHONE, ask
from tests.services.page.test_looks import EVERY_RULE

SHOWS_LIME = (Retrieval(unit("lime"), 0), Finished("stop", 3, 1))
Serve = Callable[[AccessOptions], str]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Serves a shop of four colours, each with its picture, on a free loopback port."""
    shelf = open_shelf(tmp_path)
    (tmp_path / "colours" / "images" / "blue.png").write_bytes(drawn("blue"))
    with ExitStack() as running:
        yield lambda access: running.enter_context(
            _served(client_over(shelf, ColourLlm(SHOWS_LIME), access=access).app)
        )


@contextmanager
def _served(app: object) -> Iterator[str]:
    """The address waits for its server from the first moment on: a browser that comes early is answered a bit later."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))  # type: ignore[arg-type]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [door]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{door.getsockname()[1]}"
        server.should_exit = True
        thread.join()


def wrong_with(page: Page) -> list[str]:
    """In both themes: rules of access that are broken, pictures that are not shown, and what is too wide."""
    found = []
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        broken = Axe().run(page, options=EVERY_RULE).response["violations"]
        found += [f"{theme}, {one['id']}: {one['nodes'][0]['html']}" for one in broken]
    for image in page.locator("img").all():
        image.scroll_into_view_if_needed()
        expect(image).to_have_js_property("complete", True)
        found += [] if image.evaluate("image => image.naturalWidth") else [str(image.get_attribute("src"))]
    return found + ([] if page.evaluate("document.documentElement.scrollWidth <= innerWidth") else ["too wide"])


@pytest.mark.parametrize(("screen", "locale"), [(DESKTOP, "en"), (PHONE, "ko")], ids=["desktop", "phone"])
def test_an_items_page_passes_the_accessibility_rules_without_a_script(
    serve, open_page: OpenPage, screen: dict, locale: str
):
    url = serve(AccessOptions())
    watched = open_page(url, locale=locale, **screen)
    page = watched.page
    page.goto(f"{url}/items/red")
    assert wrong_with(page) == []
    assert page.locator(".plate").count() == 3
    page.goto(url + ODD_PATHS[1])
    assert wrong_with(page) == []
    page.locator(".plate a").last.click()
    expect(page.locator("h1")).to_have_text("a blue square")
    assert page.url == f"{url}/items/blue"
    assert watched.complaints == []
    page.goto(f"{url}/items/grey")
    assert wrong_with(page) == []
    page.locator(".masthead a").first.click()
    expect(page.locator("#question")).to_be_visible()
    assert len(watched.complaints) == 1
    watched.complaints.clear()


@pytest.mark.parametrize("access", [AccessOptions(), KEYS], ids=["open", "by key"])
def test_a_card_without_a_shop_opens_the_items_own_page(serve, open_page: OpenPage, access: AccessOptions):
    url = serve(access)
    watched = open_page(url)
    page = watched.page
    ask(page, "Something lime")
    if access.by_key:
        page.locator("#key").fill(KEY)
        page.locator("#key").press("Enter")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="a lime square").click()
    expect(opened.value.locator("h1")).to_have_text("a lime square")
    assert opened.value.url == f"{url}{f'/k/{KEY}' if access.by_key else ''}/items/green"
    assert wrong_with(opened.value) == []
    assert opened.value.evaluate("[opener, document.referrer]") == [None, ""]
    watched.complaints.clear()
