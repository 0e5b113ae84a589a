"""Catalogue, features and bundle become an index, or an error that says which of them does not fit."""

import json

import numpy as np
import pyarrow as pa
import pytest
import torch

from fromage_model.bundle import load_bundle, load_projection
from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.features import read_features
from fromage_model.errors import CatalogueError, ConfigError, FingerprintMismatch, MissingArtefact
from fromage_model.index import RetrievalIndex
from jobs.image_embeddings import ProjectFeatures
from jobs.index import IndexArgs, main
from jobs.item_vectors import item_vectors, read_texts, texts_of
from tests.jobs import tiny


@pytest.fixture
def args(tiny_world, tmp_path):
    def of(**changes) -> IndexArgs:
        settings = {
            "catalogue": str(tiny_world.catalogue),
            "bundle": str(tiny_world.bundle),
            "features": str(tiny_world.features),
            "out": str(tmp_path / "index"),
            "vectors": "image",
        }
        return IndexArgs(**(settings | changes))

    return of


@pytest.fixture
def no_ray(monkeypatch):
    def started():
        raise AssertionError("Ray was started")

    monkeypatch.setattr("jobs.index.ray_session", started)


@pytest.fixture
def whole_index(tiny_world, tmp_path):
    """What the job would write, made without it."""
    catalogue = Catalogue.open(tiny_world.catalogue)
    projection = load_projection(str(tiny_world.bundle))
    RetrievalIndex.build(
        projection.embed(read_features(tiny_world.features).of(catalogue.table["id"].to_pylist())),
        catalogue.table,
        fingerprint=projection.fingerprint,
        catalogue=catalogue.name,
        catalogue_fingerprint=catalogue.fingerprint,
    ).save(tmp_path / "index")


@pytest.mark.usefixtures("ray_session")
def test_every_item_is_found_by_its_own_picture_and_the_bundle_opens_with_the_index(args, tiny_world, tmp_path):
    report = main(args()).as_dict()
    assert (report["rows_in"], report["rows_out"], report["rows_failed"]) == (12, 12, 0)
    assert report["output"] == str(tmp_path / "index")
    index = load_bundle(str(tiny_world.bundle), index=str(tmp_path / "index"), vision=False).index
    features = read_features(tiny_world.features)
    embedded = load_projection(str(tiny_world.bundle)).embed(features.vectors)
    assert [hits[0].id for hits in index.search(embedded, top_k=1)] == features.ids
    assert index.ids == Catalogue.open(tiny_world.catalogue).table["id"].to_pylist()


