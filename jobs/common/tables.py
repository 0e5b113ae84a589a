"""Arrow tables: rows by their id, and matrices as columns of fixed-size lists, which every reader of parquet knows."""

import numpy as np
import pyarrow as pa


def vectors_of(matrix: np.ndarray) -> pa.FixedSizeListArray:
    """(N, W) -> a column of N lists of W float32."""
    flat = np.ascontiguousarray(matrix, dtype=np.float32).reshape(-1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), matrix.shape[1])


def matrix_of(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """A column of N lists of W numbers, none of them null -> (N, W) float32, a copy that may be written to."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if array.null_count:
        raise ValueError(f"expected vectors in every row, got {array.null_count} nulls")
    return np.array(array.flatten(), dtype=np.float32).reshape(len(array), array.type.list_size)


def rows_of(items: pa.Table, ids: list[str]) -> pa.Table:
    """The rows of these ids, in their order."""
    row_of = {id: row for row, id in enumerate(items["id"].to_pylist())}
    return items.take(pa.array([row_of[id] for id in ids], pa.int64()))
