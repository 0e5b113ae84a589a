"""A run as the driver sees it: begun or continued, its shards sent through Ray Data, its output read back."""

import hashlib
import io
import json
import logging
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fromage_model.catalogue.schema import FAILURES_SCHEMA
from fromage_model.catalogue.table import FAILURES_FILE
from fromage_model.errors import SettingsDiffer, WriteError
from fromage_model.storage.artefacts import is_uri
from jobs.common.durable.files import Files
from jobs.common.durable.guard import (
    DONE,
    FAILED_ID,
    FAILED_IMAGE,
    Plan,
    ShardDone,
    manifest_file,
    raise_stopped,
    shard_file,
    split,
)
from jobs.common.durable.here import do_here, done_here
from jobs.common.durable.pools import Stage, stream
from jobs.common.durable.work import shard_count, write_work

RUN_FILE = "run.json"
SHARD_ROWS = 64
# Shards that one Ray Data execution is given: what the driver holds of them is small, but it is something.
SHARDS_AT_ONCE = 4096

log = logging.getLogger(__name__)


class DurableRun:
    """Work of one job in one folder; see the package's docstring."""

    def __init__(self, files: Files, state: dict[str, Any]):
        self.files = files
        self.state = state
        self.source: str = state["source"]
        self.rows: int = state["rows"]
        self.shard_rows: int = state["shard_rows"]
        self.done: dict[int, ShardDone] = {}

    @classmethod
    def open(
        cls,
        folder: str | Path,
        *,
        job: str,
        settings: dict[str, Any],
        source: str,
        rows: Iterable[pa.Table],
        shard_rows: int = SHARD_ROWS,
        force: bool = False,
        retry_failed: bool = False,
    ) -> "DurableRun":
        """Begin the work, or go on with what `folder` holds of it. `settings` must go through JSON unchanged.

        Raises SettingsDiffer where it was begun with others, WriteError where the folder can't be written.
        """
        begun = None if force else cls.begun(folder, job=job, settings=settings, shard_rows=shard_rows)
        if begun is not None:
            if begun.source == source:
                return begun.resumed(retry_failed=retry_failed)
            log.warning("%s: the input has changed since it was begun; starting anew", begun.files.root)
        files = Files(folder)
        state = _state(job, settings, shard_rows) | {"source": source}
        files.remove_all()
        files.make()
        count = write_work(files, rows, shard_rows=shard_rows)
        digest = hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()[:32]
        state |= {"rows": count, "shard_rows": shard_rows, "fingerprint": digest}
        files.write(RUN_FILE, json.dumps(state, indent=2).encode())
        return cls(files, state)

    @classmethod
    def begun(cls, folder: str | Path, *, job: str, settings: dict[str, Any], shard_rows: int) -> "DurableRun | None":
        """What `folder` holds, whatever its source, or None; of what is done it knows once it is `resumed`.

        Raises SettingsDiffer where it was begun with other settings.
        """
        files = Files(folder)
        found = cls._found(files)
        if found is None:
            return None
        _refuse_other(found, _state(job, settings, shard_rows), folder=files.root)
        return cls(files, found)

    @staticmethod
    def forget(folder: str | Path) -> None:
        """Remove what is left of a run whose output is in its place: it was killed before it could do so."""
        if is_uri(folder) or Path(folder).exists():
            Files(folder).remove_all()

    @staticmethod
    def _found(files: Files) -> dict[str, Any] | None:
        """What run.json says; it is written last, so without it nothing was begun."""
        try:
            return json.loads(files.read(RUN_FILE) or b"null")
        except ValueError:
            return None

    def resumed(self, *, retry_failed: bool = False) -> "DurableRun":
        """Take over the shards that have a manifest of this run and a file of the size that it tells."""
        sizes = self.files.names()
        manifests = {manifest_file(shard): shard for shard in range(self.shards) if manifest_file(shard) in sizes}
        for name, data in self.files.read_all(list(manifests)).items():
            shard, manifest = manifests[name], json.loads(data)
            whole = sizes.get(shard_file(shard)) == manifest["bytes"]
            if not whole or manifest["fingerprint"] != self.state["fingerprint"]:
                continue
            if retry_failed and manifest["failed"]:
                self.files.remove(name)
                continue
            self.done[shard] = ShardDone(shard, manifest["rows"], manifest["failed"], manifest["reasons"])
        if self.done:
            kept = sum(done.rows for done in self.done.values())
            log.info("%s: going on, %d of %d rows are done", self.files.root, kept, self.rows)
        return self

    @property
    def shards(self) -> int:
        return shard_count(self.rows, self.shard_rows)

    @property
    def rows_done(self) -> int:
        return sum(done.rows for done in self.done.values())

    @property
    def rows_failed(self) -> int:
        return sum(done.failed for done in self.done.values())

    @property
    def reasons(self) -> dict[str, int]:
        """Failures by error class."""
        return dict(sum((Counter(done.reasons) for done in self.done.values()), Counter[str]()))

    def process(
        self,
        stages: Sequence[Stage],
        *,
        session: Callable[[], AbstractContextManager[None]] = nullcontext,
        on_shard: Callable[[ShardDone], None] = lambda done: None,
    ) -> None:
        """Do every shard that is not done; `on_shard` hears of each.

        `session` is entered where it takes Ray; without it, one must run then. Raises what a stage raised that concerns
        more than a row, and WriteError where a shard can't be written.
        """
        missing = [shard for shard in range(self.shards) if shard not in self.done]
        here = done_here(self.files, missing, num_gpus=max(stage.num_gpus for stage in stages))
        with nullcontext() if here or not missing else session():
            for start in range(0, len(missing), SHARDS_AT_ONCE):
                shards = missing[start : start + SHARDS_AT_ONCE]
                guards = self._guards(stages)
                doing = do_here(self.files, shards, guards) if here else stream(shards, stages, guards)
                with closing(doing) as blocks:
                    for done in chain.from_iterable(map(_told, blocks)):
                        self.done[done.shard] = done
                        on_shard(done)
        if len(self.done) != self.shards:
            raise RuntimeError(f"{self.files.root}: {len(self.done)} of {self.shards} shards came back")

    def _guards(self, stages: Sequence[Stage]) -> list[dict[str, Any]]:
        """What the guard of each stage is made with."""
        plan = Plan(
            root=self.files.root,
            shard_rows=self.shard_rows,
            rows=self.rows,
            session=uuid.uuid4().hex,
            fingerprint=self.state["fingerprint"],
            settings=self.state["settings"],
        )
        return [
            {
                "plan": plan,
                "position": position,
                "last": position == len(stages) - 1,
                "name": stage.name or stage.make.__name__,
                "make": stage.make,
                "options": stage.options,
            }
            for position, stage in enumerate(stages)
        ]

    def tables(self) -> Iterator[pa.Table]:
        """The rows that are well of each finished shard, sorted by `row` within it.

        Raises WriteError for a damaged shard.
        """
        for shard in sorted(self.done):
            well, _ = split(self._read(shard))
            if well.num_rows:
                yield well

    def failures(self) -> Iterator[pa.Table]:
        """The failed rows of each shard that has some, with the columns of FAILURES_SCHEMA."""
        for shard, done in sorted(self.done.items()):
            if done.failed:
                table = self._read(shard)
                ill = table.filter(table["error"].is_valid())
                kept = {"id": FAILED_ID, "image": FAILED_IMAGE}
                columns = [ill[kept.get(name, name)] for name in FAILURES_SCHEMA.names]
                yield pa.Table.from_arrays(columns, names=FAILURES_SCHEMA.names).cast(FAILURES_SCHEMA)

    def write_failures(self, folder: Path) -> None:
        """failures.parquet in `folder`, a shard at a time; it is there, empty, where no row failed."""
        with pq.ParquetWriter(folder / FAILURES_FILE, FAILURES_SCHEMA) as writer:
            for table in self.failures():
                writer.write_table(table)

    def remove(self) -> None:
        """The folder of the run and all that is in it: once its output is elsewhere."""
        self.files.remove_all()

    def _read(self, shard: int) -> pa.Table:
        data = self.files.read(shard_file(shard)) or b""
        manifest = json.loads(self.files.read(manifest_file(shard)) or b"{}")
        if hashlib.sha256(data).hexdigest() != manifest.get("sha256"):
            self.files.remove(manifest_file(shard))
            raise WriteError(f"{self.files.root}/{shard_file(shard)} is damaged; the same command makes it again")
        return pq.read_table(io.BytesIO(data))


def _told(block: pa.Table) -> list[ShardDone]:
    """What a block says, or raises."""
    raise_stopped(block)
    return [ShardDone(**json.loads(done)) for done in block[DONE].to_pylist()]


def work_folder(target: str | Path) -> str:
    """Where the work on an artefact is kept while it is not whole: beside it."""
    if is_uri(target):
        return f"{str(target).rstrip('/')}.work"
    path = Path(target).expanduser().resolve()
    return str(path.parent / f".{path.name}.work")


def _state(job: str, settings: dict[str, Any], shard_rows: int) -> dict[str, Any]:
    """What must be the same for work to go on, as JSON gives it back."""
    return json.loads(json.dumps({"job": job, "settings": settings | {"shard_rows": shard_rows}}))


def _refuse_other(found: dict[str, Any], wanted: dict[str, Any], *, folder: str) -> None:
    before = {"job": found["job"]} | found["settings"]
    now = {"job": wanted["job"]} | wanted["settings"]
    differing = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    if differing:
        listed = "; ".join(f"{name}: {before.get(name)!r} then, {now.get(name)!r} now" for name in differing)
        raise SettingsDiffer(
            f"{folder} holds work that was begun with other settings ({listed}). Use those to go on, or --force to "
            f"start anew"
        )
