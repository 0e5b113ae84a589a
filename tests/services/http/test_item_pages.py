"""Every item has a page of its own, whatever its id and its words hold, that a browser shows without a script."""

import re
from html.parser import HTMLParser
from urllib.parse import quote, urljoin

import pytest
from fastapi.testclient import TestClient

from services.deployments.retrieval import ProductShelf
from services.http.access.keys import StoredKey, digest_of
from services.http.access.options import AccessOptions
from services.http.item_page import ShownItem, item_page, language_of
from services.products import ItemCard
from tests.services.http.colours import ODD_ID, client_over

KEY = "fk-shop"
KEYS = AccessOptions(keys=StoredKey("shop", digest_of(KEY), frozenset({"chat"})).line())
ODD_PATHS = (f"/items/{quote(ODD_ID, safe='')}", f"/items/{quote(ODD_ID)}")
CARD = ItemCard(
    "x", "a coat", None, "Norden", None, "/v1/items/x/image", None, {}, "test", "x", "train", None, None, "2026-01-01"
)


@pytest.fixture
def client(colours: ProductShelf) -> TestClient:
    return client_over(colours)


class Read(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, html: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str, name: str) -> list[str]:
        return [attrs[name] or "" for each, attrs in self.elements if each == tag and name in attrs]

    def meta(self, name: str) -> str | None:
        return next((a["content"] for _, a in self.elements if name in (a.get("name"), a.get("property"))), None)


def shown(attributes: dict[str, str], **fields: str | None) -> str:
    card = ItemCard(
        **{**{name: getattr(CARD, name) for name in CARD.__match_args__}, "attributes": attributes, **fields}
    )
    return item_page(card, [], lang="en", root="../", host="https://chat.example", attribution=None)


def test_a_page_tells_what_the_catalogue_says_and_shows_more_like_it(client: TestClient):
    answer = client.get("/items/red")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    page = Read(answer.text)
    for told in ("a red square", "Ada", "19.90 EUR", "new", "true", "More like this"):
        assert told in page.text
    assert "https://shop.example/red" in page.all("a", "href")
    others = [link for link in page.all("a", "href") if "/items/" in link]
    assert [urljoin("/items/red", link) for link in others] == [ODD_PATHS[0], "/items/green", "/items/blue"]


@pytest.mark.parametrize("path", ["/items/red", *ODD_PATHS])
@pytest.mark.parametrize("before", ["", f"/k/{KEY}"])
def test_whatever_a_page_refers_to_is_there_by_the_same_key(colours: ProductShelf, path: str, before: str):
    client = client_over(colours, access=KEYS if before else AccessOptions(without_keys=True))
    answer = client.get(before + path)
    assert answer.status_code == 200
    page = Read(answer.text)
    found = [*page.all("a", "href"), *page.all("link", "href"), *page.all("img", "src")]
    own = [urljoin(before + path, link) for link in found if "//" not in link]
    assert len(own) > 10
    missing = {link for link in own if client.get(link).status_code != 200}
    assert missing == {f"{before}/v1/items/blue/image?width=512"}
    assert all(link.startswith(f"{before}/") for link in own)
    assert KEY not in answer.text


def test_pages_belong_to_what_a_key_protects(colours: ProductShelf):
    client = client_over(colours, access=KEYS)
    for path in ("/items/red", "/items/nothing", "/k/fk-wrong/items/red"):
        assert (client.get(path).status_code, client.get(path).json()["error"]["code"]) == (401, "invalid_api_key")
    assert client.get("/items/red", headers={"authorization": f"Bearer {KEY}"}).status_code == 200


@pytest.mark.parametrize("path", ["/items/grey", "/items/", "/items/%00%ff", "/items/a%2Fb/../c", "/items/red/image"])
def test_an_unknown_item_is_a_page_for_people_and_an_error_object_for_clients(client: TestClient, path: str):
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "no such piece" in answer.text
    assert client.get("/v1/items/grey").json()["error"]["code"] == "not_found"


def test_what_a_catalogue_holds_is_text_and_no_markup():
    nasty = '"><script>alert(1)</script>{{ 7 * 7 }}'
    page = shown({"price": nasty, "description": nasty, nasty: nasty}, caption=nasty, brand=nasty)
    assert "<script" not in page
    assert "49" not in page
    assert Read(page).meta("og:title") == nasty


def test_a_page_needs_no_script_and_nothing_that_the_policy_forbids(client: TestClient):
    answer = client.get("/items/red")
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    page = Read(answer.text)
    assert {"script", "style", "iframe", "form"}.isdisjoint(tag for tag, _ in page.elements)
    assert not any(name == "style" or name.startswith("on") for _, attrs in page.elements for name in attrs)


def test_a_price_stands_with_its_currency_and_for_machines_where_it_is_an_amount():
    page = Read(shown({"price": "49.50", "currency": "EUR", "description": "Warm.\n" * 90, "empty": " "}))
    assert "49.50 EUR" in page.text
    assert (page.meta("product:price:amount"), page.meta("product:price:currency")) == ("49.50", "EUR")
    assert len(page.meta("description") or "") <= 160
    assert page.meta("og:image") == "https://chat.example/v1/items/x/image?width=1024"
    assert "empty" not in page.text
    odd = Read(shown({"price": "from 5 €"}))
    assert "from 5 €" in odd.text
    assert odd.meta("product:price:amount") is None


def test_an_item_without_a_name_has_a_page():
    assert "Unnamed piece" in shown({}, caption=None, brand=None)
    assert ShownItem.of(CARD, lang="ko").summary == "a coat, Norden"


def test_the_page_speaks_the_readers_language(client: TestClient):
    for path, words in (("/items/red", "비슷한 제품"), ("/items/grey", "찾으시는 제품이 없습니다")):
        answer = client.get(path, headers={"accept-language": "ko-KR,ko;q=0.9,en;q=0.8"})
        assert answer.headers["vary"] == "Accept-Language"
        assert re.search(r'<html lang="ko">', answer.text)
        assert words in answer.text


@pytest.mark.parametrize(
    ("accepted", "lang"),
    [
        ("", "en"),
        ("de", "en"),
        ("de,ko;q=0.5,en;q=0.4", "ko"),
        ("en;q=0.1, KO", "ko"),
        ("ko;q=0", "en"),
        ("ko;q=x", "en"),
    ],
)
def test_the_language_is_the_one_that_the_browser_likes_best(accepted: str, lang: str):
    assert language_of(accepted) == lang


def test_products_name_their_own_page(client: TestClient):
    for id, link in (("red", "/items/red"), (ODD_ID, ODD_PATHS[0])):
        assert client.get(f"/v1/items/{quote(id, safe='')}").json()["page_url"] == link
