"""Steps that the tests of the page share: asking, waiting for the reply, reading the page from top to bottom."""

from dataclasses import dataclass, field

from playwright.sync_api import Page, ViewportSize, expect

from tests.services.scripted_chat import product

DESKTOP = {"viewport": ViewportSize(width=1280, height=800)}
PHONE = {"viewport": ViewportSize(width=390, height=844), "is_mobile": True, "has_touch": True}
NAMES = ("scarf", "coat", "gloves", "socks", "boots")
SCREENS = {"argvalues": [DESKTOP, PHONE], "ids": ["desktop", "phone"]}


def five(offset: int) -> list[dict]:
    return [product(name, offset=offset) for name in NAMES]


@dataclass
class Watched:
    """A page, what its console complained of, and the addresses outside its own host that it asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)


def ask(page: Page, question: str) -> None:
    page.get_by_label("What are you looking for?").fill(question)
    page.keyboard.press("Enter")


def ask_and_wait(page: Page, question: str) -> None:
    turns = page.locator(".turn").count()
    ask(page, question)
    expect(page.locator(".turn").nth(turns)).to_have_attribute("data-state", "done")


def order_of_article(page: Page) -> list[str]:
    """The latest article from top to bottom: its text, or `plates: names`."""
    return page.locator(".turn").last.evaluate(
        """turn => [...turn.querySelectorAll('.article > :not(.actions)')].map(part => part.matches('.plates')
             ? 'plates: ' + [...part.querySelectorAll('.plate-name')].map(name => name.textContent).join(', ')
             : part.textContent).filter(Boolean)"""
    )
