"""The app over a scripted LM, asked without a server."""

import pytest
from fastapi.testclient import TestClient

from tests.services.http.chatting import client_of


@pytest.fixture
def client() -> TestClient:
    return client_of()
