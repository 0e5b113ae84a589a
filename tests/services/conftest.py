"""A browser for the tests of the page: a Chromium, held to the page's own promises while a test looks on."""

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Route, expect, sync_playwright

from tests.services.page.steps import DESKTOP, Watched
from tests.services.scripted_chat import ScriptedChat

# By whatever name the machine has it; the first is Debian's.
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 60_000

OpenPage = Callable[..., "Watched"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for each module: Playwright keeps the thread's event loop, which other modules need."""
    executable = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    assert executable, f"the page's tests need one of {', '.join(CHROMIUMS)}. Debian: apt-get install chromium"
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def chat() -> Iterator[ScriptedChat]:
    """A chat that answers by the test's script."""
    with ScriptedChat() as chat:
        yield chat


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens pages that may reach their own host only; at the end, no page may have complained or tried to leave."""
    opened: list[Watched] = []

    def open_at(url: str, **context_options) -> Watched:
        context = browser.new_context(**(DESKTOP | context_options))
        context.set_default_timeout(PATIENCE_MS)
        watched = Watched(context.new_page())
        opened.append(watched)
        _watch(watched, url)
        watched.page.goto(url)
        return watched

    yield open_at
    for watched in opened:
        watched.page.context.close()
    for watched in opened:
        assert watched.complaints == []
        assert watched.outside == []


def _watch(watched: Watched, url: str) -> None:
    def hear(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            watched.complaints.append(message.text)

    def turn_away(route: Route) -> None:
        watched.outside.append(route.request.url)
        route.fulfill(status=200, content_type="text/html", body="<title>A shop</title>")

    watched.page.on("console", hear)
    watched.page.on("pageerror", lambda error: watched.complaints.append(str(error)))
    context = watched.page.context
    context.route(lambda asked: asked.startswith("http") and not asked.startswith(url), turn_away)
