"""Catalogue, features and bundle become an index, or an error that says which of them does not fit."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from fromage_model.bundle import load_bundle, load_projection
from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.features import read_features
from fromage_model.errors import CatalogueError, ConfigError, FingerprintMismatch, MissingArtefact
from fromage_model.index import RetrievalIndex
from jobs.common.embeddings.items import item_vectors, texts_of
from jobs.common.embeddings.texts import ReadTexts
from jobs.common.tables import matrix_of
from jobs.index.job import IndexArgs, main
from tests.jobs import tiny


def test_every_item_is_found_by_its_own_picture_and_the_bundle_opens_with_the_index(index_args, tiny_world, tmp_path):
    report = main(index_args()).as_dict()
    assert (report["rows_in"], report["rows_out"], report["rows_failed"]) == (12, 12, 0)
    assert report["output"] == str(tmp_path / "index")
    index = load_bundle(str(tiny_world.bundle), index=str(tmp_path / "index"), vision=False).index
    features = read_features(tiny_world.features)
    embedded = load_projection(str(tiny_world.bundle)).embed(features.vectors)
    assert [hits[0].id for hits in index.search(embedded, top_k=1)] == features.ids
    assert index.ids == Catalogue.open(tiny_world.catalogue).table["id"].to_pylist()


@pytest.mark.usefixtures("alone")
def test_items_are_found_by_captions_or_by_a_weighted_sum_and_without_a_caption_by_the_picture(
    index_args, tiny_world, tmp_path
):
    tiny.write_squares(tmp_path / "uncaptioned", captions={"green": None, "blue": "  "})
    catalogue = Catalogue.open(tmp_path / "uncaptioned")
    features = tiny.write_random_features(tmp_path / "features", catalogue)
    model = load_bundle(str(tiny_world.bundle), vision=False, dtype=torch.float32)
    images = model.image_embeddings(torch.from_numpy(read_features(features).of(catalogue.table["id"].to_pylist())))
    captions = model.text_embeddings([f"A picture of {colour} square." for colour in tiny.COLOURS]).numpy()
    images = images.numpy()
    both = 0.25 * images + 0.75 * captions
    both /= np.linalg.norm(both, axis=1, keepdims=True)
    for vectors, expected in (("caption", captions), ("both", both)):
        expected = expected.copy()
        expected[[1, 2]] = images[[1, 2]]
        where = str(tmp_path / vectors)
        changes = {"catalogue": str(tmp_path / "uncaptioned"), "features": str(features), "out": where}
        main(index_args(vectors=vectors, words=0, **changes))
        index = RetrievalIndex.load(where, fingerprint=model.fingerprint)
        assert index.info.vectors == vectors
        hits = index.search(expected, top_k=1)
        assert [hit[0].id for hit in hits] == catalogue.table["id"].to_pylist()
        assert [hit[0].score for hit in hits] == pytest.approx([1.0] * 12, abs=2e-2)


def test_an_item_is_read_by_its_caption_and_by_some_of_its_tags_beside_it():
    items = pa.table(
        {
            "caption": ["red hat", "scarf", None, " "],
            "attributes": pa.array(
                [[("tags", "hat, sun, red, summer"), ("subgroup", "head-wear")], [], [("tags", "lost")], []],
                type=pa.map_(pa.string(), pa.string()),
            ),
        }
    )
    assert texts_of(items, prompt="A picture of", words=3) == [
        ["A picture of red hat.", "A picture of red hat, sun."],
        ["A picture of scarf."],
        [],
        [],
    ]
    assert texts_of(items, prompt="", words=5)[0][1] == "red hat, sun, summer, head wear."
    assert texts_of(items, prompt="", words=0)[0] == ["red hat."]


def test_an_item_s_texts_count_as_their_mean_beside_the_picture(tiny_world):
    model = load_bundle(str(tiny_world.bundle), vision=False, dtype=torch.float32)
    images = model.image_embeddings(torch.randn(2, tiny.FEATURE_WIDTH)).detach().numpy()
    texts = ["A red hat.", "A red hat, sun."]
    rows = pa.table({"row": [7, 3], "texts": [["A scarf."], texts]})
    read = ReadTexts(bundle=str(tiny_world.bundle), threads=1)(rows)
    assert read["row"].to_pylist() == [7, 3]
    found = item_vectors(images, np.stack([matrix_of(read["told"])[1], np.zeros(16)]), kind="both", picture_share=0.4)
    told = model.text_embeddings(texts).numpy().mean(axis=0)
    expected = 0.4 * images[0] + 0.6 * told / np.linalg.norm(told)
    np.testing.assert_allclose(found[0], expected / np.linalg.norm(expected), atol=2e-2)
    np.testing.assert_allclose(found[1], images[1], atol=1e-6)


@pytest.mark.parametrize(("field", "value"), [("picture_share", 1.5), ("words", -1)])
def test_a_share_or_a_count_that_cannot_be_is_refused_by_name(field, value):
    with pytest.raises(ConfigError, match=f"{field} is .*for example"):
        IndexArgs(**{field: value})


@pytest.mark.parametrize(("field", "value"), [("shard_rows", 0), ("workers", 0), ("num_gpus", -0.5), ("max_failed", 2)])
def test_a_number_that_can_not_work_is_refused_by_name(field, value):
    with pytest.raises(ConfigError, match=f"{field} is {value}; expected"):
        IndexArgs(**{field: value})


def test_items_without_features_are_counted_and_left_out(index_args, tiny_world, tmp_path):
    catalogue = Catalogue.open(tiny_world.catalogue)
    some = tiny.write_random_features(tmp_path / "some", catalogue, without=5)
    report = main(index_args(features=str(some))).as_dict()
    assert (report["rows_in"], report["rows_out"], report["rows_failed"]) == (12, 7, 5)
    assert len(RetrievalIndex.load(tmp_path / "index")) == 7
    failures = pq.read_table(tmp_path / "index" / "failures.parquet").to_pylist()
    assert [failure["row"] for failure in failures] == [8, 9, 10, 11, 12]
    assert {(failure["stage"], failure["error"]) for failure in failures} == {("features", "NoFeatures")}
    assert failures[0]["id"] == catalogue.table["id"][7].as_py()


@pytest.mark.usefixtures("nothing_embedded", "whole_index")
def test_an_index_that_is_up_to_date_is_left_alone(index_args, tmp_path):
    before = (tmp_path / "index" / "index.json").stat().st_mtime_ns
    assert main(index_args()).as_dict()["skipped"]
    assert (tmp_path / "index" / "index.json").stat().st_mtime_ns == before


@pytest.mark.usefixtures("nothing_embedded", "whole_index")
def test_another_caption_is_shown_by_an_index_of_pictures_without_embedding_anything(index_args, tmp_path):
    other = tiny.write_squares(tmp_path / "other squares", captions={"red": "a crimson square"})
    report = main(index_args(catalogue=str(other.folder))).as_dict()
    assert (report["added"], report["changed"], report["rows_failed"]) == (0, 1, 0)
    assert RetrievalIndex.load(tmp_path / "index").item(other.items()[0].id).caption == "a crimson square"


@pytest.mark.usefixtures("nothing_embedded", "whole_index")
def test_another_bundle_other_vectors_or_force_embed_again(index_args, tiny_world, tmp_path):
    other_bundle = tiny.write_bundle(tmp_path / "other bundle", lm=tiny_world.lm, seed=1)
    for changes in (
        {"bundle": str(other_bundle)},
        {"force": True},
        {"vectors": "both"},
        {"dtype": "float16"},
    ):
        with pytest.raises(AssertionError, match="items were embedded"):
            main(index_args(**changes))


@pytest.mark.usefixtures("nothing_embedded")
def test_captions_counted_or_read_otherwise_are_another_index(index_args, tiny_world, tmp_path):
    index = RetrievalIndex.build(
        np.eye(12, 16, dtype=np.float32),
        Catalogue.open(tiny_world.catalogue).table,
        fingerprint=load_projection(str(tiny_world.bundle)).fingerprint,
        catalogue="squares",
        catalogue_fingerprint=Catalogue.open(tiny_world.catalogue).fingerprint,
        vectors_of="both",
        picture_share=0.25,
        words=4,
    )
    index.save(tmp_path / "index")
    assert main(index_args(vectors="both")).as_dict()["skipped"]
    for changes in ({"picture_share": 0.5}, {"words": 0}, {"vectors": "caption"}):
        with pytest.raises(AssertionError, match="items were embedded"):
            main(index_args(**({"vectors": "both"} | changes)))


@pytest.mark.usefixtures("nothing_embedded")
def test_a_folder_that_holds_something_else_is_not_replaced(index_args, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "holiday.jpg").write_bytes(b"dear")
    with pytest.raises(ConfigError, match="holds something else"):
        main(index_args(out=str(tmp_path / "photos")))
    assert (tmp_path / "photos" / "holiday.jpg").read_bytes() == b"dear"


def test_features_of_another_encoder_are_refused_and_nothing_is_written(index_args, tiny_world, tmp_path):
    catalogue = Catalogue.open(tiny_world.catalogue)
    other = tiny.write_random_features(tmp_path / "other", catalogue, encoder_fingerprint="of another encoder")
    with pytest.raises(FingerprintMismatch, match=r"another vision encoder.*found of another encoder"):
        main(index_args(features=str(other)))
    assert not (tmp_path / "index").exists()


def test_features_of_another_state_of_the_catalogue_are_refused(index_args, tiny_world, tmp_path):
    info = json.loads((tiny_world.features / "features.json").read_text())
    stale = tmp_path / "stale"
    stale.mkdir()
    (stale / "features-00000.parquet").write_bytes((tiny_world.features / "features-00000.parquet").read_bytes())
    (stale / "features.json").write_text(json.dumps(info | {"catalogue_fingerprint": "older"}))
    with pytest.raises(FingerprintMismatch, match=r"another state.*jobs\.embed.*found older"):
        main(index_args(features=str(stale)))


def test_what_is_missing_is_named_with_the_command_that_makes_it(index_args, tmp_path):
    with pytest.raises(MissingArtefact, match=r"catalogue.*jobs\.ingest"):
        main(index_args(catalogue=str(tmp_path / "none")))
    with pytest.raises(MissingArtefact, match=r"bundle.*jobs\.finetune"):
        main(index_args(bundle=str(tmp_path / "none")))
    with pytest.raises(MissingArtefact, match=r"features.*jobs\.embed"):
        main(index_args(features=str(tmp_path / "none")))


def test_the_stage_names_the_column_that_it_misses(tiny_world):
    stage = ReadTexts(bundle=str(tiny_world.bundle), threads=1)
    with pytest.raises(CatalogueError, match="missing columns texts"):
        stage(pa.table({"row": [1]}))
