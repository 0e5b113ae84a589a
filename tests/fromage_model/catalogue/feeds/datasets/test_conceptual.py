"""Conceptual Captions is read as Google publishes it, one split or both."""

import pytest

from fromage_model.catalogue.feeds.datasets.conceptual import conceptual_sha256, read_conceptual
from fromage_model.catalogue.feeds.datasets.named import split_source
from fromage_model.errors import CatalogueError, ConfigError

TRAIN, VALIDATION = "Train_GCC-training.tsv", "Validation_GCC-1.1.0-Validation.tsv"


def write(folder, name, *lines):
    (folder / name).write_text("".join(f"{line}\n" for line in lines))
    return str(folder / name)


def test_each_line_is_a_caption_and_a_url_and_the_split_is_that_of_the_file(tmp_path):
    path = write(tmp_path, TRAIN, 'a "very" red dress\thttp://a.example/1.jpg', "a hat\thttps://b.example/2.jpg")
    feed = read_conceptual(path)
    assert [(row.caption, row.image) for row in feed.rows] == [
        ('a "very" red dress', "http://a.example/1.jpg"), ("a hat", "https://b.example/2.jpg"),
    ]  # fmt: skip
    assert [row.attributes for row in feed.rows] == [{"official_split": "train"}] * 2
    assert feed.held_out is None
    assert feed.sha256 == conceptual_sha256(path)


def test_with_both_files_those_of_the_validation_are_held_out_and_they_alone(tmp_path):
    write(tmp_path, TRAIN, "a dress\thttp://a.example/1.jpg", "a\thttp://a.example/2.jpg\tmore")
    write(tmp_path, VALIDATION, "a hat\thttp://a.example/3.jpg", "no link\t")
    feed = read_conceptual(str(tmp_path / "*_GCC-*.tsv"))
    assert feed.held_out == {"http://a.example/3.jpg"}
    assert [row.row for row in feed.rows] == [1, 2, 3, 4]
    assert [row.problem for row in feed.rows] == [
        None,
        f"{TRAIN}: line 2: 3 fields, but the header names 2",
        None,
        f"{VALIDATION}: the image field is empty",
    ]


def test_a_file_of_another_form_is_told_apart(tmp_path):
    with pytest.raises(CatalogueError, match=r"is no file; expected Train_GCC-training\.tsv"):
        read_conceptual(str(tmp_path / "absent.tsv"))
    with pytest.raises(CatalogueError, match=r"a caption, a tab and a URL on each line"):
        read_conceptual(write(tmp_path, "swapped.tsv", "http://a.example/1.jpg\ta dress"))
    with pytest.raises(CatalogueError, match=r"has more columns than caption and image: price; --source .*shop\.tsv"):
        read_conceptual(write(tmp_path, "shop.tsv", "caption\timage\tprice", "a dress\thttp://a.example/1.jpg\t5"))


def test_a_source_names_its_data_set_before_the_first_colon():
    dataset, place = split_source("vqav2:s3://bucket/vqa")
    assert (dataset.name, place) == ("vqav2", "s3://bucket/vqa")
    for other in ("vqav2", "s3://bucket/feed.tsv", "shop.tsv", "C:/feed.tsv"):
        assert split_source(other) is None
    with pytest.raises(ConfigError, match=r"coco-karpathy: names no folder; expected coco-karpathy:FOLDER"):
        split_source("coco-karpathy:")
