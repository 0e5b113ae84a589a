"""TSV and CSV files become rows; what can't be read at all is refused by name, what can't be used says why."""

import csv
import gzip
from collections.abc import Callable
from pathlib import Path

import fsspec
import pandas as pd
import pytest

from fromage_model.catalogue.feeds.delimited import read_delimited
from fromage_model.errors import CatalogueError


@pytest.fixture
def feed(tmp_path) -> Callable[[str | bytes], str]:
    def write(text: str | bytes) -> str:
        path = tmp_path / "shop.tsv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


def test_a_tsv_needs_only_the_image_column(feed, tmp_path):
    rows = read_delimited(feed("image\npics/a.png\nhttps://shop.example/b.png\n")).rows
    assert [row.image for row in rows] == [str(tmp_path / "pics/a.png"), "https://shop.example/b.png"]
    assert {(row.caption, row.item_url, row.brand, row.group, row.problem) for row in rows} == {(None,) * 5}


def test_known_columns_are_read_and_others_become_attributes(feed):
    header = "colour\timage\tcaption\titem_url\tbrand\tgroup\tsize\n"
    (row,) = read_delimited(feed(header + "red\ta.png\tA dress\thttps://shop.example/1\tAcme\tdresses\t\n")).rows
    assert (row.caption, row.item_url, row.brand, row.group) == ("A dress", "https://shop.example/1", "Acme", "dresses")
    assert row.attributes == {"colour": "red"}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_byte_order_mark_and_windows_line_ends_are_read(feed, newline, mark):
    text = newline.join(["image\tcaption", "a.png\tKleid für Gäste", ""])
    (row,) = read_delimited(feed(mark + text.encode())).rows
    assert row.caption == "Kleid für Gäste"


def test_quotes_and_odd_separators_stand_for_themselves(feed):
    rows = read_delimited(feed('image\tcaption\na.png\t"Slim" 5" heel\nb.png\t"\nc.png\tone\u2028two\x0bthree\n')).rows
    assert [row.caption for row in rows] == ['"Slim" 5" heel', '"', "one\u2028two\x0bthree"]


def test_short_rows_lack_their_last_fields_and_blank_lines_are_passed_over(feed):
    rows = read_delimited(feed("image\tcaption\na.png\n\n  \t \nb.png\tB\n")).rows
    assert [(row.row, row.caption) for row in rows] == [(1, None), (4, "B")]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("\tA dress", "image field is empty"),
        ("a.png\tA\thttps://a.example\tmore", "4 fields, but the header names 3"),
        ("a.png\tA\tjavascript:alert(1)", "item_url must start with http"),
    ],
)
def test_a_row_that_can_not_be_used_says_why(feed, line, problem):
    (row,) = read_delimited(feed(f"image\tcaption\titem_url\n{line}\n")).rows
    assert problem in row.problem


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("picture\tcaption\na.png\tA\n", "missing column image; found columns: picture, caption"),
        (
            "picture,caption\na.png,A\n",
            "found columns: picture, caption; only a TSV of caption and URL may come without",
        ),
        ("", "missing column image"),
        ('"image,caption\na.png,A\n', "the header can't be read; line 1: a quote opens a field and is never closed"),
        ("<!doctype html>\n<html><body>Log in", "it is an HTML page.*expected a TSV or CSV with a header"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9\n", "a Git LFS pointer.*git lfs pull"),
        ('{"image": "a.png"}\n{"image": "b.png"}\n', "it is JSON; expected a TSV or CSV with a header"),
        (b"PK\x03\x04\x14\0\x06\0", r"a zip file, as \.xlsx"),
        (gzip.compress(b"image\na.png\n"), "packed with gzip; .*unpack it first"),
        ("image\tcaption\timage\na\tb\tc\n", "image stands in the header more than once"),
        ("image\tcaption\n\n", "no rows"),
        (
            "image\tcaption\na.png\tGr\xfcn\n".encode("latin-1"),
            r"not UTF-8: line 2 holds 0xfc, and 1 of 3 lines are like it; save it as UTF-8, or .* --encoding cp1252",
        ),
        ("image\tcaption\na.png\tGr\xfcn\n".encode("utf-16"), r"not UTF-8: line 1 .* --encoding utf-16"),
    ],
)
def test_a_tsv_that_can_not_be_read_is_refused_with_the_reason(feed, text, reason):
    with pytest.raises(CatalogueError, match=reason):
        read_delimited(feed(text))


