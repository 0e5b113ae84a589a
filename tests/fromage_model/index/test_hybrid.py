"""Hybrid search ranks by what the LM asks for and by the user's words, both as far as they stand out."""

import numpy as np
import pytest

from fromage_model.errors import ConfigError, InvalidInput, RetrievalIndexError
from fromage_model.index import Plan, RetrievalIndex, Sentences
from fromage_model.index.space import Space
from fromage_model.index.vectors import VectorRows
from tests.fromage_model.index.items import items, unit_vectors

WIDTH, TOLD = 8, 12
SENTENCES = Sentences("tiny", "s1", TOLD)
HNSW = Plan("hnsw", "for the test")


def told(count: int, seed: int = 1) -> np.ndarray:
    return unit_vectors(count, TOLD, seed)


def build(count: int = 60, **settings) -> RetrievalIndex:
    texts = settings.pop("texts", told(count))
    sentences = SENTENCES if texts is not None else None
    vectors = unit_vectors(count, WIDTH)
    return RetrievalIndex.build(
        vectors, items(count), fingerprint="abc", catalogue="test", texts=texts, sentences=sentences, **settings
    )


def standardised(index: RetrievalIndex, query: np.ndarray, words: np.ndarray, weight: float) -> np.ndarray:
    """What every item is ranked by, computed the long way."""
    sides = [index.vectors @ query, index.texts @ words]
    own, said = ((cosines - cosines.mean()) / cosines.std() for cosines in sides)
    return (1 - weight) * own + weight * said


QUERY, WORDS = unit_vectors(1, WIDTH, seed=7)[0], unit_vectors(1, TOLD, seed=8)[0]


def found(index: RetrievalIndex, *, top_k: int = 10, **options) -> list[str]:
    return [hit.id for hit in index.search(QUERY, top_k=top_k, **options)[0]]


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 1.0])
def test_items_are_ranked_by_both_cosines_standardised_over_the_index(weight):
    index = build()
    order = np.argsort(-standardised(index, QUERY, WORDS, weight))
    assert found(index, texts=WORDS, text_weight=weight) == [index.ids[row] for row in order[:10]]


def test_the_score_stays_the_cosine_of_what_the_lm_asks_for():
    index = build()
    for hit in index.search(QUERY, top_k=5, texts=WORDS, text_weight=0.8)[0]:
        assert hit.score == pytest.approx(float(index.vectors_for([hit.id])[0] @ QUERY), abs=1e-6)


def test_a_filter_and_exclusions_leave_the_order_of_the_others_as_it_was():
    index = build(count=200)
    whole = found(index, top_k=200, texts=WORDS)
    left = [id for id in whole if int(id[2:]) % 10 == 3 and id != "id13"]
    assert found(index, top_k=200, texts=WORDS, filter={"brand": "Tenth"}, exclude=["id13"]) == left
    three = found(index, texts=WORDS, filter={"brand": "Three"})
    assert three == [id for id in whole if id in ("id50", "id150", "id151")]


def test_faiss_names_candidates_of_both_and_finds_what_the_exact_search_finds():
    exact, graph = build(count=1500), build(count=1500, plan=HNSW)
    assert graph.info.sentences.measured.recall_at_10 > 0.95
    for seed in range(20):
        query, words = unit_vectors(1, WIDTH, seed=seed), unit_vectors(1, TOLD, seed=seed + 100)
        truth, near = (index.search(query, top_k=5, texts=words)[0] for index in (exact, graph))
        assert len({hit.id for hit in truth} & {hit.id for hit in near}) >= 4


def test_deviations_follow_from_the_covariance_of_the_living():
    vectors, living = unit_vectors(300, WIDTH), np.arange(300) % 3 > 0
    queries = unit_vectors(4, WIDTH, seed=3)
    expected = (vectors[living] @ queries.T).std(axis=0)
    np.testing.assert_allclose(Space(VectorRows([vectors]), living).deviations(queries), expected, rtol=1e-4)


@pytest.mark.parametrize("plan", [Plan("exact", "small"), HNSW], ids=lambda plan: plan.kind)
def test_upserts_deletes_and_compaction_keep_texts_in_step(plan, tmp_path):
    index = build(count=80, plan=plan)
    index.upsert(unit_vectors(30, WIDTH, seed=4), items(30, first=60), texts=told(30, seed=5))
    index.delete([f"id{row}" for row in range(20)])
    expected = np.concatenate([told(80)[20:60], told(30, seed=5)])
    np.testing.assert_array_equal(index.texts, expected)
    index.save(tmp_path / "index")
    loaded = RetrievalIndex.load(tmp_path / "index")
    assert found(loaded, texts=WORDS) == found(index, texts=WORDS)
    loaded.compact()
    assert found(loaded, texts=WORDS) == found(index, texts=WORDS)
    loaded.save(tmp_path / "index")
    np.testing.assert_array_equal(RetrievalIndex.load(tmp_path / "index").texts, expected)


def test_an_index_is_told_texts_and_forgets_them_with_its_vectors_as_they_were(tmp_path):
    index = build(texts=None)
    index.delete(["id0"])
    index.tell(told(59), SENTENCES)
    index.save(tmp_path / "index")
    loaded = RetrievalIndex.load(tmp_path / "index")
    assert (loaded.info.sentences, len(loaded)) == (SENTENCES, 59)
    np.testing.assert_array_equal(loaded.texts, told(59))
    loaded.forget_texts()
    loaded.save(tmp_path / "index")
    assert not list((tmp_path / "index").glob("texts-*"))
    bare = RetrievalIndex.load(tmp_path / "index")
    assert (bare.info.sentences, bare.texts) == (None, None)
    np.testing.assert_array_equal(bare.vectors, unit_vectors(60, WIDTH)[1:])


def test_what_can_not_be_is_refused_by_name():
    index, bare = build(), build(texts=None)
    for weight in (-0.1, 1.5, "much", True):
        with pytest.raises(InvalidInput, match="text_weight from 0 to 1"):
            index.search(QUERY, top_k=1, texts=WORDS, text_weight=weight)
    for texts, message in ((unit_vectors(1, 3), "width 12"), (told(2), "1 texts"), (WORDS * np.nan, "finite texts")):
        with pytest.raises(InvalidInput, match=message):
            index.search(QUERY, top_k=1, texts=texts)
    with pytest.raises(InvalidInput, match="not made for hybrid search"):
        bare.search(QUERY, top_k=1, texts=WORDS)
    with pytest.raises(RetrievalIndexError, match="embeddings of the items' texts, got none"):
        index.upsert(unit_vectors(1, WIDTH), items(1))
    with pytest.raises(RetrievalIndexError, match="no texts' embeddings"):
        bare.upsert(unit_vectors(1, WIDTH), items(1), texts=told(1))
    with pytest.raises(RetrievalIndexError, match=r"shape \(60, 12\)"):
        build(texts=told(59))
    with pytest.raises(ConfigError, match="dtype"):
        build(dtype="float64")
