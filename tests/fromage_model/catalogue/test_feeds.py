"""A folder or a TSV becomes rows; what can't be read at all is refused by name, what can't be used says why."""

import os

import pytest

from fromage_model.catalogue.feeds import read_folder, read_tsv
from fromage_model.errors import CatalogueError
from tests.pictures import write_png


@pytest.fixture
def feed(tmp_path):
    def write(text: str | bytes):
        path = tmp_path / "shop.tsv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


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


def test_a_tsv_needs_only_the_image_column(feed, tmp_path):
    rows = read_tsv(feed("image\npics/a.png\nhttps://shop.example/b.png\n")).rows
    assert [row.image for row in rows] == [str(tmp_path / "pics/a.png"), "https://shop.example/b.png"]
    assert {(row.caption, row.item_url, row.brand, row.group, row.problem) for row in rows} == {(None,) * 5}


def test_known_columns_are_read_and_others_become_attributes(feed):
    header = "colour\timage\tcaption\titem_url\tbrand\tgroup\tsize\n"
    (row,) = read_tsv(feed(header + "red\ta.png\tA dress\thttps://shop.example/1\tAcme\tdresses\t\n")).rows
    assert (row.caption, row.item_url, row.brand, row.group) == ("A dress", "https://shop.example/1", "Acme", "dresses")
    assert row.attributes == {"colour": "red"}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_byte_order_mark_and_windows_line_ends_are_read(feed, newline, mark):
    text = newline.join(["image\tcaption", "a.png\tKleid für Gäste", ""])
    (row,) = read_tsv(feed(mark + text.encode())).rows
    assert row.caption == "Kleid für Gäste"


def test_quotes_and_odd_separators_stand_for_themselves(feed):
    rows = read_tsv(feed('image\tcaption\na.png\t"Slim" 5" heel\nb.png\t"\nc.png\tone\u2028two\x0bthree\n')).rows
    assert [row.caption for row in rows] == ['"Slim" 5" heel', '"', "one\u2028two\x0bthree"]


def test_short_rows_lack_their_last_fields_and_blank_lines_are_passed_over(feed):
    rows = read_tsv(feed("image\tcaption\na.png\n\n  \t \nb.png\tB\n")).rows
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
    (row,) = read_tsv(feed(f"image\tcaption\titem_url\n{line}\n")).rows
    assert problem in row.problem


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("picture\tcaption\na.png\tA\n", "missing column image; found columns: picture, caption"),
        ("image,caption\na.png,A\n", "separated by tabs"),
        ("", "missing column image"),
        ("image\tcaption\timage\na\tb\tc\n", "image stands in the header more than once"),
        ("image\tcaption\n\n", "no rows"),
        ("image\tcaption\na.png\tGr\xfcn\n".encode("latin-1"), "not UTF-8: line 2 holds 0xfc"),
    ],
)
def test_a_tsv_that_can_not_be_read_is_refused_with_the_reason(feed, text, reason):
    with pytest.raises(CatalogueError, match=reason):
        read_tsv(feed(text))
