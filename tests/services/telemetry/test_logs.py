"""What the replicas log: refusals in one line, and never a key."""

import logging
from collections.abc import Iterator

import pytest

from fromage_model.errors import ImageError
from services.errors import NotFound
from services.http.errors import log_error
from services.telemetry.logs import OURS, SERVE, log_as_serve, logging_config, without_keys


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What Serve's logger writes after a replica has begun; the process's logging is put back."""
    serve, before = logging.getLogger(SERVE), {}
    for name in (SERVE, *OURS):
        logger = logging.getLogger(name)
        before[logger] = (logger.handlers, logger.propagate, logger.level, logger.filters)
        logger.filters = list(logger.filters)
    serve.handlers, serve.propagate = [caplog.handler], False
    serve.setLevel(logging.INFO)
    log_as_serve()
    yield caplog
    for logger, (handlers, propagate, level, filters) in before.items():
        logger.handlers, logger.propagate, logger.filters = handlers, propagate, filters
        logger.setLevel(level)


def fail_with(error: Exception) -> None:
    try:
        raise error
    except Exception:
        logging.getLogger(SERVE).exception("Request failed.")


def test_a_refusal_that_serve_calls_a_failure_is_one_line(logged: pytest.LogCaptureFixture):
    fail_with(ImageError("not an image that can be read"))
    (record,) = logged.records
    assert (record.levelname, record.getMessage()) == ("INFO", "refused: ImageError: not an image that can be read")
    assert record.exc_info is None


def test_a_failure_keeps_its_traceback(logged: pytest.LogCaptureFixture):
    fail_with(ZeroDivisionError("by nothing"))
    assert logged.records[0].levelname == "ERROR"
    assert "ZeroDivisionError: by nothing" in logged.text


@pytest.mark.parametrize("name", ["services.deployments.llm", "fromage_model.chat.engine"])
def test_what_our_modules_log_goes_where_serve_writes_with_its_level(name: str, logged: pytest.LogCaptureFixture):
    logging.getLogger(name).info("news")
    logging.getLogger(name).warning("a step failed")
    assert [(record.levelname, record.getMessage()) for record in logged.records] == [
        ("INFO", "news"),
        ("WARNING", "a step failed"),
    ]


def test_to_begin_twice_logs_once(logged: pytest.LogCaptureFixture):
    log_as_serve()
    logging.getLogger("services.app").info("news")
    assert len(logged.records) == 1


def test_a_key_in_a_path_is_not_logged(logged: pytest.LogCaptureFixture):
    log_error(NotFound("there is nothing at /k/fk-secret/nowhere"), request_id="one")
    assert "/k/.../nowhere" in logged.text
    assert "fk-secret" not in logged.text
    assert without_keys("/k/fk-secret") == "/k/..."
    assert without_keys("/v1/models?k=/k") == "/v1/models?k=/k"


def test_the_form_of_a_line_is_serve_s():
    assert logging_config("json") == {"encoding": "JSON"}
    assert logging_config("text") == {"encoding": "TEXT"}
