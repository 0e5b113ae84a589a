"""A matrix survives the way through an Arrow column."""

import numpy as np
import pyarrow as pa
import pytest

from jobs.common.tables import matrix_of, vectors_of


def test_a_matrix_comes_back_from_a_sliced_and_chunked_column():
    matrix = np.arange(12, dtype=np.float32).reshape(4, 3)
    column = vectors_of(matrix)
    assert column.type == pa.list_(pa.float32(), 3)
    np.testing.assert_array_equal(matrix_of(column), matrix)
    assert matrix_of(column).flags.writeable
    np.testing.assert_array_equal(matrix_of(column.slice(1, 2)), matrix[1:3])
    chunked = pa.chunked_array([column.slice(2), column.slice(0, 2)])
    np.testing.assert_array_equal(matrix_of(chunked), matrix[[2, 3, 0, 1]])


def test_a_missing_vector_is_an_error():
    with pytest.raises(ValueError, match="1 nulls"):
        matrix_of(pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2)))
