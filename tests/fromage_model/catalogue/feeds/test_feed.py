"""A folder becomes rows, and a row of any feed means the same."""

import os
from datetime import date

import fsspec
import pytest

from fromage_model.catalogue.feeds.feed import read_folder, row_from
from fromage_model.errors import CatalogueError
from tests.pictures import write_png


def test_a_folder_gives_its_pictures_in_the_order_of_their_paths(tmp_path):
    for name in ("b/2.PNG", "a.jpg", "b/1.webp", ".hidden/3.png", "b/.4.png", "notes.txt"):
        write_png(tmp_path / name)
    found = read_folder(tmp_path)
    assert [os.path.relpath(row.image, tmp_path) for row in found.rows] == ["a.jpg", "b/1.webp", "b/2.PNG"]
    assert [row.row for row in found.rows] == [1, 2, 3]
    assert {(row.caption, row.item_url, row.problem) for row in found.rows} == {(None, None, None)}
    assert found.source == tmp_path.name


def test_the_hash_of_a_folder_changes_with_its_pictures(tmp_path):
    path = write_png(tmp_path / "a.png")
    before = read_folder(tmp_path).sha256
    assert read_folder(tmp_path).sha256 == before
    os.utime(path, ns=(1, 1))
    changed = read_folder(tmp_path).sha256
    write_png(tmp_path / "b.png")
    assert len({before, changed, read_folder(tmp_path).sha256}) == 3


def test_a_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(CatalogueError, match="no pictures"):
        read_folder(tmp_path)


def test_a_file_name_that_is_not_utf8_is_a_bad_row(tmp_path):
    write_png(tmp_path / "good.png")
    with open(os.fsencode(tmp_path) + b"/\xff.png", "wb") as file:
        file.write(b"x")
    assert [row.problem for row in read_folder(tmp_path).rows] == [None, "the file's name is not UTF-8"]


def test_a_folder_of_an_object_store_gives_its_pictures(tmp_path):
    store = fsspec.filesystem("memory")
    store.pipe({"/wardrobe/b/2.PNG": b"x", "/wardrobe/a.jpg": b"y", "/wardrobe/.c/3.png": b"z", "/wardrobe/n.txt": b""})
    found = read_folder("memory://wardrobe")
    assert [row.image for row in found.rows] == ["memory:///wardrobe/a.jpg", "memory:///wardrobe/b/2.PNG"]
    assert found.source == "wardrobe"
    store.pipe({"/wardrobe/a.jpg": b"yy"})
    assert read_folder("memory://wardrobe").sha256 != found.sha256


@pytest.mark.parametrize(
    ("base", "image", "expected"),
    [
        ("/feeds/shop.tsv", "pics/a b.png", "/feeds/pics/a b.png"),
        ("/feeds/shop.tsv", "/pics/a.png", "/pics/a.png"),
        ("/feeds/shop.tsv", "https://shop.example/a.png", "https://shop.example/a.png"),
        ("s3://bucket/feeds/shop.tsv", "pics/a.png", "s3://bucket/feeds/pics/a.png"),
        ("s3://bucket/feeds/shop.tsv", "gs://other/a.png", "gs://other/a.png"),
        ("https://shop.example/feeds/shop.tsv", "../a.png", "https://shop.example/a.png"),
    ],
)
def test_a_picture_is_relative_to_its_feed_wherever_that_lies(base, image, expected):
    assert row_from(1, {"image": image}, base=base).image == expected


@pytest.mark.parametrize("base", ["https://shop.example/feed.tsv", "s3://bucket/feed.tsv", "memory://feeds/feed.tsv"])
@pytest.mark.parametrize("image", ["file:///home/op/private.jpg", "local:///home/op/private.jpg", "FILE:///a.jpg"])
def test_a_feed_from_elsewhere_names_no_local_file(base, image):
    problem = row_from(1, {"image": image}, base=base).problem
    assert problem == f"a feed that does not lie on this machine names a local file: {image}"
    assert row_from(1, {"image": "/home/op/private.jpg"}, base=base).image.startswith(base.partition("feed")[0])
    for local in ("/feeds/shop.tsv", "file:///feeds/shop.tsv"):
        assert row_from(1, {"image": image}, base=local).problem is None


def test_all_captions_of_a_row_are_kept():
    row = row_from(1, {"image": "a.png", "caption": ["A hat", "", "0", "Ein Hut", "A hat"]}, base="/f")
    assert (row.caption, row.captions) == ("A hat", ("A hat", "Ein Hut"))
    alone = row_from(1, {"image": "a.png", "caption": ["A hat"]}, base="/f")
    assert (alone.caption, alone.captions, alone.attributes) == ("A hat", (), {})


@pytest.mark.parametrize("caption", ["0", "", "  ", None, float("nan"), [], ["0"]])
def test_what_stands_for_no_caption_is_none(caption):
    assert row_from(1, {"image": "a.png", "caption": caption}, base="/f").caption is None


def test_values_of_any_type_become_attributes():
    values = {"n": 3, "x": 0.5, "on": date(2026, 1, 2), "tags": ["a", "ü"], "none": None, "raw": b"bytes", "ok": True}
    row = row_from(1, {"image": "a.png"} | values, base="/f")
    assert row.attributes == {"n": "3", "x": "0.5", "on": "2026-01-02", "tags": '["a", "ü"]', "ok": "True"}
