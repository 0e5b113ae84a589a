"""One table says how each exception is told to a client."""

import inspect
import logging

import pytest

from fromage_model import errors as domain
from fromage_model.errors import BundleError, ImageError, InvalidInput
from services import errors as served
from services.http import errors
from services.http.errors import INTERNAL, TABLE, error_object, log_error, problem_of


def test_every_error_of_the_services_is_in_the_table():
    classes = [kind for room in (errors, served) for _, kind in inspect.getmembers(room, inspect.isclass)]
    ours = {kind for kind in classes if issubclass(kind, Exception) and kind.__module__.startswith("services")}
    assert ours
    assert ours <= {kind for kind, _ in TABLE}


def test_no_entry_is_hidden_by_an_earlier_one():
    kinds = [kind for kind, _ in TABLE]
    hidden = [kind for place, kind in enumerate(kinds) if any(issubclass(kind, before) for before in kinds[:place])]
    assert hidden == []


def test_error_object_has_openais_fields():
    error = ImageError("not an image", field="messages.0.content.0.image_url.url")
    assert error_object(error, request_id="r1") == {
        "error": {
            "message": "not an image",
            "type": "invalid_request_error",
            "param": "messages.0.content.0.image_url.url",
            "code": "invalid_image",
        }
    }


@pytest.mark.parametrize("error", [RuntimeError("/srv/x"), BundleError("/srv/x"), KeyError("/srv/x")])
def test_what_is_not_in_the_table_is_told_by_its_request_id_alone(error: Exception):
    assert problem_of(error) is INTERNAL
    assert error_object(error, request_id="r1")["error"]["message"] == "internal error, request id r1"


def test_log_has_the_request_id_and_the_traceback_of_a_bug(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, logger="ray.serve"):
        log_error(RuntimeError("the cause"), request_id="r1")
        log_error(InvalidInput("empty", field="messages"), request_id="r2")
    assert "r1" in caplog.text
    assert "RuntimeError: the cause" in caplog.text
    assert "r2: 400 empty (messages)" in caplog.text


def test_domain_errors_that_a_client_causes_have_a_client_status():
    caused = [kind for _, kind in inspect.getmembers(domain, inspect.isclass) if issubclass(kind, InvalidInput)]
    assert [problem_of(kind("x")).status for kind in caused] == [400] * len(caused)
