"""What a command says while it works: lines with a date, and of other libraries only what is wrong.

Knows no command. The library only logs; the processes that `python -m ...` starts call `dated_lines` once.
"""

import logging
import os
import sys
import warnings
from typing import TextIO

DATES = "%Y-%m-%d %H:%M:%S"
OURS = ("fromage_model", "jobs", "services", "scripts", "__main__")
# Libraries that print on their own account, past logging, and take this from the environment as they are imported.
QUIET = {"TRANSFORMERS_VERBOSITY": "error", "HF_HUB_VERBOSITY": "error"}
# A bar is drawn over and over in one place, which only a terminal has.
NO_BARS = {"TQDM_DISABLE": "1"}
# What is said at every start of something that is as it should be: a token was written, progress bars are off.
NO_NEWS = (
    "ray._private.authentication.authentication_token_setup",
    "ray.data._internal.progress",
)

log = logging.getLogger(__name__)


class Dated(logging.Formatter):
    """`2026-11-28 09:46:38 12 items indexed`; before a warning or an error stands that it is one, and whose."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(message)s", DATES)

    def formatMessage(self, record: logging.LogRecord) -> str:
        whose = "" if is_ours(record) else f"{record.name.partition('.')[0]}: "
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        return f"{record.asctime} {level}{whose}{record.message}"


class Lines(logging.Handler):
    """Writes to what sys.stderr is at that moment: under a live view, lines go above it.

    With `news_to_stdout`, for a command that has no result to print there, only what is wrong goes to stderr.
    """

    def __init__(self, *, news_to_stdout: bool = False):
        super().__init__()
        self.news_to_stdout = news_to_stdout
        self.setFormatter(Dated())
        # Ray marks records so that are for its log files alone.
        self.addFilter(lambda record: not getattr(record, "hide", False))

    def emit(self, record: logging.LogRecord) -> None:
        to_stdout = self.news_to_stdout and record.levelno < logging.WARNING
        print(self.format(record), file=sys.stdout if to_stdout else sys.stderr, flush=True)


def dated_lines(*, news_to_stdout: bool = False) -> None:
    """From here on what is logged is one dated line: all that is ours, of others warnings and errors.

    To be called before heavy imports. Handlers that the process has, as under pytest, stay.
    """
    for name, value in (QUIET if sys.stderr.isatty() else QUIET | NO_BARS).items():
        os.environ.setdefault(name, value)
    root = logging.getLogger()
    if not any(isinstance(handler, Lines) for handler in root.handlers):
        root.addHandler(Lines(news_to_stdout=news_to_stdout))
    hear_ours()
    for name in NO_NEWS:
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.showwarning = _show_warning


def hear_ours() -> None:
    """What is ours is logged from INFO on, whoever writes it down."""
    for name in OURS:
        logging.getLogger(name).setLevel(logging.INFO)


def is_ours(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] in OURS


def hand_on(name: str) -> None:
    """What the logger of a library printed by itself goes to ours, warnings and errors alone; its files stay."""
    logger = logging.getLogger(name)
    for handler in list(logger.handlers):
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            logger.removeHandler(handler)
    logger.setLevel(logging.WARNING)
    logger.propagate = True


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """One line instead of Python's two, of which the second is a library's source."""
    log.warning("%s (%s, %s:%d)", " ".join(str(message).split()), category.__name__, filename, lineno)
