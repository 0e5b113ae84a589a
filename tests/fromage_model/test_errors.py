"""Errors say the same in the process that they reach as in the one that raised them."""

import pickle

import pytest

from fromage_model.errors import FingerprintMismatch, ImageError


@pytest.mark.parametrize(
    "error",
    [FingerprintMismatch("index shop", expected="a1", found="b2"), ImageError("too large", field="messages.0")],
)
def test_an_error_crosses_processes_with_all_that_it_says(error):
    arrived = pickle.loads(pickle.dumps(error))
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert vars(arrived) == vars(error)
