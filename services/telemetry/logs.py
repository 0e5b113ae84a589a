"""What the replicas log: where it goes, in which form, and what it must not hold. Knows nothing of chats.

Ray Serve writes each replica's lines to a file of its own, and puts the id of the request that is being worked for into
each of them, in every deployment.
"""

import logging
import re
from typing import Literal

from fromage_model.errors import FromageError

SERVE = "ray.serve"
OURS = ("services", "fromage_model")
KEY_IN_PATH = re.compile(r"(?<=/k/)[^/\s?#]+")
LogFormat = Literal["text", "json"]


def logging_config(log_format: LogFormat) -> dict[str, object]:
    """`logging_config` for Serve and its deployments."""
    return {"encoding": log_format.upper()}


def log_as_serve() -> None:
    """In a replica, what our own modules log goes to the replica's file, with its level and its request's id.

    By itself it would be printed, which Serve takes for news without a level, a line of a traceback at a time.
    """
    serve = logging.getLogger(SERVE)
    if shorten_refusal not in serve.filters:
        serve.addFilter(shorten_refusal)
    for name in OURS:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = serve.handlers, False
        logger.setLevel(logging.INFO)


def shorten_refusal(record: logging.LogRecord) -> bool:
    """Serve logs whatever a deployment raises as a failure with its traceback; a refusal is news, of one line."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, FromageError):
        record.levelno, record.levelname = logging.INFO, "INFO"
        record.msg, record.args = "refused: %s: %s", (type(error).__name__, without_keys(str(error)))
        record.exc_info = record.exc_text = None
    return True


def without_keys(text: str) -> str:
    """A key may be part of a path, as in `/k/KEY`, and is nobody's business in a log or a trace."""
    return KEY_IN_PATH.sub("...", text)
