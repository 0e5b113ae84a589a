"""A folder becomes rows by what its files are, not by what they are called; what is none is left out, with a reason."""

import os

import fsspec
import pytest
from PIL import Image

from fromage_model.catalogue.feeds.feed import Feed
from fromage_model.catalogue.feeds.folders import A_TABLE, HIDDEN, HIDDEN_FOLDER, LINKED_FOLDER, UNKNOWN, read_folder
from fromage_model.errors import CatalogueError
from tests.pictures import encoded, png, write_png

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
RED = Image.new("RGB", (8, 8), "red")


def names(feed: Feed, folder) -> list[str]:
    return [os.path.relpath(row.image, folder) for row in feed.rows]


def left_out(feed: Feed) -> dict[str, str]:
    return {one.file: one.reason for one in feed.left_out}


def test_a_folder_gives_its_pictures_in_the_order_of_their_paths(tmp_path):
    for name in ("b/2.PNG", "a.jpg", "b/1.webp", ".hidden/3.png", "b/.4.png"):
        write_png(tmp_path / name)
    found = read_folder(tmp_path)
    assert names(found, tmp_path) == ["a.jpg", "b/1.webp", "b/2.PNG"]
    assert [row.row for row in found.rows] == [1, 2, 3]
    assert {(row.caption, row.item_url, row.problem) for row in found.rows} == {(None, None, None)}
    assert found.source == tmp_path.name


@pytest.mark.parametrize("name", ["a.jfif", "a.jpe", "a.apng", "a", "a.b", "a.txt", "0f3c", "a.jpg?width=300", "_a"])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_a_picture_is_one_whatever_it_is_called(tmp_path, name, file_format):
    (tmp_path / name).write_bytes(encoded(RED, file_format))
    found = read_folder(tmp_path)
    assert (names(found, tmp_path), found.left_out) == ([name], [])


@pytest.mark.parametrize("data", [HEIC, b"\xff\x0a\xfa\x1f", b"\0\0\0\x0cjP  \r\n\x87\n"])
def test_a_picture_of_a_kind_that_may_not_be_read_is_a_row_so_that_its_failure_is_told(tmp_path, data):
    (tmp_path / "IMG_0001").write_bytes(data)
    assert names(read_folder(tmp_path), tmp_path) == ["IMG_0001"]


def test_what_is_called_like_a_picture_is_a_row_whatever_is_in_it(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"<html>sold out</html>")
    (tmp_path / "b.HEIC").write_bytes(b"")
    (tmp_path / "c.png").symlink_to("nowhere.png")
    os.mkfifo(tmp_path / "d.png")
    found = read_folder(tmp_path)
    assert (names(found, tmp_path), found.left_out) == (["a.jpg", "b.HEIC", "c.png", "d.png"], [])


def test_every_other_file_is_left_out_with_its_reason(tmp_path):
    write_png(tmp_path / "a.png")
    write_png(tmp_path / ".git" / "objects" / "b.png")
    write_png(tmp_path / "elsewhere" / "c.png")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "more").symlink_to(tmp_path / "elsewhere")
    for name, data in {
        ".DS_Store": b"\0\0\0\1Bud1",
        "._a.png": png(),
        "README.md": b"# Pictures",
        "shop/captions.csv": b"image,caption\na.png,A\n",
        "shop/rows.parquet": b"PAR1",
        "logo.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "film.mov": b"\0\0\0\x14ftypqt  \0\0\0\0qt  ",
        "empty": b"",
    }.items():
        (tmp_path / name).write_bytes(data)
    os.mkfifo(tmp_path / "pipe")
    found = read_folder(tmp_path)
    assert names(found, tmp_path) == ["a.png", "elsewhere/c.png"]
    assert left_out(found) == {
        ".DS_Store": HIDDEN,
        "._a.png": HIDDEN,
        ".git/": HIDDEN_FOLDER,
        "README.md": UNKNOWN,
        "shop/captions.csv": A_TABLE,
        "shop/rows.parquet": A_TABLE,
        "shop/more/": LINKED_FOLDER,
        "logo.svg": "an SVG drawing",
        "film.mov": "a film",
        "empty": "an empty file",
        "pipe": "no regular file",
    }


def test_the_hash_of_a_folder_changes_with_its_pictures(tmp_path):
    path = write_png(tmp_path / "a")
    before = read_folder(tmp_path).sha256
    assert read_folder(tmp_path).sha256 == before
    os.utime(path, ns=(1, 1))
    changed = read_folder(tmp_path).sha256
    write_png(tmp_path / "b.png")
    assert len({before, changed, read_folder(tmp_path).sha256}) == 3


def test_the_hash_of_a_folder_changes_with_what_is_left_out_but_not_with_hidden_files(tmp_path):
    write_png(tmp_path / "a.png")
    before = read_folder(tmp_path).sha256
    (tmp_path / ".DS_Store").write_bytes(b"x")
    assert read_folder(tmp_path).sha256 == before
    (tmp_path / "b").write_text("no picture yet")
    left = read_folder(tmp_path).sha256
    write_png(tmp_path / "b")
    assert len({before, left, read_folder(tmp_path).sha256}) == 3


def test_a_folder_without_pictures_is_refused_with_what_is_in_it(tmp_path):
    with pytest.raises(CatalogueError, match=r"holds no pictures$"):
        read_folder(tmp_path)
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(CatalogueError, match=r"no pictures; 1 file is left out: notes\.txt \(no picture of a kind"):
        read_folder(tmp_path)
    for number in range(9):
        (tmp_path / f"{number}.svg").write_text("<svg/>")
    with pytest.raises(CatalogueError, match=r"; 10 files are left out: 0\.svg \(an SVG drawing\), 1\.svg .*, \.\.\.$"):
        read_folder(tmp_path)


def test_a_file_name_that_is_not_utf8_is_a_bad_row(tmp_path):
    write_png(tmp_path / "good.png")
    for name in (b"\xff.png", b"\xfe", b"\xfd.txt"):
        with open(os.fsencode(tmp_path) + b"/" + name, "wb") as file:
            file.write(b"text" if name.endswith(b"txt") else png())
    found = read_folder(tmp_path)
    assert [row.problem for row in found.rows] == [None, *["the file's name is not UTF-8"] * 2]
    assert left_out(found) == {"\\udcfd.txt": UNKNOWN}


def test_a_folder_of_an_object_store_gives_its_pictures():
    store = fsspec.filesystem("memory")
    store.pipe({"/wardrobe/b/2.PNG": b"x", "/wardrobe/a.jpg": b"y", "/wardrobe/.c/3.png": b"z", "/wardrobe/n.txt": b""})
    store.pipe({"/wardrobe/.c/d/4.png": b"", "/wardrobe/b/five": png(), "/wardrobe/b/.six": png(), "/wardrobe/k": b"k"})
    found = read_folder("memory://wardrobe")
    assert [row.image for row in found.rows] == [
        "memory:///wardrobe/a.jpg", "memory:///wardrobe/b/2.PNG", "memory:///wardrobe/b/five",
    ]  # fmt: skip
    assert found.source == "wardrobe"
    assert left_out(found) == {".c/": HIDDEN_FOLDER, "n.txt": "an empty file", "b/.six": HIDDEN, "k": UNKNOWN}
    store.pipe({"/wardrobe/a.jpg": b"yy"})
    assert read_folder("memory://wardrobe").sha256 != found.sha256
