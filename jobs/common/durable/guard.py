"""What stands around a stage in its Ray actor: failed rows step aside, deaths are counted, finished shards are written.

Knows nothing of what a stage does, and the driver hears of a shard only its counts.
"""

import hashlib
import io
import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fromage_model import errors
from fromage_model.catalogue.schema import FAILURES_SCHEMA, TIMESTAMP
from fromage_model.errors import FromageError, InvalidInput
from jobs.common.durable.claims import Claim
from jobs.common.durable.files import Files
from jobs.common.durable.memory import peak_rss_bytes, this_process
from jobs.common.durable.work import Work
from jobs.common.stages.rows import failed, require_columns

# Columns of a block beside those of the stages, and the one of what the driver is told.
SHARD, WORKERS, DONE = "shard", "workers", "done"
# The column of the block that says why the job must stop.
STOPPED = "stopped"
# A worker that died over a shard takes its rows one by one; a row at which it then died twice is given up.
DEATHS_BEFORE_ONE_BY_ONE = 1
DEATHS_OF_A_ROW = 2
FAILED_COLUMNS = ("row", "stage", "error", "message", "attempts", "failed_at")
FAILED_SCHEMA = pa.schema([FAILURES_SCHEMA.field(name).with_nullable(True) for name in FAILED_COLUMNS])
# What a failed row was, beside the columns of the stage's own that may be called the same.
FAILED_ID, FAILED_IMAGE = "failed_id", "failed_image"


