"""Work that survives being killed: rows, cut into shards, go through Ray Data actors, and each shard is kept when done.

    rows = pa.table({"row": [1, 2, 3], "id": [...], "image": [...], ...})
    run = DurableRun.open(folder, job="embed", settings={"encoder": ...}, source=catalogue.fingerprint, rows=[rows])
    stages = [Stage(Decode, {...}, num_cpus=1, workers=(1, 4)), Stage(Encode, {...}, num_gpus=1)]
    run.process(stages, session=ray_session, on_shard=...)
    for table in run.tables(): ...      # what the last stage gave, shard by shard, each verified
    run.write_failures(artefact)        # failures.parquet
    run.remove()                        # once the artefact is in its place

*Rows.* Any tables with a column `row` (int64, unique; by convention counted from 1 in the order of the feed);
`id` and `image`, where they are, are named in the failures table. Every `shard_rows` rows are one shard, so the same
rows give the same shards. Rows lie in work.parquet: neither the driver nor Ray ever holds more than a few shards.

*Stages.* A class made once in each actor with the keyword arguments given, and called with one pyarrow table: all rows
of a shard that are still well. It gives back one row for each, `row` among the columns, in any order; what else it
gives is the next stage's input, and the last stage's is what is kept (plain Arrow columns). A row that went wrong has
the columns of `jobs.common.stages.rows.failed` (`stage, error, message`, and `attempts` if you like); null or absent
`error` means well. Failed rows skip the stages that follow. A stage that raises on a table is called again row by row,
and the rows that raise are failures; but an error of ours other than InvalidInput, and any OSError while a shard is
written (a full disk), stop the job. A row at which the worker process dies twice, after it died over the shard as a
whole, is a failure, `WorkerDied`.

*Without Ray.* Where one shard is missing, nobody chose a Ray (by `RAY_ADDRESS`, or as one that runs) and no stage wants
a GPU, the process that runs does it: a small catalogue costs nothing but its work. Where it dies at a row, so does the
job; the same command then goes on with workers.

*Files.* `folder` is a path or an fsspec URI that every node can write to. In it: run.json (settings), work.parquet, and
for each finished shard `shard-000012.parquet` (rows that are well and rows that failed) with its manifest
`shard-000012.json` (rows, failed, sha256, fingerprint of the run, settings). Both are written under a temporary name,
fsynced, and renamed when whole, the manifest last: a shard counts once it has its manifest. Whatever is killed, at most
the shards in flight are done again.

*Opening again.* The same settings and rows: finished shards are kept. Other settings: SettingsDiffer, which names them;
`force=True` starts anew. Another `source` (the input changed): starts anew by itself, and says so.
`retry_failed=True` does shards again in which a row failed.
"""

from jobs.common.durable.files import Files
from jobs.common.durable.guard import ShardDone
from jobs.common.durable.pools import Stage
from jobs.common.durable.run import DurableRun, work_folder

__all__ = ["DurableRun", "Files", "ShardDone", "Stage", "work_folder"]
