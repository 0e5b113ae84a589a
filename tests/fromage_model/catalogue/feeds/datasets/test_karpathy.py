"""Karpathy's COCO is read as it is published; what is broken is a row with its reason."""

import json

import pytest

from fromage_model.catalogue.feeds.datasets.karpathy import karpathy_sha256, read_karpathy
from fromage_model.errors import CatalogueError
from tests.fromage_model.catalogue.feeds.datasets.official import coco_record, picture, write_coco


def test_a_picture_is_a_row_with_all_its_captions_and_the_official_split(tmp_path):
    feed = read_karpathy(str(write_coco(tmp_path)))
    first, *others = feed.rows
    assert (first.row, first.image) == (1, str(tmp_path / "train2014" / "COCO_train2014_000000000009.jpg"))
    assert (first.caption, first.captions) == ("A red square.", ("A red square.", "Something red."))
    assert first.attributes == {"image_id": "COCO_train2014_000000000009.jpg", "official_split": "train"}
    assert first.item_url == "http://images.cocodataset.org/train2014/COCO_train2014_000000000009.jpg"
    assert [row.attributes["official_split"] for row in others] == ["restval", "val", "test"]
    assert [row.captions for row in others] == [(), ("A blue square.", "Blue."), ()]
    assert feed.held_out == {"COCO_val2014_000000000073.jpg", "COCO_val2014_000000000074.jpg"}
    assert [row.problem for row in feed.rows] == [None] * 4


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (7, "images[4] is no object with fields but int 7"),
        ({"file_name": "a.jpg", "id": 1}, "images[4] has no field filepath; its fields are file_name, id"),
        (coco_record("val2014", 1, "val") | {"split": "dev"}, "expected split to be one of train, restval, val, test"),
        (coco_record("val2014", 1, "val") | {"filepath": "val2017"}, "expected filepath to be train2014 or val2014"),
        (coco_record("val2014", 1, "val") | {"filename": 1}, "images[4]: expected filename to be a text, got int 1"),
        (coco_record("val2014", 1, "val") | {"sentences": []}, "images[4] has no sentence with a text"),
        (coco_record("val2014", 1, "val") | {"sentences": [{"raw": 1}]}, "sentences[0]: expected raw to be a text"),
    ],
)
def test_a_broken_record_is_a_row_that_says_what_is_wrong_with_it(tmp_path, record, problem):
    rows = read_karpathy(str(write_coco(tmp_path, record))).rows
    assert [row.problem is None for row in rows] == [True] * 4 + [False]
    assert problem in rows[-1].problem
    assert "dataset_coco.json" in rows[-1].problem


def test_the_list_may_lie_in_karpathy_and_the_pictures_in_images(tmp_path):
    write_coco(tmp_path)
    (tmp_path / "karpathy").mkdir()
    (tmp_path / "images").mkdir()
    (tmp_path / "dataset_coco.json").rename(tmp_path / "karpathy" / "dataset_coco.json")
    (tmp_path / "val2014").rename(tmp_path / "images" / "val2014")
    rows = read_karpathy(str(tmp_path)).rows
    assert rows[0].image == str(tmp_path / "train2014" / "COCO_train2014_000000000009.jpg")
    assert rows[1].image == str(tmp_path / "images" / "val2014" / "COCO_val2014_000000000042.jpg")


def test_the_hash_changes_with_the_list_and_with_a_picture(tmp_path):
    write_coco(tmp_path)
    before = karpathy_sha256(str(tmp_path))
    assert read_karpathy(str(tmp_path)).sha256 == before == karpathy_sha256(f"{tmp_path}/")
    picture(tmp_path, "val2014", 99)
    more = karpathy_sha256(str(tmp_path))
    write_coco(tmp_path, {})
    assert len({before, more, karpathy_sha256(str(tmp_path))}) == 3


def test_a_folder_that_lacks_a_file_is_told_what_would_work(tmp_path):
    with pytest.raises(CatalogueError, match=r"nowhere is no folder; expected one with Karpathy's dataset_coco\.json"):
        read_karpathy(str(tmp_path / "nowhere"))
    with pytest.raises(CatalogueError, match=r"holds no dataset_coco\.json.*caption_datasets\.zip"):
        read_karpathy(str(tmp_path))
    (tmp_path / "dataset_coco.json").write_text(json.dumps({"images": [coco_record("val2014", 1, "val")]}))
    with pytest.raises(CatalogueError, match=r"neither train2014 nor val2014; unpack train2014\.zip"):
        read_karpathy(str(tmp_path))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            '{"images": [{"file_name": "a.jpg"}]}',
            r"is not Karpathy's list of COCO: .*images\[0\] has no field filepath",
        ),
        (
            '{"annotations": [], "info": {}}',
            r"no list 'images' with anything in it; it has the fields annotations, info",
        ),
        ('[{"filename": "a.jpg"}]', r"no list 'images' with anything in it; it has no fields"),
        ('{"images": [{"filename": "a.j', r"is not whole JSON: .*; fetch it again"),
        ("PK\x03\x04", r"dataset_coco\.json can't be read: it is a zip file.*expected JSON"),
        ("", r"can't be read: it is .*empty.*expected JSON"),
    ],
)
def test_another_file_under_its_name_is_told_apart(tmp_path, content, reason):
    write_coco(tmp_path)
    (tmp_path / "dataset_coco.json").write_text(content)
    with pytest.raises(CatalogueError, match=reason):
        read_karpathy(str(tmp_path))
