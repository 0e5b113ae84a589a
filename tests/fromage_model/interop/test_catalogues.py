"""What goes out is read back by others' readers alone: pandas, pyarrow, datasets."""

import csv
import json
from io import BytesIO

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fromage_model.errors import CatalogueError, ConfigError
from fromage_model.index import RetrievalIndex
from fromage_model.interop import write_dataset, write_parquet, write_tsv
from tests.fromage_model.index.items import unit_vectors
from tests.jobs import tiny

CAPTIONS = {
    "red": 'a "very" red\tsquare\nwith\r\n breaks',
    "green": '"quoted" from the start',
    "blue": None,
    "white": "  ",
    "black": "naïve — 黒い",
}


@pytest.fixture
def catalogue(tmp_path):
    return tiny.write_squares(tmp_path / "squares", captions=CAPTIONS)


def test_a_tsv_reads_alike_line_by_line_and_by_pandas(catalogue, tmp_path):
    ids = catalogue.table["id"].to_pylist()
    assert write_tsv(catalogue, tmp_path / "out.tsv") == ids[2:4]
    lines = (tmp_path / "out.tsv").read_text(encoding="utf-8").split("\n")
    assert (lines[0], lines[-1], len(lines)) == ("caption\timage", "", 12)
    assert {line.count("\t") for line in lines[:-1]} == {1}
    read = pd.read_csv(tmp_path / "out.tsv", sep="\t")  # as the original's CsvDataset does
    assert read.columns.to_list() == ["caption", "image"]
    assert read["caption"][0] == 'a "very" red square with breaks'
    assert read["caption"][1] == '"quoted" from the start'
    assert read["caption"][2] == "naïve — 黒い"
    for image, colour in zip(read["image"], [c for c in tiny.COLOURS if c not in ("blue", "white")], strict=True):
        assert Image.open(image).convert("RGB").getpixel((0, 0)) == Image.new("RGB", (1, 1), colour).getpixel((0, 0))
    with open(tmp_path / "out.tsv", encoding="utf-8", newline="") as file:
        assert [row["caption"] for row in csv.DictReader(file, delimiter="\t")] == read["caption"].to_list()


def test_parquet_needs_no_reader_of_ours(catalogue, tmp_path):
    vectors = unit_vectors(12, 16)
    index = RetrievalIndex.build(vectors, catalogue.table, fingerprint="abc", catalogue="squares")
    index.delete([catalogue.table["id"][4].as_py()])
    write_parquet(index, tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    assert str(table.schema.field("vector").type) == "fixed_size_list<element: float>[16]"
    frame = pd.read_parquet(tmp_path / "out.parquet")
    kept = np.delete(np.arange(12), 4)
    np.testing.assert_array_equal(np.stack(frame["vector"].to_list()), vectors[kept])
    assert frame["id"].to_list() == [catalogue.table["id"][int(row)].as_py() for row in kept]
    assert json.loads(frame["attributes"][0]) == {"tags": "square, flat", "subgroup": "bright"}
    assert frame["caption"][0] == CAPTIONS["red"]
    assert frame["caption"].isna().to_list() == [False, False, True, *[False] * 8]


def test_a_dataset_opens_by_its_folder_with_pictures_and_splits(catalogue, tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr("fromage_model.interop.catalogues.ROWS_PER_SHARD", 3)
    (catalogue.folder / "images" / "lime.png").unlink()
    assert write_dataset(catalogue, tmp_path / "out") == [catalogue.table["id"][11].as_py()]
    files = sorted(path.name for path in (tmp_path / "out" / "data").iterdir())
    assert files == [
        *(f"heldout-{number:05d}-of-00002.parquet" for number in range(2)),
        *(f"train-{number:05d}-of-00003.parquet" for number in range(3)),
    ]
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 7, "heldout": 4}
    assert isinstance(loaded["train"].features["image"], datasets.Image)
    red = loaded["heldout"][0]
    assert red["image"].convert("RGB").getpixel((3, 3)) == (255, 0, 0)
    assert (red["caption"], red["id"]) == (CAPTIONS["red"], catalogue.table["id"][0].as_py())
    assert json.loads(red["attributes"])["subgroup"] == "bright"


def test_the_pictures_of_a_dataset_are_the_catalogues_bytes(catalogue, tmp_path):
    write_dataset(catalogue, tmp_path / "out")
    (row,) = pq.read_table(tmp_path / "out" / "data" / "heldout-00000-of-00001.parquet").slice(1, 1).to_pylist()
    assert row["image"]["bytes"] == catalogue.image_bytes(row["id"])
    assert Image.open(BytesIO(row["image"]["bytes"])).format == "PNG"


def test_a_dataset_replaces_neither_strangers_folders_nor_itself_by_nothing(catalogue, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "holiday.jpg").write_bytes(b"dear")
    with pytest.raises(ConfigError, match="holds something else"):
        write_dataset(catalogue, tmp_path / "photos")
    write_dataset(catalogue, tmp_path / "out")
    for path in (catalogue.folder / "images").iterdir():
        path.unlink()
    with pytest.raises(CatalogueError, match="none of the 12 pictures"):
        write_dataset(catalogue, tmp_path / "out")
    assert (tmp_path / "out" / "data" / "train-00000-of-00001.parquet").exists()
