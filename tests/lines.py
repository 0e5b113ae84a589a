"""What a command said, held to its form."""

import re
from subprocess import CompletedProcess

DATED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S.*")


def said(output: str) -> list[str]:
    """The lines without their dates. Fails where one has none, or where something is drawn over and over."""
    lines = output.splitlines()
    assert [line for line in lines if not DATED.fullmatch(line)] == []
    return [line[len("2026-11-28 09:46:38 ") :] for line in lines]


def wrong(output: str) -> list[str]:
    """Of the lines, those that say that something is wrong."""
    return [line for line in said(output) if line.startswith(("warning: ", "error: "))]


def assert_only_news(job: CompletedProcess[str]) -> None:
    """A job in which nothing was wrong: dated lines without a warning, and one line of JSON for programs."""
    assert wrong(job.stderr) == []
    assert said(job.stderr)
    (line,) = job.stdout.splitlines()
    assert (line[0], line[-1]) == ("{", "}")
