"""The rows of a run on disk, and how they are cut into shards. Knows nothing of Ray or of what is done with rows."""

import bisect
from collections.abc import Iterable
from itertools import accumulate

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.common.durable.files import Files

WORK_FILE = "work.parquet"
# A worker reads a whole row group to get at one shard: a group ends with the shard that reaches one of these.
GROUP_ROWS = 8192
GROUP_BYTES = 4 << 20


def write_work(files: Files, rows: Iterable[pa.Table], *, shard_rows: int) -> int:
    """Write the rows, shard after shard; returns how many there are. Memory: one row group and one of `rows`."""
    count = 0
    pending: list[pa.Table] = []
    writer: pq.ParquetWriter | None = None
    with files.create(WORK_FILE) as file:
        for table in rows:
            for start in range(0, table.num_rows, GROUP_ROWS):
                writer = writer or pq.ParquetWriter(file, table.schema)
                pending.append(table.slice(start, GROUP_ROWS))
                count += len(pending[-1])
                if sum(part.nbytes for part in pending) >= GROUP_BYTES or sum(map(len, pending)) >= GROUP_ROWS:
                    pending = _write_group(writer, pending, whole=shard_rows)
        if writer is not None:
            _write_group(writer, pending, whole=1)
            writer.close()
    return count


def _write_group(writer: pq.ParquetWriter, pending: list[pa.Table], *, whole: int) -> list[pa.Table]:
    """Write a multiple of `whole` rows of `pending` as one row group; what is over stays pending."""
    table = pa.concat_tables(pending)
    rows = len(table) // whole * whole
    if rows:
        writer.write_table(table.slice(0, rows).combine_chunks(), row_group_size=rows)
    return [table.slice(rows)]


class Work:
    """The rows of a run by shard, read where they are needed."""

    def __init__(self, files: Files, *, shard_rows: int):
        self._file = pq.ParquetFile(files.open(WORK_FILE))
        self._shard_rows = shard_rows
        meta = self._file.metadata
        self._ends = list(accumulate(meta.row_group(group).num_rows for group in range(meta.num_row_groups)))

    def shard(self, number: int) -> pa.Table:
        """The rows of one shard: `shard_rows` of them, or fewer in the last one."""
        start = number * self._shard_rows
        group = bisect.bisect_right(self._ends, start)
        first = self._ends[group] - self._file.metadata.row_group(group).num_rows
        return self._file.read_row_group(group).slice(start - first, self._shard_rows)


def shard_count(rows: int, shard_rows: int) -> int:
    return -(-rows // shard_rows)
