"""The benchmark of retrieval draws vectors of the real ones' spectrum, knows the truth, and says what it promises."""

import numpy as np

from tests.benchmarks import retrieval
from tests.benchmarks.common.resampled import Resampled


def test_drawn_vectors_keep_the_mean_and_the_spectrum_of_the_real_ones():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(2000, 6)) * [1, 0.8, 0.5, 0.3, 0.1, 0.01] + 20
    real = (real / np.linalg.norm(real, axis=1, keepdims=True)).astype(np.float32)
    for noise in (0.0, 0.5, 1.0):
        drawn = Resampled(real, noise=noise).draw(real, 60_000, rng)
        np.testing.assert_allclose(drawn.mean(axis=0), real.mean(axis=0), atol=1e-3)
        spectra = [np.linalg.eigvalsh(np.cov(vectors.T)) for vectors in (real, drawn)]
        np.testing.assert_allclose(spectra[1][1:], spectra[0][1:], rtol=0.1)


def test_the_truth_is_that_of_a_sort(monkeypatch):
    monkeypatch.setattr(retrieval, "TRUTH_ROWS", 30)
    rng = np.random.default_rng(1)
    vectors, queries = rng.normal(size=(100, 5)), rng.normal(size=(4, 5))
    rows = np.flatnonzero(rng.random(100) < 0.7)
    for query, found in zip(queries, retrieval.nearest(vectors, queries, rows), strict=True):
        order = sorted(rows, key=lambda row, query=query: -float(vectors[row] @ query))
        assert found == {str(row) for row in order[:10]}


def test_it_says_what_it_promises_of_an_index_that_is_opened_again(tmp_path, capsys):
    args = retrieval.Args(items=3000, queries=40, kind="hnsw", catalogues=["openmoji"], folder=tmp_path / "index")
    figures = retrieval.main(args)
    assert list(figures) == [
        "items",
        "build_s",
        "p50_ms",
        "p99_ms",
        "recall_at_10",
        "filtered_p50_ms",
        "filtered_recall_at_10",
    ]
    assert figures["items"] == 3000
    assert min(figures["recall_at_10"], figures["filtered_recall_at_10"]) >= 0.95
    assert "hnsw, 3000 x 256" in capsys.readouterr().out
