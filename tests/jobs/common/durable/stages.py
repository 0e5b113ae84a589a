"""Stages for tests of durable runs: they count, stumble, die, and take their time. Workers import them by name."""

import os
import signal
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import ray

from fromage_model.errors import ConfigError, InvalidInput
from jobs.common.embeddings.texts import ReadTexts


class Double:
    """row, number -> row, number, doubled. `slow_s` is waited for each row."""

    def __init__(self, *, slow_s: float = 0.0):
        self.slow_s = slow_s

    def __call__(self, rows: pa.Table) -> pa.Table:
        time.sleep(self.slow_s * rows.num_rows)
        return pa.table({"row": rows["row"], "number": rows["number"], "doubled": pc.multiply(rows["number"], 2)})


class Stumble:
    """Raises over every table with one of `bad` in it; the others come back in reverse."""

    def __init__(self, *, bad: list[int], error: type[Exception] = InvalidInput):
        self.bad = bad
        self.error = error

    def __call__(self, rows: pa.Table) -> pa.Table:
        for row in rows["row"].to_pylist():
            if row in self.bad:
                raise self.error(f"row {row} is bad")
        return rows.select(["row", "number"]).sort_by([("row", "descending")])


class Die:
    """Kills its own process at some rows, so many times each; the files of `diary` count them."""

    def __init__(self, *, times: dict[int, int], diary: str):
        self.times = times
        self.diary = Path(diary)

    def __call__(self, rows: pa.Table) -> pa.Table:
        for row in rows["row"].to_pylist():
            file = self.diary / str(row)
            deaths = len(file.read_text()) if file.exists() else 0
            if deaths < self.times.get(row, 0):
                file.write_text("+" * (deaths + 1))
                os.kill(os.getpid(), signal.SIGKILL)
        return rows.select(["row", "number"])


class InTheWay(Double):
    """Puts a folder where the first shard would be written."""

    def __init__(self, *, folder: str):
        super().__init__()
        (Path(folder) / "shard-000000.parquet").mkdir()


class Misconfigured(Double):
    """Can't work at all."""

    def __call__(self, rows: pa.Table) -> pa.Table:
        raise ConfigError("no such device")


class WhoDidIt:
    """row, ... -> the same, and under `name` the process and its share of a GPU, as `pid:share`.

    Each table takes `slow_s`.
    """

    def __init__(self, *, name: str, slow_s: float = 0.0):
        self.name = name
        self.slow_s = slow_s

    def __call__(self, rows: pa.Table) -> pa.Table:
        time.sleep(self.slow_s)
        share = ray.get_runtime_context().get_assigned_resources().get("GPU", 0)
        return rows.append_column(self.name, pa.array([f"{os.getpid()}:{share}"] * rows.num_rows))


class RefusingTexts(ReadTexts):
    """Reads texts, but those about one thing."""

    refused = "unreadable"

    def __call__(self, rows: pa.Table) -> pa.Table:
        if any(self.refused in text for own in rows["texts"].to_pylist() for text in own):
            raise InvalidInput(f"nobody can read {self.refused}")
        return super().__call__(rows)
