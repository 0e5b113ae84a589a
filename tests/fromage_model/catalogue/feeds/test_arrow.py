"""Parquet and Arrow files become rows; pictures inside them are read where they are needed."""

import io

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fromage_model.catalogue.feeds.arrow import CellReader, read_tables
from fromage_model.errors import CatalogueError

COCO = pa.table(
    {
        "image": [b"one", b"two", None],
        "caption": [["A hat", "Ein Hut"], ["A shoe"], []],
        "image_id": ["391895", "522418", "184613"],
        "split": ["train", "val", "test"],
    }
)


def write(path: str, table: pa.Table) -> str:
    """As parquet with two rows to a group, or as an Arrow file or stream of batches of two rows."""
    buffer = io.BytesIO()
    if path.endswith(".parquet"):
        pq.write_table(table, buffer, row_group_size=2)
    else:
        kind = pa.ipc.new_stream if "stream" in path else pa.ipc.new_file
        with kind(buffer, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    with fsspec.open(path, "wb") as file:
        file.write(buffer.getvalue())
    return path


@pytest.fixture(params=["coco.arrow", "stream.arrow", "coco.parquet", "memory://coco.arrow", "memory://coco.parquet"])
def coco(request, tmp_path) -> str:
    name = request.param
    return write(name if "://" in name else str(tmp_path / name), COCO)


def test_frozens_coco_files_give_one_item_for_each_picture_with_all_captions(coco):
    rows = read_tables([coco]).rows
    assert [(row.row, row.caption, row.problem) for row in rows] == [
        (1, "A hat", None),
        (2, "A shoe", None),
        (3, None, None),
    ]
    assert [row.captions for row in rows] == [("A hat", "Ein Hut"), (), ()]
    assert [(row.attributes["image_id"], row.attributes["split"]) for row in rows] == [
        ("391895", "train"), ("522418", "val"), ("184613", "test"),
    ]  # fmt: skip
    assert rows[1].image == f"{coco}#2"


def test_the_bytes_of_pictures_are_read_where_the_rows_say(coco):
    rows = read_tables([coco]).rows
    reader = CellReader()
    assert [reader.read(rows[index].cell) for index in (0, 2, 1)] == [b"one", b"", b"two"]


def test_a_picture_may_be_a_struct_of_bytes_and_path_as_datasets_writes_it(tmp_path):
    images = [{"bytes": b"one", "path": "1.png"}, {"bytes": b"two", "path": None}]
    (first, second) = read_tables(
        [write(str(tmp_path / "d.parquet"), pa.table({"image": images, "label": [3, 4]}))]
    ).rows
    assert CellReader().read(second.cell) == b"two"
    assert (first.attributes, second.attributes) == ({"label": "3"}, {"label": "4"})


def test_a_picture_may_be_a_path_or_url(tmp_path):
    table = pa.table({"image": ["a.png", "https://a.example/b.png", None], "brand": ["Acme", None, None]})
    rows = read_tables([write(str(tmp_path / "d.parquet"), table)]).rows
    assert [row.image for row in rows] == [str(tmp_path / "a.png"), "https://a.example/b.png", ""]
    assert [(row.brand, row.problem) for row in rows] == [
        ("Acme", None), (None, None), (None, "the image field is empty"),
    ]  # fmt: skip


def test_several_files_are_read_one_after_the_other(tmp_path):
    files = [write(str(tmp_path / f"{name}.parquet"), COCO) for name in "ab"]
    rows = read_tables(files).rows
    assert [row.row for row in rows] == [1, 2, 3, 4, 5, 6]
    assert {row.cell.file for row in rows[3:]} == {files[1]}


def test_the_hash_changes_with_the_file(tmp_path):
    path = write(str(tmp_path / "a.parquet"), COCO)
    before = read_tables([path]).sha256
    assert read_tables([path]).sha256 == before
    write(path, COCO.slice(0, 2))
    assert read_tables([path]).sha256 != before


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (pa.table({"picture": [b"x"]}), "missing column image; found columns: picture"),
        (pa.table({"image": [1, 2]}), "column image is int64; expected paths, URLs, bytes"),
        (COCO.slice(0, 0), "no rows"),
    ],
)
@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_a_table_that_can_not_be_used_is_refused_with_the_reason(tmp_path, table, reason, name):
    with pytest.raises(CatalogueError, match=reason):
        read_tables([write(str(tmp_path / name), table)])


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<html><body>Log in</body></html>", "an HTML page, not the file itself; expected parquet or Arrow"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9\n", "a Git LFS pointer.*git lfs pull"),
    ],
)
def test_a_page_or_a_pointer_under_the_name_of_a_table_is_told_for_what_it_is(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(CatalogueError, match=f"{name} can't be read: it is {message}"):
        read_tables([str(tmp_path / name)])


def test_a_table_is_read_by_its_bytes_whatever_its_name_ends_in(tmp_path):
    write(str(tmp_path / "a.parquet"), COCO)
    (tmp_path / "a.parquet").rename(tmp_path / "b.arrow")
    assert len(read_tables([str(tmp_path / "b.arrow")]).rows) == 3


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
@pytest.mark.parametrize("data", [b"", b"no table at all"])
def test_a_file_of_another_form_is_refused_by_name(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(CatalogueError, match=rf"{name} can't be read"):
        read_tables([str(tmp_path / name)])
