"""An item, whatever its id, is told whole; its picture comes as it is, or smaller, once for each variant."""

import io
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from services.deployments.retrieval import ProductShelf
from services.deployments.thumbnails import Thumbnails
from services.products import Variant
from tests.services.http.colours import ODD_ID, SIDE_PX, client_over, drawn

RED = "/v1/items/red/image"
WEBP = {"accept": "image/avif,image/webp;q=0.9,*/*;q=0.8"}


@pytest.fixture
def client(colours: ProductShelf) -> TestClient:
    return client_over(colours)


def test_an_item_is_told_whatever_its_id_holds(client: TestClient):
    item = client.get(f"/v1/items/{quote(ODD_ID, safe='')}").json()
    assert (item["id"], item["caption"]) == (ODD_ID, "a yellow square")
    picture = client.get(item["image_url"])
    assert picture.content == drawn("yellow")
    assert client.get(f"{item['image_url']}?width=64").headers["content-type"] == "image/jpeg"


def test_links_that_no_browser_should_follow_are_left_out(client: TestClient):
    assert client.get("/v1/items/blue").json()["item_url"] is None


def test_an_unknown_item_is_not_found(client: TestClient):
    for path in ("/v1/items/grey", "/v1/items/grey/image", "/v1/items/%00%ff", "/v1/items/blue/image?width=64"):
        response = client.get(path)
        assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found"), path


def test_a_thumbnail_is_webp_where_that_is_accepted_and_else_jpeg_on_white(client: TestClient):
    jpeg, webp = client.get(f"{RED}?width=60"), client.get(f"{RED}?width=60", headers=WEBP)
    for response, form in ((jpeg, "jpeg"), (webp, "webp")):
        assert response.headers["content-type"] == f"image/{form}"
        assert response.headers["vary"] == "Accept"
        image = Image.open(io.BytesIO(response.content)).convert("RGB")
        assert image.size == (64, 64)
        assert min(image.getpixel((60, 32))) > 250
    assert "vary" not in client.get(RED, headers=WEBP).headers
    for not_named in ("*/*", "image/*", "image/webp;q=0", "image/jpeg"):
        assert client.get(f"{RED}?width=64", headers={"accept": not_named}).headers["content-type"] == "image/jpeg"


def test_a_picture_is_never_enlarged(client: TestClient):
    image = Image.open(io.BytesIO(client.get(f"{RED}?width=2048").content))
    assert image.size == (SIDE_PX, SIDE_PX)


def test_each_variant_has_a_strong_etag_and_is_not_sent_twice(client: TestClient):
    asked = [(RED, {}), (f"{RED}?width=64", {}), (f"{RED}?width=64", WEBP), (f"{RED}?width=128", WEBP)]
    etags = [client.get(path, headers=headers).headers["etag"] for path, headers in asked]
    assert len(set(etags)) == len(etags)
    assert not any(etag.startswith("W/") for etag in etags)
    for (path, headers), etag in zip(asked, etags, strict=True):
        for sent in (etag, f'"other", W/{etag}', "*"):
            again = client.get(path, headers={**headers, "if-none-match": sent})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        assert client.get(path, headers={**headers, "if-none-match": '"other"'}).status_code == 200


@pytest.mark.parametrize("width", ["0", "15", "2049", "-64", "6.4", "wide", "9" * 30, "٦٤", ""])
def test_a_width_out_of_bounds_is_refused(client: TestClient, width: str):
    response = client.get(RED, params={"width": width})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "width")


def test_thumbnails_are_made_once_and_kept_within_bytes():
    reads: list[str] = []

    def get(colour: str, width: int) -> int:
        def read() -> bytes:
            reads.append(colour)
            return drawn(colour)

        return len(thumbnails.get(colour, Variant(width, "jpeg"), read).data)

    thumbnails = Thumbnails(max_bytes=1 << 20)
    first = get("red", 64)
    assert get("red", 64) == first
    assert reads == ["red"]
    thumbnails = Thumbnails(max_bytes=first + 16)
    for colour in ("red", "lime", "red"):
        get(colour, 64)
        assert thumbnails.kept_bytes <= first + 16
    assert reads == ["red", "red", "lime", "red"]
