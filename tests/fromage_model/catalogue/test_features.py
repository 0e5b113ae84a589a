"""Features come back as they were written, sorted by id, in a form that every reader of parquet knows."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fromage_model.catalogue import features as module
from fromage_model.catalogue.features import FeaturesInfo, read_features, write_features
from fromage_model.errors import CatalogueError, MissingArtefact


def info(rows: int, width: int = 4) -> FeaturesInfo:
    return FeaturesInfo("tiny", "encoder-1", "shop", "catalogue-1", rows, 0, width, {"device": "cpu"})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROWS_PER_SHARD", 2)
    vectors = np.arange(12, dtype=np.float32).reshape(3, 4)
    write_features(tmp_path, ids=["c", "a", "b"], vectors=vectors, info=info(3))
    return tmp_path


def test_features_come_back_sorted_by_id(folder):
    features = read_features(folder)
    assert features.ids == ["a", "b", "c"]
    assert features.vectors.dtype == np.float32
    assert features.vectors.tolist() == [[4, 5, 6, 7], [8, 9, 10, 11], [0, 1, 2, 3]]
    assert (features.encoder_fingerprint, features.catalogue_fingerprint, len(features)) == (
        "encoder-1",
        "catalogue-1",
        3,
    )


def test_features_are_given_in_the_order_asked_for(folder):
    features = read_features(folder)
    assert features.of(["c", "a", "c"])[:, 0].tolist() == [0, 4, 0]
    with pytest.raises(CatalogueError, match="1 of 2 items have no features, the first is x"):
        features.of(["a", "x"])


def test_shards_hold_plain_fixed_size_lists(folder):
    shards = sorted(folder.glob("features-*.parquet"))
    assert len(shards) == 2
    schema = pq.read_schema(shards[0])
    assert schema.names == ["id", "view", "vector"]
    assert schema.field("vector").type == pa.list_(pa.float32(), 4)
    assert pq.read_table(shards[0])["view"].to_pylist() == ["full", "full"]


def test_missing_or_incomplete_features_are_refused(folder, tmp_path):
    with pytest.raises(MissingArtefact, match=r"jobs\.embed"):
        read_features(tmp_path / "absent")
    (folder / "features-00001.parquet").unlink()
    with pytest.raises(CatalogueError, match="expected 3 features, found 2"):
        read_features(folder)
    (folder / "features.json").unlink()
    with pytest.raises(CatalogueError, match=r"no features\.json"):
        read_features(folder)
    (folder / "features.json").write_text("{}")
    with pytest.raises(CatalogueError, match="does not describe features"):
        read_features(folder)


def test_features_of_another_width_are_refused(folder):
    (folder / "features.json").write_text((folder / "features.json").read_text().replace('"width": 4', '"width": 5'))
    with pytest.raises(CatalogueError, match="width 5"):
        read_features(folder)
