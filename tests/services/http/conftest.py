"""The app over a scripted LM, asked without a server; and a real catalogue to search in."""

import pytest
from fastapi.testclient import TestClient

from services.deployments.retrieval import ProductShelf
from tests.services.http.chatting import client_of
from tests.services.http.colours import open_shelf


@pytest.fixture
def client() -> TestClient:
    return client_of()


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> ProductShelf:
    return open_shelf(tmp_path_factory.mktemp("colours"))
