"""A shelf finds products by their embedding and hands out their pictures, and nothing else."""

import hashlib
import io
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pillow_heif
import pyarrow as pa
import pytest
from PIL import Image

from fromage_model.catalogue import SCHEMA, Catalogue
from fromage_model.catalogue.table import write_catalogue
from fromage_model.index import RetrievalIndex
from fromage_model.storage.artefacts import writing
from services.deployments.retrieval import ProductShelf
from services.errors import NotFound
from services.products import Narrowing

COLOURS = ("red", "green", "blue")
ATTRIBUTES = {"red": {"price": "1,290.00 USD"}, "green": {"price": "129000", "currency": "KRW"}, "blue": {"size": "M"}}
LINKS = {"red": "https://shop.example/red", "green": "javascript:alert(1)", "blue": "http://[shop].example/blue"}


def picture(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(file, "PNG")
    return file.getvalue()


def row(colour: str) -> dict:
    sha = hashlib.sha256(picture(colour)).hexdigest()
    fixed = {"source": "test", "group": colour, "split": "train", "updated_at": datetime(2026, 1, 1, tzinfo=UTC)}
    return fixed | {
        "id": colour,
        "image": f"images/{colour}.png",
        "image_sha256": sha,
        "caption": f"a {colour} square",
        "item_url": LINKS[colour],
        "brand": "Ada" if colour == "red" else None,
        "attributes": list(ATTRIBUTES[colour].items()),
    }


@pytest.fixture
def shelf(tmp_path: Path) -> ProductShelf:
    """Three items; the picture of the blue one is missing, that of the green one is a text."""
    table = pa.Table.from_pylist([row(colour) for colour in COLOURS], schema=SCHEMA)
    with writing(tmp_path / "colours") as folder:
        (folder / "images").mkdir()
        (folder / "images" / "red.png").write_bytes(picture("red"))
        (folder / "images" / "green.png").write_text("no picture")
        write_catalogue(folder, table=table, failures=[], info={"name": "colours", "attribution": "Painted here"})
    index = RetrievalIndex.build(np.eye(3, dtype=np.float32), table, fingerprint="abc", catalogue="colours")
    return ProductShelf(index, Catalogue.open(tmp_path / "colours"))


def test_nearest_products_come_first_with_their_score(shelf: ProductShelf):
    products = shelf.search(np.array([0.6, 0.8, 0.0], dtype=np.float32), top_k=2).products
    assert [(product.id, product.caption, product.score) for product in products] == [
        ("green", "a green square", 0.8),
        ("red", "a red square", 0.6),
    ]
    assert products[1].image_url == "/v1/items/red/image"


def test_products_tell_their_brand_and_price_as_the_catalogue_writes_them(shelf: ProductShelf):
    products = shelf.search(np.array([0.8, 0.6, 0.0], dtype=np.float32), top_k=3).products
    told = [(product.id, product.brand, product.price) for product in products]
    assert told == [("red", "Ada", "1,290.00 USD"), ("green", None, "129000 KRW"), ("blue", None, None)]


def test_shelf_names_whom_its_licence_wants_named(shelf: ProductShelf):
    assert (shelf.describe().items, shelf.describe().attribution) == (3, "Painted here")


def test_excluded_products_make_room_for_others(shelf: ProductShelf):
    products = shelf.search(
        np.array([0.6, 0.8, 0.0], dtype=np.float32), top_k=2, narrowing=Narrowing(exclude=frozenset({"green"}))
    ).products
    assert [product.id for product in products] == ["red", "blue"]


def test_products_that_were_shown_come_after_others_unless_they_fit_clearly_better(shelf: ProductShelf):
    def nearest(*query: float, shown: str) -> list[str]:
        narrowing = Narrowing(shown=frozenset({shown}))
        found = shelf.search(np.array(query, dtype=np.float32), top_k=3, narrowing=narrowing)
        return [product.id for product in found.products]

    assert nearest(0.6, 0.8, 0.0, shown="green") == ["red", "green", "blue"]
    assert nearest(0.0, 1.0, 0.0, shown="green")[0] == "green"


def test_only_web_links_reach_a_page(shelf: ProductShelf):
    links = {product.id: product.item_url for product in shelf.search(np.ones(3, dtype=np.float32), top_k=3).products}
    assert links == {"red": "https://shop.example/red", "green": None, "blue": None}


def test_picture_comes_as_the_feed_gave_it(shelf: ProductShelf):
    image = shelf.image("red")
    assert (image.data, image.media_type) == (picture("red"), "image/png")
    assert image.sha256 == hashlib.sha256(image.data).hexdigest()


@pytest.mark.parametrize("file_format", ["TIFF", "HEIF"])
def test_a_picture_that_browsers_do_not_show_comes_as_a_jpeg(shelf: ProductShelf, file_format: str):
    pillow_heif.register_heif_opener()
    Image.new("RGB", (8, 8), "red").save(shelf.catalogue.folder / "images" / "red.png", file_format)
    image = shelf.image("red")
    assert (image.media_type, Image.open(io.BytesIO(image.data)).format) == ("image/jpeg", "JPEG")


@pytest.mark.parametrize("id", ["blue", "green", "nobody", "../catalogue.json"])
def test_what_has_no_picture_is_not_found(shelf: ProductShelf, id: str):
    with pytest.raises(NotFound):
        shelf.image(id)
