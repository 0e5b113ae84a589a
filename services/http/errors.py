"""The one table that turns exceptions into HTTP. Knows nothing of Ray: `handles` translates what Ray raises.

A client sees the message of an exception in the table, and of no other.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fromage_model.errors import ImageError, InvalidInput, PromptTooLong
from services.errors import NotFound, Overloaded, PairRefused, TimedOut, Unavailable
from services.telemetry.logs import without_keys
from services.telemetry.metrics import REFUSALS

log = logging.getLogger("ray.serve")


class UnknownModel(InvalidInput):
    """A request for a model that is not the one being served."""


class MethodNotAllowed(InvalidInput):
    """A path that is known, asked with the wrong method."""


class NotAllowed(InvalidInput):
    """Something that only whoever runs the server may ask for."""


class KeyRefused(InvalidInput):
    """A request without an API key that holds."""


class BudgetSpent(InvalidInput):
    """A caller that asked for more than its budget. `headers`: what is left, and until when."""

    def __init__(self, message: str, retry_after_s: int, headers: Mapping[str, str]):
        super().__init__(message)
        self.headers = {**headers, "retry-after": str(retry_after_s)}


class BodyTooLarge(InvalidInput):
    """A request whose body is over the limit."""


class UnknownEncoding(InvalidInput):
    """A body packed in a way that we don't unpack."""


class SlowBody(InvalidInput):
    """A body that did not come in time."""


@dataclass(frozen=True)
class Problem:
    """How one kind of exception is told to a client. `retry_after_s`: when asking again makes sense."""

    status: int
    type: str
    code: str | None = None
    retry_after_s: int | None = None


TABLE: tuple[tuple[type[Exception], Problem], ...] = (
    (KeyRefused, Problem(401, "invalid_request_error", "invalid_api_key")),
    (BudgetSpent, Problem(429, "rate_limit_error", "rate_limit_exceeded")),
    (UnknownModel, Problem(404, "invalid_request_error", "model_not_found")),
    (NotFound, Problem(404, "invalid_request_error", "not_found")),
    (NotAllowed, Problem(403, "invalid_request_error", "not_allowed")),
    (MethodNotAllowed, Problem(405, "invalid_request_error", "method_not_allowed")),
    (BodyTooLarge, Problem(413, "invalid_request_error", "request_too_large")),
    (UnknownEncoding, Problem(415, "invalid_request_error", "unsupported_encoding")),
    (SlowBody, Problem(408, "invalid_request_error", "request_timeout")),
    (PromptTooLong, Problem(400, "invalid_request_error", "context_length_exceeded")),
    (PairRefused, Problem(409, "invalid_request_error", "pair_refused")),
    (ImageError, Problem(400, "invalid_request_error", "invalid_image")),
    (InvalidInput, Problem(400, "invalid_request_error", "invalid_value")),
    (Overloaded, Problem(503, "server_error", "overloaded", retry_after_s=2)),
    (Unavailable, Problem(503, "server_error", "unavailable", retry_after_s=5)),
    (TimedOut, Problem(504, "server_error", "timeout")),
)
INTERNAL = Problem(500, "server_error", "internal_error")


def problem_of(error: Exception) -> Problem:
    return next((problem for kind, problem in TABLE if isinstance(error, kind)), INTERNAL)


def headers_of(error: Exception) -> dict[str, str]:
    """When to ask again, and how to show who one is."""
    if isinstance(error, BudgetSpent):
        return error.headers
    if isinstance(error, KeyRefused):
        return {"www-authenticate": "Bearer"}
    problem = problem_of(error)
    return {} if problem.retry_after_s is None else {"retry-after": str(problem.retry_after_s)}


def error_object(error: Exception, *, request_id: str) -> dict[str, Any]:
    """OpenAI's error object for `error`; whatever is not in the table is told by its request id alone."""
    problem = problem_of(error)
    message = f"internal error, request id {request_id}" if problem is INTERNAL else str(error)
    fields = {"message": message, "type": problem.type, "param": getattr(error, "field", None), "code": problem.code}
    return {"error": fields}


def log_error(error: Exception, *, request_id: str) -> None:
    """The whole story for us: a traceback for what was not foreseen, one line for the rest."""
    problem = problem_of(error)
    REFUSALS.record(status=str(problem.status), code=problem.code or problem.type)
    said = without_keys(str(error))
    if problem is INTERNAL:
        log.error("request %s failed", request_id, exc_info=error)
    elif problem.status >= 500:
        log.warning("request %s: %s", request_id, said)
    else:
        log.info("request %s: %d %s (%s)", request_id, problem.status, said, getattr(error, "field", None))
