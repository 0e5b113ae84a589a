"""A job ends with one line of JSON, and with an exit code that says how it went."""

import io
import json
import logging
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from fromage_model.errors import CatalogueError
from jobs.common.durable import ShardDone
from jobs.common.durable.memory import peak_rss_bytes
from jobs.common.reporting import progress as module
from jobs.common.reporting.progress import duration
from jobs.common.reporting.report import Progress, Report, run
from tests.lines import said


@dataclass(frozen=True)
class Args:
    """Do nothing."""

    rows: int = 3
    """Rows to pretend."""


def outcome(main, monkeypatch, *argv: str) -> int:
    monkeypatch.setattr("sys.argv", ["job", *argv])
    with pytest.raises(SystemExit) as left:
        run(main, Args)
    return left.value.code


def done(args: Args) -> Report:
    return Report("job", rows_in=args.rows, rows_out=2, rows_failed=1, seconds=1.5, output="/tmp/x", items=7)


def test_the_last_line_holds_the_figures(monkeypatch, capsys):
    def main(args: Args) -> Report:
        print("something before")
        return done(args)

    assert outcome(main, monkeypatch, "--rows", "6") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {
        "job": "job",
        "rows_in": 6,
        "rows_out": 2,
        "rows_failed": 1,
        "seconds": 1.5,
        "rows_per_second": 4.0,
        "output": "/tmp/x",
        "items": 7,
    }


def test_what_the_user_can_put_right_exits_with_2_and_no_traceback(monkeypatch, capsys):
    def main(args: Args) -> Report:
        raise CatalogueError("missing column image")

    assert outcome(main, monkeypatch) == 2
    assert said(capsys.readouterr().err) == ["error: missing column image"]


def test_an_unknown_option_exits_with_2(monkeypatch):
    assert outcome(done, monkeypatch, "--colour", "red") == 2


def test_ctrl_c_exits_with_130(monkeypatch):
    def main(args: Args) -> Report:
        raise KeyboardInterrupt

    assert outcome(main, monkeypatch) == 130


def test_an_unforeseen_error_keeps_its_traceback(monkeypatch):
    def main(args: Args) -> Report:
        raise ZeroDivisionError

    monkeypatch.setattr("sys.argv", ["job"])
    with pytest.raises(ZeroDivisionError):
        run(main, Args)


def test_a_job_whose_every_row_failed_exits_with_1(monkeypatch):
    def main(args: Args) -> Report:
        return Report("job", rows_in=2, rows_out=0, rows_failed=2, seconds=0, output="x")

    assert outcome(main, monkeypatch) == 1


def test_progress_is_logged_now_and_then_and_at_the_end(caplog):
    progress = Progress("embed", total=100, every_s=3600)
    with caplog.at_level(logging.INFO, logger=module.__name__):
        for _ in range(100):
            progress.add(1)
    assert len(caplog.records) == 1
    assert "embed: 100 of 100 rows" in caplog.text


@pytest.mark.parametrize(("rows_failed", "code"), [(1, 0), (2, 1)])
def test_more_failures_than_allowed_are_told_in_words(monkeypatch, capsys, rows_failed, code):
    def main(args: Args) -> Report:
        return report_of(rows_failed)

    assert outcome(main, monkeypatch) == code
    told = "2 of 100 rows failed (2.0 %), more than --max-failed 0.01 (1 %) allows; /tmp/x/failures.parquet tells why"
    assert said(capsys.readouterr().err) == ([f"error: {told}"] if code else [])


def test_the_place_that_is_named_is_where_the_table_is_if_there_is_one():
    assert (report_of(2, failures="captions/failures.parquet").verdict or "").endswith(
        "allows; /tmp/x/captions/failures.parquet tells why"
    )
    assert (report_of(2, failures=None).verdict or "").endswith("(1 %) allows")
    assert report_of(100, failures=None).verdict == "all 100 rows failed"


def test_a_job_that_looks_at_some_rows_of_many_is_judged_by_the_many():
    assert report_of(100, judged_rows=10_000).verdict is None
    assert (report_of(100, judged_rows=5_000).verdict or "").startswith("100 of 5000 rows failed (2.0 %)")


def report_of(rows_failed: int, **given) -> Report:
    rows = {"rows_in": 100, "rows_out": 100 - rows_failed, "rows_failed": rows_failed}
    return Report("job", **rows, seconds=1, output="/tmp/x", max_failed=0.01, **given)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_in_a_terminal_progress_is_one_live_view(monkeypatch, caplog):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    with caplog.at_level(logging.INFO, logger=module.__name__), Progress("embed", total=10, done=2) as progress:
        progress.add(4, failed=3)
    assert "embed" in terminal.getvalue()
    assert "6/10" in terminal.getvalue()
    assert "3 failed" in terminal.getvalue()
    assert caplog.records == []


def assert_rate_of(progress: Progress, *, rows: int) -> None:
    """Time goes on between two looks at the clock, so the rate lies between what it was before and after."""
    before_s = progress.seconds
    rate = progress.rows_per_second
    assert rows / progress.seconds <= rate <= rows / before_s


def test_progress_knows_what_went_before_and_what_is_left():
    progress = Progress("embed", total=100, done=40, failed=1)
    progress.shard(ShardDone(0, 20, 2, {"ImageError": 2}, {"host:1": 10**9}))
    progress.shard(ShardDone(1, 20, 1, {"ImageError": 1}, {"host:1": 10**9, "host:2": 10**9}))
    assert (progress.done, progress.failed, progress.reasons) == (80, 4, {"ImageError": 3})
    assert_rate_of(progress, rows=40)
    assert 2000 < progress.peak_rss_mb < 20_000
    assert [duration(seconds) for seconds in (None, 5.4, 125, 3725)] == ["?", "0:05", "2:05", "1:02:05"]


def test_rows_of_a_run_that_was_killed_are_done_but_make_the_rate_no_better(caplog):
    progress = Progress("ingest", total=100)
    progress.go_on(done=60, failed=3)
    assert progress.rows_per_second == 0
    with caplog.at_level(logging.INFO, logger=module.__name__):
        progress.add(40, failed=1)
    assert "ingest: 100 of 100 rows" in caplog.text
    assert "4 failed" in caplog.text
    assert_rate_of(progress, rows=40)


@pytest.mark.parametrize(("platform", "expected_bytes"), [("linux", 1024_000), ("darwin", 1000)])
def test_peak_memory_is_in_bytes_whatever_the_system_counts_in(monkeypatch, platform, expected_bytes):
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr("resource.getrusage", lambda who: SimpleNamespace(ru_maxrss=1000))
    assert peak_rss_bytes() == expected_bytes
