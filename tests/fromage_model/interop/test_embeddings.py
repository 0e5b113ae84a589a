"""The original's catalogue embeddings: every form, merged, searched with its own scores, and written back."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

from fromage_model.errors import CheckpointError
from fromage_model.interop import Embeddings, read_embeddings, write_embeddings
from tests.fromage_model.interop.originals import cosines
from tests.fromage_model.interop.originals import write_embeddings as write_original

VECTORS = torch.randn(6, 4, generator=torch.Generator().manual_seed(3)) * 5


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("form", ["array", "arrays", "tensors"])
def test_every_form_gives_the_same_items(form, protocol, tmp_path):
    read = read_embeddings(write_original(tmp_path / "a.pkl", VECTORS, form=form, protocol=protocol))
    assert read.paths == [f"a/{row}.jpg" for row in range(6)]
    assert read.item_urls is None
    assert read.vectors.dtype == np.float32
    np.testing.assert_array_equal(read.vectors, VECTORS.numpy())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_widths_of_numbers_become_float32(dtype, tmp_path):
    read = read_embeddings(write_original(tmp_path / "a.pkl", VECTORS.to(dtype), form="tensors"))
    assert read.vectors.dtype == np.float32
    np.testing.assert_array_equal(read.vectors, VECTORS.to(dtype).float().numpy())


def test_files_are_merged_in_their_order_whatever_their_forms(tmp_path):
    first = write_original(tmp_path / "b.pkl", VECTORS[:2].bfloat16(), form="tensors")
    second = write_original(tmp_path / "a.pkl", VECTORS[2:], form="array", urls=["u2", None, float("nan"), "u5"])
    read = read_embeddings([first, second])
    assert read.paths == ["b/0.jpg", "b/1.jpg", "a/0.jpg", "a/1.jpg", "a/2.jpg", "a/3.jpg"]
    assert read.item_urls == [None, None, "u2", None, None, "u5"]
    np.testing.assert_array_equal(read.vectors[:2], VECTORS[:2].bfloat16().float().numpy())
    np.testing.assert_array_equal(read.vectors[2:], VECTORS[2:].numpy())


def test_search_scores_are_cosines_and_scaled_the_original_s(tmp_path):
    read = read_embeddings(write_original(tmp_path / "a.pkl", VECTORS.bfloat16(), form="tensors"))
    index = read.to_index(fingerprint="f", name="a")
    queries = torch.nn.functional.normalize(torch.randn(5, 4, generator=torch.Generator().manual_seed(4)), dim=-1)
    wanted = cosines(queries.numpy(), VECTORS.bfloat16().float().numpy())
    # As `load_fromage` prepares its matrix: normalised, then multiplied by exp(logit_scale).
    matrix = VECTORS.bfloat16().float()
    matrix = torch.tensor(2.7).exp() * (matrix / matrix.norm(dim=1, keepdim=True))
    for row, hits in enumerate(index.search(queries.numpy(), top_k=6)):
        scores = {hit.item.image: hit.score for hit in hits}
        assert [hit.item.image for hit in hits] == [f"a/{item}.jpg" for item in np.argsort(-wanted[row])]
        np.testing.assert_allclose([scores[path] for path in read.paths], wanted[row], atol=1e-6)
        scaled = [scores[path] * np.exp(2.7) for path in read.paths]
        np.testing.assert_allclose(scaled, (matrix @ queries[row]).numpy(), rtol=1e-4, atol=1e-5)


def test_a_path_that_occurs_again_is_an_item_again(tmp_path):
    index = Embeddings(["a", "b", "a"], VECTORS[:3].numpy(), ["x", None, "x"]).to_index(fingerprint="f", name="n")
    assert len(set(index.ids)) == 3
    assert [index.item(id).image for id in index.ids] == ["a", "b", "a"]
    assert [index.item(id).item_url for id in index.ids] == ["x", None, "x"]


@pytest.mark.parametrize("urls", [None, [f"https://shop/{row}" for row in range(6)]])
def test_an_index_goes_out_and_comes_back(urls, tmp_path):
    read = read_embeddings(write_original(tmp_path / "a.pkl", VECTORS, form="array", urls=urls))
    index = read.to_index(fingerprint="f", name="a")
    write_embeddings(index, tmp_path / "out" / "b.pkl")
    again = read_embeddings(tmp_path / "out" / "b.pkl")
    assert (again.paths, again.item_urls) == (read.paths, urls)
    np.testing.assert_allclose(again.vectors, (VECTORS / VECTORS.norm(dim=1, keepdim=True)).numpy(), atol=1e-6)
    write_embeddings(read, tmp_path / "raw.pkl")
    np.testing.assert_array_equal(read_embeddings(tmp_path / "raw.pkl").vectors, VECTORS.numpy())


def test_the_original_reads_what_we_write_with_pickle_and_numpy_alone(tmp_path):
    write_embeddings(Embeddings(["a", "b"], VECTORS[:2].numpy()), tmp_path / "b.pkl")
    names = {name for name in (b"numpy._core", b"numpy.core", b"fromage") if name in (tmp_path / "b.pkl").read_bytes()}
    assert names == set()
    code = "import pickle, sys, numpy; x = pickle.load(open(sys.argv[1], 'rb')); e = x['embeddings']; e *= 2\n"
    code += "print(type(e).__name__, e.dtype, e.shape, x['paths'], float(e.sum()), 'torch' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "b.pkl"], capture_output=True, text=True, check=True
    )
    kind, dtype, *_, total, torch_came = result.stdout.split()
    assert (kind, dtype, torch_came) == ("ndarray", "float32", "False")
    assert float(total) == pytest.approx(2 * float(VECTORS[:2].sum()), rel=1e-5)


def pickled(path, **value):
    path.write_bytes(pickle.dumps(value))
    return path


BAD = {
    "no embeddings": ({"paths": ["a"]}, r"holds \['paths'\]; expected a dict with `paths` and `embeddings`"),
    "counts": ({"paths": ["a", "b"], "embeddings": np.ones((1, 4))}, r"has 2 paths, 1 embeddings"),
    "urls": ({"paths": ["a"], "embeddings": np.ones((1, 4)), "item_url": []}, r"1 embeddings, 0 item_url"),
    "widths": ({"paths": ["a", "b"], "embeddings": [np.ones(4), np.ones(3)]}, r"widths \[3, 4\] in one file"),
    "one vector": ({"paths": ["a"], "embeddings": np.ones(4)}, r"of shape \(4,\); expected one array \(N, S\)"),
    "empty": ({"paths": [], "embeddings": []}, r"of shape \(0, 0\)"),
    "texts": ({"paths": ["a"], "embeddings": ["b"]}, r"expected arrays or tensors of numbers .* got 'b'"),
    "paths": ({"paths": [3], "embeddings": np.ones((1, 4))}, r"`paths` has int in row 0; expected a text"),
    "nan": ({"paths": ["a"], "embeddings": np.full((1, 4), np.nan)}, r"embedding of a \(row 0\) holds NaN"),
    "strings": ({"paths": ["a"], "embeddings": np.array([["x"]])}, r"expected an array of numbers, got dtype '<U1'"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_can_t_be_used_is_named_with_its_file(case, tmp_path):
    value, message = BAD[case]
    with pytest.raises(CheckpointError, match=rf"bad\.pkl.*{message}"):
        read_embeddings(pickled(tmp_path / "bad.pkl", **value))


def test_files_of_two_widths_are_not_merged(tmp_path):
    files = [pickled(tmp_path / f"{width}.pkl", paths=["a"], embeddings=np.ones((1, width))) for width in (3, 4)]
    with pytest.raises(CheckpointError, match=r"3\.pkl: 3, .*4\.pkl: 4"):
        read_embeddings(files)


def test_a_vector_without_direction_is_named():
    with pytest.raises(CheckpointError, match=r"the embedding of b \(row 1\) is all zeros"):
        Embeddings(["a", "b"], np.array([[1, 1], [0, 0]], np.float32)).to_index(fingerprint="f", name="n")


def test_no_files_and_a_file_that_is_not_there_are_named(tmp_path):
    with pytest.raises(CheckpointError, match="at least one"):
        read_embeddings([])
    with pytest.raises(CheckpointError, match=r"nowhere\.pkl can't be opened"):
        read_embeddings(tmp_path / "nowhere.pkl")