@pytest.mark.parametrize("separator", [",", ";"])
def test_a_csv_is_read_with_its_quotes_and_line_breaks(feed, separator):
    records = ["image,caption,size", 'a.png,"5"" heel, black",M', 'b.png,"two', 'lines",', 'c.png,plain 5" heel,L']
    rows = read_delimited(feed("\r\n".join(records).replace(",", separator))).rows
    captions = [f'5" heel{separator} black', "two\nlines", 'plain 5" heel']
    assert [(row.row, row.caption) for row in rows] == list(zip((1, 2, 4), captions, strict=True))
    assert [row.attributes.get("size") for row in rows] == ["M", None, "L"]


def test_a_quote_that_is_never_closed_costs_one_row_of_a_csv(feed):
    lines = ["image,caption", 'a.png,"slim fit', *(f"{number}.png,c{number}" for number in range(200))]
    bad, *good = read_delimited(feed("\n".join(lines))).rows
    assert bad.problem == (
        "line 2: a quote opens a field and is never closed; inside a quoted field a quote is written twice"
    )
    assert [row.caption for row in good] == [f"c{number}" for number in range(200)]
    assert [row.row for row in good] == list(range(2, 202))


def test_quotes_that_are_not_doubled_cost_one_row_of_a_csv(feed):
    bad, good = read_delimited(feed('image,caption\na.png,"Slim" 5" heel\nb.png,B\n')).rows
    assert "line 2" in bad.problem
    assert "a quote is written twice" in bad.problem
    assert good.caption == "B"


def test_a_field_of_any_length_is_read(feed):
    picture = f"data:image/png;base64,{'A' * 300_000}"
    for separator in ("\t", ","):
        (row,) = read_delimited(feed(f"image{separator}caption\na.png{separator}{'x' * 200_000}\n")).rows
        assert (row.problem, row.caption) == (None, "x" * 200_000)
        (row,) = read_delimited(feed(f"image{separator}caption\n{picture.replace(',', ';')}{separator}A\n")).rows
        assert row.problem is None


def test_a_carriage_return_in_a_field_is_told_and_one_at_the_end_of_each_line_is_a_line_break(feed):
    bad, good = read_delimited(feed("image,caption\na.png,one\rtwo\nb.png,B\n")).rows
    assert bad.problem == "line 2: a carriage return stands in a field; such a field is quoted"
    assert good.caption == "B"
    rows = read_delimited(feed("image,caption\ra.png,A\rb.png,B\r")).rows
    assert [(row.row, row.caption, row.problem) for row in rows] == [(1, "A", None), (2, "B", None)]


