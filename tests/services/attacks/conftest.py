"""One app for all attacks: what the last one did to it, the next one would feel."""

import pytest
from fastapi.testclient import TestClient

from tests.services.attacks.asking import app_client


@pytest.fixture(scope="module")
def client() -> TestClient:
    return app_client()
