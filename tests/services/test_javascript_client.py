"""OpenAI's JavaScript client, unmodified, asks the real app: whole and streamed replies, and a refusal."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).parent / "javascript"
NPM_TIMEOUT_S = 120
CLIENT_TIMEOUT_S = 240


@pytest.fixture(scope="module")
def answers(served_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the client was told; npm installs it by its lock file, outside the checkout."""
    folder = tmp_path_factory.mktemp("javascript") / "client"
    shutil.copytree(PROGRAM, folder)
    install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(install, cwd=folder, check=True, timeout=NPM_TIMEOUT_S)
    environment = os.environ | {"BASE_URL": f"{served_url}/v1"}
    command = ["node", "ask.js"]
    asked = subprocess.run(
        command, cwd=folder, env=environment, check=True, timeout=CLIENT_TIMEOUT_S, stdout=subprocess.PIPE
    )
    return json.loads(asked.stdout)


def test_the_javascript_client_streams_what_it_gets_whole(answers):
    for asked in ("wish", "question"):
        whole, streamed = answers[asked]["whole"], answers[asked]["streamed"]
        pieces = streamed.pop("pieces")
        assert streamed == whole
    assert pieces > 1
    assert len(answers["wish"]["whole"]["products"]) == 5
    assert answers["question"]["whole"]["products"] == []
    assert 0 < answers["question"]["whole"]["usage"]["completion_tokens"] <= 24


def test_the_javascript_clients_own_gathering_of_a_stream_gives_the_reply(answers):
    assert answers["helper"] == answers["question"]["whole"]["content"]


def test_the_javascript_client_lists_the_model_and_knows_our_refusals(answers):
    assert answers["models"] == ["openmoji"]
    assert answers["refusal"] == {"kind": "NotFoundError", "status": 404, "code": "model_not_found"}