@pytest.mark.parametrize("quoting", [csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
def test_a_tsv_with_all_of_its_header_in_quotes_is_read_by_the_rules_of_a_csv(tmp_path, quoting):
    captions = ["plain", 'a "fit"', "a\ttab", "two\nlines", '"all" of it']
    frame = pd.DataFrame(
        {"image": [f"{place}.png" for place in range(5)], "caption": captions, "price": [1, 2, 3, 4, 5]}
    )
    frame.to_csv(tmp_path / "shop.tsv", sep="\t", index=False, quoting=quoting)
    rows = read_delimited(str(tmp_path / "shop.tsv")).rows
    assert [row.problem for row in rows] == [None] * 5
    assert [row.caption for row in rows] == captions
    assert [row.attributes for row in rows] == [{"price": str(price)} for price in range(1, 6)]
    assert [Path(row.image).name for row in rows] == list(frame["image"])


def test_a_single_column_name_in_quotes_leaves_quotes_in_rows_as_they_stand(feed):
    (row,) = read_delimited(feed('image\t"caption"\na.png\t"Slim" fit\n')).rows
    assert row.caption == '"Slim" fit'


def test_conceptual_captions_in_quotes_are_read_without_a_header_too(feed):
    (row,) = read_delimited(feed('"a ""red"" hat"\t"http://a.example/1.jpg"\n')).rows[:1]
    assert (row.caption, row.image) == ('a "red" hat', "http://a.example/1.jpg")


def test_a_field_that_pandas_quoted_in_a_tsv_is_unquoted(feed):
    (row,) = read_delimited(feed('image\tcaption\na.png\t"5"" heel, ""Slim"""\n')).rows
    assert row.caption == '5" heel, "Slim"'


@pytest.mark.parametrize("columns", [["image", "caption", "size"], ["caption", "image"], ["image", "size", "caption"]])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_fields_over_several_lines_come_back_as_pandas_wrote_them(tmp_path, columns, newline):
    captions = ["plain", "two\nlines", 'a "fit"\n\nand more"', '5" heel', "last\n"]
    frame = pd.DataFrame(
        {"image": [f"{place}.png" for place in range(5)], "caption": captions, "size": ["M", "a\nb"] * 2 + ["L"]}
    )
    frame[columns].to_csv(tmp_path / "shop.tsv", sep="\t", index=False, lineterminator=newline)
    rows = read_delimited(str(tmp_path / "shop.tsv")).rows
    assert [row.problem for row in rows] == [None] * 5
    assert [row.caption for row in rows] == [caption.strip() for caption in captions]
    assert [Path(row.image).name for row in rows] == list(frame["image"])
    if "size" in columns:
        assert [row.attributes["size"] for row in rows] == list(frame["size"])


def test_a_quote_that_is_never_closed_costs_one_row_of_a_tsv_where_it_may_hold_lines(feed):
    """The third line is whole, so the quote in the second may stand for itself; that in the fourth goes on."""
    lines = ["image\tcaption", 'a.png\t"Vintage dress', 'b.png\tHeel 5"', 'c.png\t"two', *["more"] * 150, "d.png\tD"]
    rows = read_delimited(feed("\n".join(lines))).rows
    assert [row.caption for row in rows[:2]] == ['"Vintage dress', 'Heel 5"']
    assert [row.problem for row in rows[:2]] == [None, None]
    assert rows[2].problem == (
        "line 4: a quote opens a field and is never closed; inside a quoted field a quote is written twice"
    )
    assert (rows[-1].row, rows[-1].caption, rows[-1].problem) == (154, "D", None)


def test_a_short_row_whose_quote_is_never_closed_is_bad(feed):
    (row,) = read_delimited(feed('image\tcaption\tsize\na.png\t"Slim\n')).rows
    assert "line 2: a quote opens a field and is never closed" in row.problem


def test_conceptual_captions_are_read_without_a_header_as_they_are_published(feed):
    rows = read_delimited(feed('a hat\thttp://a.example/1.jpg\na "red" scarf\thttp://a.example/2.jpg\n')).rows
    assert [(row.row, row.caption, row.image) for row in rows] == [
        (1, "a hat", "http://a.example/1.jpg"),
        (2, 'a "red" scarf', "http://a.example/2.jpg"),
    ]


def test_the_fashion_projects_file_is_read_as_it_is(feed):
    look = "https://tag-walk.com/en/look/bfb0?type=woman&designer=rotate&season=fall-winter-2023"
    text = f"caption\timage\tbrand\titem_url\n0\thttps://cdn.example/rotate-d9.jpg\tROTATE\t{look}\n"
    (row,) = read_delimited(feed(text)).rows
    assert (row.caption, row.brand, row.item_url) == (None, "ROTATE", look)
    assert row.image == "https://cdn.example/rotate-d9.jpg"
    assert row.attributes == {}


def test_single_lines_of_another_encoding_are_bad_rows(feed):
    lines = [f"{number}.png\tc{number}".encode() for number in range(300)]
    lines[41] = b"41.png\tGr\xfcn"
    rows = read_delimited(feed(b"\n".join([b"image\tcaption", *lines]))).rows
    bad = [row for row in rows if row.problem]
    assert [(row.row, row.problem) for row in bad] == [(42, "line 43 holds 0xfc, which is not of the file's encoding")]
    assert len(rows) == 300


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16"])
def test_another_encoding_is_read_when_it_is_named(feed, encoding):
    text = "image\tcaption\na.png\tGrün\n".encode(encoding)
    assert read_delimited(feed(text), encoding=encoding).rows[0].caption == "Grün"


def test_an_encoding_that_nobody_knows_is_refused(feed):
    with pytest.raises(CatalogueError, match="no encoding is called 'utf-9'"):
        read_delimited(feed("image\na.png\n"), encoding="utf-9")


def test_a_packed_feed_is_read_from_an_object_store():
    fsspec.filesystem("memory").pipe("/feeds/shop.csv.gz", gzip.compress(b"image,caption\npics/a.png,A hat\n"))
    found = read_delimited("memory://feeds/shop.csv.gz")
    assert found.source == "shop"
    assert [(row.image, row.caption) for row in found.rows] == [("memory://feeds/pics/a.png", "A hat")]


def test_a_feed_that_is_not_there_is_named():
    with pytest.raises(CatalogueError, match=r"memory://feeds/absent\.tsv is not there"):
        read_delimited("memory://feeds/absent.tsv")
