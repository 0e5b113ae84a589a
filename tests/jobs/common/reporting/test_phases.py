"""A job's phases: their seconds, and a live view that is made of what is logged of them."""

import io
import logging
import time

from rich.console import Console
from rich.progress import Progress as View

from jobs.common.reporting.phases import PhaseRows, Phases, is_line
from jobs.common.reporting.progress import Progress


def test_every_moment_between_the_first_phase_and_the_end_is_in_one_phase(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    phases = Phases()
    for name, lasts_s in (("reading", 2.0), ("training", 5.5), ("reading", 0.25)):
        phases.begin(name)
        clock[0] += lasts_s
    phases.end()
    clock[0] += 9.0
    assert phases.seconds == {"reading": 2.25, "training": 5.5}
    assert list(phases.seconds) == ["reading", "training"]


def test_a_line_tells_the_time_left_of_this_epoch_and_of_all(monkeypatch):
    progress = Progress("epoch 1 of 3", total=4, of="steps", then=8)
    progress.done = 2
    monkeypatch.setattr(Progress, "seconds", 10.0)
    assert progress.line() == "epoch 1 of 3: 2 of 4 steps, 0.2 steps/s, 0:10 left, 0:50 in all"


def test_the_live_view_has_a_row_for_each_phase_with_the_progress_of_the_last(monkeypatch, caplog):
    caplog.set_level(logging.INFO, logger="jobs")
    view = View(console=Console(file=io.StringIO()))
    rows = PhaseRows(view)
    monkeypatch.setattr(logging.getLogger("jobs"), "handlers", [rows])
    phases = Phases()
    phases.begin("reading texts")
    phases.begin("epoch 1 of 2")
    Progress("epoch 1 of 2", total=4, of="steps", then=4, every_s=0.0).add(2)
    first, second = view.tasks
    assert (first.description, first.finished) == ("reading texts", True)
    assert (second.description, second.completed, second.total) == ("epoch 1 of 2", 2, 4)
    assert "2 of 4 steps" in second.fields["told"]
    assert " in all" in second.fields["told"]


def test_what_the_live_view_shows_is_not_said_in_lines_as_well(caplog):
    caplog.set_level(logging.INFO, logger="jobs")
    Phases().begin("reading texts")
    Progress("reading texts", total=1).add(1)
    logging.getLogger("jobs.finetune").info("12 items")
    assert [record.getMessage() for record in caplog.records if is_line(record)] == ["12 items"]
