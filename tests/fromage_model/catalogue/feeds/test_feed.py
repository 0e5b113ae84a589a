"""A row of any feed means the same."""

from datetime import date

import pytest

from fromage_model.catalogue.feeds.feed import row_from


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


@pytest.mark.parametrize("base", ["/feeds/shop.tsv", "s3://bucket/shop.tsv", "https://shop.example/shop.tsv"])
def test_a_picture_that_stands_in_the_row_itself_is_no_path(base):
    for url in ("data:image/png;base64,iVBORw0KGgo=", " DATA:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'/>"):
        row = row_from(7, {"image": url}, base=base)
        assert (row.image, row.data_url, row.brings_picture, row.problem) == (f"{base}#7", url.strip(), True, None)
    assert not row_from(7, {"image": "data/a.png"}, base=base).brings_picture


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
