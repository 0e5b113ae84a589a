"""Columns of feeds that others write are named once, and then every form of table is read by these names."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fromage_model.catalogue.feeds.arrow import CellReader, read_tables
from fromage_model.catalogue.feeds.columns import parse_columns
from fromage_model.catalogue.feeds.delimited import read_delimited
from fromage_model.errors import CatalogueError, ConfigError

LAION = {"URL": ["https://a.example/1.jpg", "https://a.example/2.jpg"], "TEXT": ["A hat", "A shoe"], "WIDTH": [9, 8]}
NAMED = {"image": "URL", "caption": "TEXT"}


def write(path, data: dict[str, list]) -> str:
    """As the file's ending says."""
    if path.suffix == ".parquet":
        pq.write_table(pa.table(data), path)
    elif path.suffix == ".arrow":
        with pa.ipc.new_file(str(path), (table := pa.table(data)).schema) as writer:
            writer.write_table(table)
    else:
        separator = "\t" if path.suffix == ".tsv" else ","
        rows = [list(data), *zip(*data.values(), strict=True)]
        path.write_text("".join(separator.join(map(str, row)) + "\n" for row in rows))
    return str(path)


def read(path: str, columns: dict[str, str]):
    tables = path.endswith((".parquet", ".arrow"))
    return read_tables([path], columns=columns) if tables else read_delimited(path, columns=columns)


def test_names_are_given_in_any_order_and_kept_in_ours():
    assert parse_columns(" caption=TEXT, image=URL ") == NAMED
    assert list(parse_columns("caption=TEXT,image=URL")) == ["image", "caption"]
    assert parse_columns("image=a = b") == {"image": "a = b"}
    assert parse_columns("") == parse_columns(" ") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("URL", "columns has 'URL'; expected image or caption or item_url or brand or group, and after = .* image=URL"),
        ("imgae=URL", "columns has 'imgae=URL'"),
        ("image=", "columns has 'image='"),
        ("image=URL,", "columns has ''"),
        ("image=a,image=b", "columns names image twice, as a and as b"),
    ],
)
def test_names_that_can_not_be_are_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_columns(text)


@pytest.mark.parametrize("name", ["laion.tsv", "laion.csv", "laion.parquet", "laion.arrow"])
class TestEveryForm:
    def test_is_read_by_the_names_that_it_has(self, name, tmp_path):
        rows = read(write(tmp_path / name, LAION), NAMED).rows
        assert [(row.image, row.caption) for row in rows] == list(zip(LAION["URL"], LAION["TEXT"], strict=True))
        assert [row.attributes for row in rows] == [{"WIDTH": "9"}, {"WIDTH": "8"}]

    def test_leaves_out_a_column_whose_place_another_takes(self, name, tmp_path):
        data = LAION | {"caption": ["worse", "worse"], "image": ["a.png", "b.png"]}
        (row, _) = read(write(tmp_path / name, data), NAMED).rows
        assert (row.image, row.caption, row.attributes) == (LAION["URL"][0], "A hat", {"WIDTH": "9"})

    def test_gives_one_column_for_two_of_ours(self, name, tmp_path):
        (row, _) = read(write(tmp_path / name, LAION), NAMED | {"item_url": "URL"}).rows
        assert row.item_url == row.image == LAION["URL"][0]

    def test_says_which_name_is_wrong_and_which_there_are(self, name, tmp_path):
        path = write(tmp_path / name, LAION)
        with pytest.raises(
            CatalogueError, match=f"{name}: no column for caption=text; found columns: URL, TEXT, WIDTH"
        ):
            read(path, {"image": "URL", "caption": "text"})
        with pytest.raises(
            CatalogueError, match=r"missing column image; .*--columns image=URL,caption=TEXT names them"
        ):
            read(path, {})


@pytest.mark.parametrize("value", [b"one", {"bytes": b"one", "path": "1.png"}])
def test_bytes_are_read_from_the_column_that_is_named(value, tmp_path):
    table = pa.table({"jpg": [value], "image": [b"another"], "txt": ["A hat"]})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    (tmp_path / "shop.parquet").write_bytes(buffer.getvalue())
    (row,) = read_tables([str(tmp_path / "shop.parquet")], columns={"image": "jpg", "caption": "txt"}).rows
    assert (row.caption, row.attributes) == ("A hat", {})
    assert CellReader().read(row.cell) == b"one"