@pytest.mark.usefixtures("ray_session")
def test_items_are_found_by_captions_or_by_a_weighted_sum_and_without_a_caption_by_the_picture(
    args, tiny_world, tmp_path
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
        main(args(vectors=vectors, words=0, **changes))
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


@pytest.mark.usefixtures("ray_session")
def test_an_item_s_texts_count_as_their_mean_beside_the_picture(tiny_world):
    model = load_bundle(str(tiny_world.bundle), vision=False, dtype=torch.float32)
    images = model.image_embeddings(torch.randn(2, tiny.FEATURE_WIDTH)).detach().numpy()
    texts = [["A red hat.", "A red hat, sun."], []]
    read = read_texts(texts, width=16, bundle=str(tiny_world.bundle), workers=1, threads=1)
    found = item_vectors(images, read, kind="both", picture_share=0.4)
    told = model.text_embeddings(texts[0]).numpy().mean(axis=0)
    expected = 0.4 * images[0] + 0.6 * told / np.linalg.norm(told)
    np.testing.assert_allclose(found[0], expected / np.linalg.norm(expected), atol=2e-2)
    np.testing.assert_allclose(found[1], images[1], atol=1e-6)


@pytest.mark.parametrize(("field", "value"), [("picture_share", 1.5), ("words", -1)])
def test_a_share_or_a_count_that_cannot_be_is_refused_by_name(field, value):
    with pytest.raises(ConfigError, match=f"{field} is .*for example"):
        IndexArgs(**{field: value})


@pytest.mark.usefixtures("ray_session")
def test_items_without_features_are_counted_and_left_out(args, tiny_world, tmp_path):
    catalogue = Catalogue.open(tiny_world.catalogue)
    some = tiny.write_random_features(tmp_path / "some", catalogue, without=5)
    report = main(args(features=str(some))).as_dict()
    assert (report["rows_in"], report["rows_out"], report["rows_failed"]) == (12, 7, 5)
    assert len(RetrievalIndex.load(tmp_path / "index")) == 7


@pytest.mark.usefixtures("no_ray", "whole_index")
def test_an_index_that_is_up_to_date_is_left_alone_and_starts_no_ray(args, tmp_path):
    before = (tmp_path / "index" / "index.json").stat().st_mtime_ns
    assert main(args()).as_dict()["skipped"]
    assert (tmp_path / "index" / "index.json").stat().st_mtime_ns == before


@pytest.mark.usefixtures("no_ray", "whole_index")
def test_another_bundle_another_caption_other_vectors_or_force_embed_again(args, tiny_world, tmp_path):
    other_bundle = tiny.write_bundle(tmp_path / "other bundle", lm=tiny_world.lm, seed=1)
    tiny.write_squares(tmp_path / "other squares", captions={"red": "a crimson square"})
    for changes in (
        {"bundle": str(other_bundle)},
        {"catalogue": str(tmp_path / "other squares")},
        {"force": True},
        {"vectors": "both"},
        {"dtype": "float16"},
    ):
        with pytest.raises(AssertionError, match="Ray was started"):
            main(args(**changes))


@pytest.mark.usefixtures("no_ray")
def test_captions_counted_or_read_otherwise_are_another_index(args, tiny_world, tmp_path):
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
    assert main(args(vectors="both")).as_dict()["skipped"]
    for changes in ({"picture_share": 0.5}, {"words": 0}, {"vectors": "caption"}):
        with pytest.raises(AssertionError, match="Ray was started"):
            main(args(**({"vectors": "both"} | changes)))


@pytest.mark.usefixtures("no_ray")
def test_a_folder_that_holds_something_else_is_not_replaced(args, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "holiday.jpg").write_bytes(b"dear")
    with pytest.raises(ConfigError, match="holds something else"):
        main(args(out=str(tmp_path / "photos")))
    assert (tmp_path / "photos" / "holiday.jpg").read_bytes() == b"dear"


@pytest.mark.usefixtures("ray_session")
def test_features_of_another_encoder_are_refused_and_nothing_is_written(args, tiny_world, tmp_path):
    catalogue = Catalogue.open(tiny_world.catalogue)
    other = tiny.write_random_features(tmp_path / "other", catalogue, encoder_fingerprint="of another encoder")
    with pytest.raises(FingerprintMismatch, match=r"another vision encoder.*found of another encoder"):
        main(args(features=str(other)))
    assert not (tmp_path / "index").exists()


@pytest.mark.usefixtures("ray_session")
def test_features_of_another_state_of_the_catalogue_are_refused(args, tiny_world, tmp_path):
    info = json.loads((tiny_world.features / "features.json").read_text())
    stale = tmp_path / "stale"
    stale.mkdir()
    (stale / "features-00000.parquet").write_bytes((tiny_world.features / "features-00000.parquet").read_bytes())
    (stale / "features.json").write_text(json.dumps(info | {"catalogue_fingerprint": "older"}))
    with pytest.raises(FingerprintMismatch, match=r"another state.*jobs\.embed.*found older"):
        main(args(features=str(stale)))


@pytest.mark.usefixtures("ray_session")
def test_what_is_missing_is_named_with_the_command_that_makes_it(args, tmp_path):
    with pytest.raises(MissingArtefact, match=r"catalogue.*jobs\.ingest"):
        main(args(catalogue=str(tmp_path / "none")))
    with pytest.raises(MissingArtefact, match=r"bundle.*jobs\.finetune"):
        main(args(bundle=str(tmp_path / "none")))
    with pytest.raises(MissingArtefact, match=r"features.*jobs\.embed"):
        main(args(features=str(tmp_path / "none")))


def test_the_stage_names_the_column_that_it_misses(tiny_world):
    stage = ProjectFeatures(str(tiny_world.bundle), threads=1)
    with pytest.raises(CatalogueError, match="missing columns vector"):
        stage(Catalogue.open(tiny_world.catalogue).table.select(["id"]))
