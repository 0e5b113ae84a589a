"""A catalogue opens by folder, gives its items and pictures, and stays within its folder."""

import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fromage_model.catalogue import SCHEMA, Catalogue
from fromage_model.catalogue import table as module
from fromage_model.catalogue.schema import Failure
from fromage_model.catalogue.table import fingerprint, write_catalogue
from fromage_model.errors import CatalogueError, InvalidInput, MissingArtefact
from fromage_model.storage.artefacts import writing
from tests.pictures import png

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def record(id: str, **changes) -> dict:
    return {
        "id": id,
        "image": f"images/{id}.png",
        "image_sha256": id * 2,
        "source": "shop",
        "caption": f"item {id}",
        "caption_by": "feed",
        "caption_at": NOW,
        "item_url": None,
        "brand": None,
        "attributes": [("size", "M")],
        "group": id,
        "split": "train",
        "updated_at": NOW,
    } | changes


@pytest.fixture
def write(tmp_path):
    def write(*records: dict, failures=(), info=None):
        folder = tmp_path / "shop"
        with writing(folder) as scratch:
            (scratch / "images").mkdir()
            for row in records:
                (scratch / "images" / f"{row['id']}.png").write_bytes(png())
            table = pa.Table.from_pylist(list(records), schema=SCHEMA)
            write_catalogue(scratch, table=table, failures=failures, info=info or {"name": "shop"})
        return folder

    return write


def test_items_come_back_as_they_were_written(write):
    catalogue = Catalogue.open(write(record("a"), record("b", split="held-out", caption=None)))
    assert (catalogue.name, len(catalogue)) == ("shop", 2)
    assert [item.id for item in catalogue.items()] == ["a", "b"]
    assert [item.id for item in catalogue.items("held-out")] == ["b"]
    assert catalogue.item("a").attributes == {"size": "M"}
    assert catalogue.item("b").caption is None
    assert "a" in catalogue
    assert "c" not in catalogue
    assert catalogue.image_bytes("a") == png()


def test_shards_are_read_in_order(write, monkeypatch):
    monkeypatch.setattr(module, "ROWS_PER_SHARD", 2)
    folder = write(*(record(id) for id in "abcde"))
    assert len(list(folder.glob("items-*.parquet"))) == 3
    assert [item.id for item in Catalogue.open(folder).items()] == list("abcde")


def test_an_unknown_item_is_named(write):
    with pytest.raises(InvalidInput, match="'zzz'"):
        Catalogue.open(write(record("a"))).item("zzz")


@pytest.mark.parametrize("image", ["../secret.png", "/etc/passwd", "images/../../secret.png"])
def test_a_picture_outside_the_catalogue_is_not_served(write, tmp_path, image):
    (tmp_path / "secret.png").write_bytes(b"secret")
    catalogue = Catalogue.open(write(record("a", image=image)))
    with pytest.raises(CatalogueError, match="outside"):
        catalogue.image_bytes("a")


def test_a_link_out_of_the_catalogue_is_not_followed(write, tmp_path):
    (tmp_path / "secret.png").write_bytes(b"secret")
    folder = write(record("a"))
    (folder / "images" / "a.png").unlink()
    (folder / "images" / "a.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(CatalogueError, match="outside"):
        Catalogue.open(folder).image_bytes("a")


def test_a_picture_that_is_elsewhere_or_gone_is_an_error_that_says_so(write):
    folder = write(record("a", image="https://shop.example/a.png"), record("b"))
    (folder / "images" / "b.png").unlink()
    catalogue = Catalogue.open(folder)
    with pytest.raises(CatalogueError, match=r"https://shop\.example/a\.png"):
        catalogue.image_bytes("a")
    with pytest.raises(CatalogueError, match="can't be read"):
        catalogue.image_bytes("b")


def test_the_fingerprint_follows_ids_pictures_and_captions_and_nothing_else():
    def of(*records):
        return fingerprint(pa.Table.from_pylist(list(records), schema=SCHEMA))

    before = of(record("a"), record("b"))
    assert before == of(record("b"), record("a")) == of(record("a", brand="x", split="held-out"), record("b"))
    changes = [record("c"), record("b", image_sha256="0"), record("b", caption="other"), record("b", caption=None)]
    assert len({before, *(of(record("a"), change) for change in changes)}) == 5


def test_failures_are_written_in_the_order_of_the_feed(write):
    failures = [Failure(row, None, "a.png", "fetch", "FetchError", "gone", 3, NOW) for row in (9, 2)]
    table = pq.read_table(write(record("a"), failures=failures) / "failures.parquet")
    assert table["row"].to_pylist() == [2, 9]
    assert table["message"].to_pylist() == ["gone", "gone"]


def test_without_failures_the_file_is_there_and_empty(write):
    assert pq.read_table(write(record("a")) / "failures.parquet").num_rows == 0


def test_a_folder_that_is_no_catalogue_is_refused(tmp_path):
    with pytest.raises(CatalogueError, match="no catalogue"):
        Catalogue.open(tmp_path)
    with pytest.raises(MissingArtefact, match=r"jobs\.ingest"):
        Catalogue.open(tmp_path / "absent")


def test_a_shard_of_another_form_is_refused_by_column(write):
    folder = write(record("a"))
    whole = pq.read_table(folder / "items-00000.parquet")
    pq.write_table(whole.drop(["brand", "group"]), folder / "items-00000.parquet")
    with pytest.raises(CatalogueError, match="missing columns brand, group"):
        Catalogue.open(folder)
    wrong = whole.set_column(whole.column_names.index("updated_at"), "updated_at", pa.array(["yesterday"]))
    pq.write_table(wrong, folder / "items-00000.parquet")
    with pytest.raises(CatalogueError, match="type"):
        Catalogue.open(folder)


def test_a_damaged_description_is_refused(write):
    folder = write(record("a"))
    (folder / "catalogue.json").write_text("{")
    with pytest.raises(CatalogueError, match="not JSON"):
        Catalogue.open(folder)
    (folder / "catalogue.json").write_text(json.dumps([1]))
    with pytest.raises(CatalogueError, match="JSON object"):
        Catalogue.open(folder)
