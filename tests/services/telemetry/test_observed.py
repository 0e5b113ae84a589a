"""The running app: what Debian's Prometheus finds through Ray's export, the dashboard's queries, and the log."""

import json
import math
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import free_port
from tests.services.http.chatting import data_url, picture
from tests.services.telemetry.test_metrics import DASHBOARD

PATIENCE_S = 90
SCRAPED = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs: [{{job_name: ray, file_sd_configs: [{{files: ["{targets}"], refresh_interval: 1s}}]}}]
"""
SECRET = "marzipan"
Answer = list[dict[str, Any]]


class Prometheus:
    def __init__(self, url: str):
        self._http = httpx.Client(base_url=url, timeout=10, trust_env=False)

    def ask(self, query: str) -> Answer:
        """What the query is answered with; nothing while Prometheus starts."""
        try:
            answer = self._http.get("/api/v1/query", params={"query": query}).json()
        except (httpx.TransportError, json.JSONDecodeError):
            return []
        assert answer["status"] == "success", (query, answer)
        return answer["data"]["result"]

    def number(self, query: str) -> float:
        return sum(float(series["value"][1]) for series in self.ask(query))


def soon(true: Callable[[], bool]) -> bool:
    deadline_s = time.monotonic() + PATIENCE_S
    while not true():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.25)
    return True


@pytest.fixture(scope="module")
def prometheus(served_url: str, ray_started: dict[str, str], tmp_path_factory) -> Iterator[Prometheus]:
    program = shutil.which("prometheus")
    assert program, "this test needs Prometheus. Debian: apt-get install prometheus"
    place, port = tmp_path_factory.mktemp("prometheus"), free_port()
    targets = Path(ray_started["session_dir"]) / "prom_metrics_service_discovery.json"
    (place / "prometheus.yml").write_text(SCRAPED.format(targets=targets))
    command = [
        program,
        f"--config.file={place}/prometheus.yml",
        f"--storage.tsdb.path={place}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    with subprocess.Popen(command) as process:
        yield Prometheus(f"http://127.0.0.1:{port}")
        process.kill()


def ask_all_kinds(url: str, *, id: str, side_px: int) -> None:
    """Chats with a new picture twice, one that is left, and one of each common refusal."""
    headers = {"x-request-id": id}
    wish = [picture(data_url(side_px=side_px)), {"type": "text", "text": f"{SECRET} shoes"}]
    chat = {"messages": [{"role": "user", "content": wish}], "retrieval": "always", "max_tokens": 8}
    bad = {"messages": [{"role": "user", "content": [picture(f"data:image/png;base64,{'A' * side_px * 4}")]}]}
    with httpx.Client(base_url=url, headers=headers, timeout=120, trust_env=False) as client:
        assert client.post("/v1/chat/completions", json=chat).status_code == 200
        assert client.post("/v1/chat/completions", json={**chat, "stream": True}).status_code == 200
        assert client.post("/v1/chat/completions", json=bad).status_code == 400
        assert client.get("/v1/items/nothing/image").status_code == 404


@pytest.fixture(scope="module")
def observed(prometheus: Prometheus, served_url: str) -> Prometheus:
    """After requests that Prometheus saw the beginning and the growth of."""
    refusals = "sum(ray_fromage_refusals_total)"
    ask_all_kinds(served_url, id="observed-1", side_px=5)
    assert soon(lambda: prometheus.number(refusals) >= 2)
    before = prometheus.number(refusals)
    ask_all_kinds(served_url, id="observed-2", side_px=6)
    assert soon(lambda: prometheus.number(refusals) >= before + 2)
    return prometheus


@pytest.mark.parametrize(
    ("query", "least", "most"),
    [
        ('ray_fromage_requests_total{route="/v1/chat/completions",method="POST",status="200"}', 4, math.inf),
        ('ray_fromage_requests_total{route="/v1/items/{id}/image",status="404"}', 2, math.inf),
        ('ray_fromage_refusals_total{status="400",code="invalid_image",deployment="chat"}', 2, math.inf),
        ('ray_fromage_tokens_total{direction="out",application="chat"}', 4, math.inf),
        ('ray_fromage_tokens_total{direction="in"} > 20', 20, math.inf),
        ("ray_fromage_time_to_first_token_seconds_count", 4, math.inf),
        ("histogram_quantile(1, sum by (le) (ray_fromage_time_to_first_product_seconds_bucket))", 0.001, PATIENCE_S),
        ('ray_fromage_encoder_pictures_total{result="hit"}', 2, math.inf),
        ('ray_fromage_encoder_pictures_total{result="miss"}', 2, math.inf),
        ('ray_fromage_prefix_cache_positions_total{result="hit"}', 1, math.inf),
        ("ray_fromage_prefix_cache_bytes", 1, 128 * 2**20),
        ("ray_fromage_waiting_replies", 0, 0),
        ("ray_fromage_writing_replies", 0, 0),
        ("ray_fromage_step_tokens_total", 8, math.inf),
        ("histogram_quantile(1, sum by (le) (ray_fromage_step_rows_bucket))", 0.5, 64),
        ("ray_fromage_retrieval_seconds_count", 4, math.inf),
    ],
)
def test_prometheus_has_what_happened(query: str, least: float, most: float, observed: Prometheus):
    assert soon(lambda: bool(observed.ask(query)) and least <= observed.number(query) <= most), observed.ask(query)


def test_every_query_of_the_dashboard_is_answered_with_numbers(observed: Prometheus):
    panels = json.loads(DASHBOARD.read_text())["panels"]
    queries = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    assert len(queries) > 30

    def unanswered() -> list[str]:
        found = {query: observed.ask(query.replace("$__rate_interval", "3m")) for query in queries}
        return [
            query for query, series in found.items() if not any(math.isfinite(float(one["value"][1])) for one in series)
        ]

    assert soon(lambda: not unanswered()), unanswered()


def test_every_line_of_every_deployment_has_the_request_s_id_and_no_word_of_the_chat(
    served_url: str, ray_started: dict[str, str]
):
    folder = Path(ray_started["session_dir"]) / "logs" / "serve"
    files = {path: path.stat().st_size for path in folder.glob("replica_chat_*.log")}
    ask_all_kinds(served_url, id="observed-3", side_px=7)

    def lines() -> dict[str, list[str]]:
        """What each deployment has logged since."""
        found: dict[str, list[str]] = {name: [] for name in ("chat", "encoder", "llm", "retrieval")}
        for path, begin in files.items():
            found[path.stem.split("_")[2]] += path.read_bytes()[begin:].decode().splitlines()
        return found

    # A line for each of four requests, and one more for each of two refusals; the last comes after its answer.
    assert soon(lambda: all(lines().values()) and len(lines()["chat"]) >= 6), lines()
    for written in lines().values():
        assert all("observed-3" in line for line in written), written
        assert not any(SECRET in line or "base64" in line or "Traceback" in line for line in written), written