@dataclass(frozen=True)
class ShardDone:
    """What the driver hears of a finished shard.

    `reasons` counts failures by error class; `workers` are the processes that had it, with their peak memory in bytes.
    """

    shard: int
    rows: int
    failed: int
    reasons: dict[str, int] = field(default_factory=dict)
    workers: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What a guard must know of its run; small, and the same for every stage."""

    root: str
    shard_rows: int
    rows: int
    session: str
    fingerprint: str
    settings: dict[str, Any]


class Guard:
    """A stage of a run as a Ray Data callable: a block with all rows of one shard in, the same out.

    The first one makes the block from the shard's number alone; the last one gives `ShardDone` as JSON.
    """

    def __init__(self, *, plan: Plan, position: int, last: bool, name: str, make: type, options: dict[str, Any]):
        self.plan = plan
        self.files = Files(plan.root)
        self.work = Work(self.files, shard_rows=plan.shard_rows)
        self.position = position
        self.last = last
        self.name = name
        self.broken: FromageError | None = None
        try:
            self.stage = make(**options)
        except FromageError as error:
            self.broken = error

    def __call__(self, block: pa.Table) -> pa.Table:
        """What stops the job is handed on as a block, which the driver raises: Ray would bury it in tracebacks."""
        if STOPPED in block.column_names:
            return block
        try:
            if self.broken is not None:
                raise self.broken
            return self._shard(block)
        except FromageError as error:
            return pa.table({STOPPED: [type(error).__name__], "message": [str(error)]})

    def close(self) -> None:
        """Let go of what the stage holds, where it outlives its use; a worker ends with all that it has."""
        getattr(getattr(self, "stage", None), "close", lambda: None)()

    def _shard(self, block: pa.Table) -> pa.Table:
        shard = block[SHARD][0].as_py()
        workers = json.loads(block[WORKERS][0].as_py())
        rows = self.work.shard(shard) if self.position == 0 else block.drop_columns([SHARD, WORKERS])
        well, ill = split(rows)
        if well.num_rows:
            given, newly_ill = split(self._run(shard, well))
            check_rows(well, given, newly_ill, stage=self.name)
            ill = pa.concat_tables([ill, newly_ill])
            well = given
        workers |= {this_process(): peak_rss_bytes()}
        if self.last:
            return self._keep(shard, well, ill, workers)
        joined = pa.concat_tables([well, ill], promote_options="default") if ill.num_rows else well
        joined = joined.append_column(SHARD, pa.array([shard] * joined.num_rows, pa.int64()))
        return joined.append_column(WORKERS, pa.array([json.dumps(workers)] * joined.num_rows))

    def _run(self, shard: int, rows: pa.Table) -> pa.Table:
        claim = Claim.of(self.files, session=self.plan.session, shard=shard, position=self.position)
        claim.start()
        result = None
        if claim.starts <= DEATHS_BEFORE_ONE_BY_ONE:
            try:
                result = self.stage(rows)
            except InvalidInput:
                result = None
            except FromageError:
                claim.end()
                raise
            except Exception:  # whatever it is, row by row it becomes the failure of the rows that cause it
                result = None
        if result is None:
            result = self._one_by_one(rows, claim)
        claim.end()
        return result

    def _one_by_one(self, rows: pa.Table, claim: Claim) -> pa.Table:
        done = []
        for place in range(rows.num_rows):
            row = rows.slice(place, 1)
            number = row["row"][0].as_py()
            deaths = claim.deaths(number)
            if deaths >= DEATHS_OF_A_ROW:
                error = WorkerDied(f"the worker process died {deaths} times at this row")
                done.append(failed_rows([number], stage=self.name, error=error, attempts=deaths))
                continue
            claim.take(number)
            try:
                done.append(self.stage(row))
            except InvalidInput as error:
                done.append(failed_rows([number], stage=self.name, error=error))
            except FromageError:
                raise
            except Exception as error:
                done.append(failed_rows([number], stage=self.name, error=error))
            claim.let_go(number)
        return pa.concat_tables(done, promote_options="default")

    def _keep(self, shard: int, well: pa.Table, ill: pa.Table, workers: dict[str, int]) -> pa.Table:
        """Write the shard, then its manifest; gives one row with what the driver is told."""
        if ill.num_rows:
            ill = self._named(shard, ill)
        joined = pa.concat_tables([well, ill], promote_options="default").sort_by("row")
        expected = min(self.plan.shard_rows, self.plan.rows - shard * self.plan.shard_rows)
        if joined.num_rows != expected:
            raise RuntimeError(f"shard {shard}: expected {expected} rows, got {joined.num_rows}")
        buffer = io.BytesIO()
        pq.write_table(joined, buffer)
        data = buffer.getbuffer()
        done = ShardDone(
            shard=shard,
            rows=joined.num_rows,
            failed=ill.num_rows,
            reasons=dict(Counter(ill["error"].to_pylist())),
            workers=workers,
        )
        manifest = {
            "rows": done.rows,
            "failed": done.failed,
            "reasons": done.reasons,
            "sha256": hashlib.sha256(data).hexdigest(),
            "bytes": len(data),
            "fingerprint": self.plan.fingerprint,
            "settings": self.plan.settings,
            "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self.files.write(shard_file(shard), data)
        self.files.write(manifest_file(shard), json.dumps(manifest).encode())
        return pa.table({DONE: [json.dumps(asdict(done))]})

    def _named(self, shard: int, ill: pa.Table) -> pa.Table:
        """Failed rows with the id and image that the work gives them, which later stages may not have handed on."""
        work = self.work.shard(shard)
        place = pc.index_in(ill["row"], value_set=work["row"].combine_chunks())
        for name, kept in (("id", FAILED_ID), ("image", FAILED_IMAGE)):
            values = work[name].take(place) if name in work.column_names else pa.nulls(ill.num_rows, pa.string())
            ill = ill.append_column(kept, values.cast(pa.string()))
        return ill


class WorkerDied(Exception):
    """The process of a worker ended while it was at a row: killed, out of memory, or crashed in native code."""


def begun(shard: int) -> pa.Table:
    """The block that the first stage is given."""
    return pa.table({SHARD: pa.array([shard], pa.int64()), WORKERS: ["{}"]})


def raise_stopped(block: pa.Table) -> None:
    """Raises what a worker raised that concerns more than a row, if this block tells of it."""
    if STOPPED in block.column_names:
        name, message = block[STOPPED][0].as_py(), block["message"][0].as_py()
        kind = getattr(errors, name, FromageError)
        raise FromageError(message) if kind is errors.FingerprintMismatch else kind(message)


def split(rows: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Rows that are well, without the columns of failures, and those that failed, with these columns alone."""
    require_columns(rows, ["row"], stage="a durable run")
    if "error" not in rows.column_names:
        return rows, FAILED_SCHEMA.empty_table()
    is_well = rows["error"].is_null()
    others = {*FAILED_COLUMNS, FAILED_ID, FAILED_IMAGE} - {"row"}
    own = [name for name in rows.column_names if name not in others]
    well = rows.filter(is_well).select(own)
    ill = rows.filter(pc.invert(is_well))
    now = pa.array([datetime.now(UTC)] * ill.num_rows, TIMESTAMP)
    defaults = {"attempts": pa.array([1] * ill.num_rows, pa.int32()), "failed_at": now}
    columns = [_or_else(ill, name, defaults.get(name)) for name in FAILED_COLUMNS]
    return well, pa.Table.from_arrays(columns, names=list(FAILED_COLUMNS)).cast(FAILED_SCHEMA)


def _or_else(rows: pa.Table, name: str, default: pa.Array | None) -> pa.ChunkedArray | pa.Array:
    """A column, and `default` where it is not there or null."""
    if name not in rows.column_names:
        return default
    return rows[name] if default is None else pc.coalesce(rows[name].cast(default.type), default)


def failed_rows(rows: list[int], *, stage: str, error: Exception, attempts: int = 1) -> pa.Table:
    """Rows that went wrong with one error."""
    reason = failed(stage, error) | {"attempts": attempts, "failed_at": datetime.now(UTC)}
    return pa.Table.from_pylist([{"row": row} | reason for row in rows], schema=FAILED_SCHEMA)


def check_rows(given: pa.Table, well: pa.Table, ill: pa.Table, *, stage: str) -> None:
    """Raises RuntimeError where a stage did not give back each of its rows once."""
    back = sorted([*well["row"].to_pylist(), *ill["row"].to_pylist()])
    if back != sorted(given["row"].to_pylist()):
        raise RuntimeError(f"{stage}: got {given.num_rows} rows and gave back {len(back)}, or others")


def shard_file(shard: int) -> str:
    return f"shard-{shard:06d}.parquet"


def manifest_file(shard: int) -> str:
    return f"shard-{shard:06d}.json"
