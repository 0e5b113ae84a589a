"""The whole pipeline through Ray's job server, as on a cluster.

It needs a Ray of its own: jobs are sent to a head's dashboard, which the session's Ray does not have.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
import yaml

from fromage_model.bundle import load_bundle
from fromage_model.catalogue import Catalogue
from tests.conftest import free_port
from tests.jobs import tiny
from tests.pictures import write_png

REPOSITORY = Path(__file__).resolve().parents[2]
RAY = Path(sys.executable).parent / "ray"
LARGEST_UPLOAD_BYTES = 20_000_000
"""The code, and the bundles that are shipped with it: 12 MB."""


@dataclass(frozen=True)
class Head:
    """A running head: where its jobs are sent, with which environment, and its folder."""

    dashboard: str
    environment: dict[str, str]
    folder: Path


@pytest.fixture
def head(tmp_path) -> Iterator[Head]:
    """`ray start --head` on free ports in a folder of its own, whose path is short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"} | {
        "PATH": f"{RAY.parent}{os.pathsep}{os.environ['PATH']}",
        "FROMAGE_HOME": str(tmp_path / "home"),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(16),
    }
    options = {
        "port": free_port(),
        "dashboard-port": port,
        "dashboard-agent-listen-port": free_port(),
        "ray-client-server-port": free_port(),
        "min-worker-port": 0,
        "max-worker-port": 0,
        "node-ip-address": "127.0.0.1",
        "num-cpus": 2,
        "object-store-memory": 200_000_000,
        "temp-dir": folder,
    }
    command = [RAY, "start", "--head", "--block", "--disable-usage-stats"]
    command += [f"--{name}={value}" for name, value in options.items()]
    with (tmp_path / "head.log").open("wb") as log:
        process = psutil.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        yield Head(f"http://127.0.0.1:{port}", environment, folder)
    finally:
        stop(process)
        shutil.rmtree(folder, ignore_errors=True)


def stop(process: psutil.Popen) -> None:
    """End the head and what it started, and nothing else: `ray stop` would end every Ray of the machine."""
    below = process.children(recursive=True)
    process.terminate()
    _, alive = psutil.wait_procs([process, *below], timeout=3)
    for one in alive:
        one.kill()


@pytest.fixture
def config(tiny_world, tmp_path) -> Path:
    """Six pictures with captions, one without, and one that is damaged."""
    lines = ["image\tcaption"]
    for colour in tiny.COLOURS[:6]:
        write_png(tmp_path / f"{colour}.png", colour, side_px=32)
        lines.append(f"{colour}.png\t{colour} square")
    write_png(tmp_path / "bare.png", "maroon", side_px=32)
    (tmp_path / "damaged.png").write_bytes(b"damaged")
    (tmp_path / "shop.tsv").write_text("\n".join([*lines, "bare.png\t", "damaged.png\tlost"]) + "\n")
    content = {
        "name": "shop",
        "bundle": str(tiny_world.bundle),
        "ingest": {"source": "shop.tsv", "held_out": 2, "max_failed": 0.2, "workers": 1},
        "caption": {"captioner": str(tiny_world.bundle), "max_new_tokens": 3, "threads": 1},
        "embed": {"threads": 1},
    }
    path = tmp_path / "pipeline.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_pipeline_that_is_submitted_accounts_for_every_row_and_sends_little(head, config, tiny_world, tmp_path):
    done = submit(head, "python", "-m", "jobs.pipeline", "--config", str(config))
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{(tmp_path / 'head.log').read_text()}"
    report = next(json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"job": "pipeline"'))
    assert (report["rows_in"], report["rows_out"], report["rows_failed"]) == (8, 7, 1)
    stages = report["stages"]
    assert [(stage["job"], stage["rows_in"]) for stage in stages] == [
        ("ingest", 8),
        ("caption", 1),
        ("embed", 7),
        ("index", 7),
    ]
    assert all(stage["rows_in"] == stage["rows_out"] + stage["rows_failed"] for stage in stages)
    home = Path(head.environment["FROMAGE_HOME"])
    items = Catalogue.open(home / "catalogues" / "shop").items()
    assert [item.caption_by for item in items if item.caption_by != "feed"] == [str(tiny_world.bundle)]
    index = load_bundle(str(tiny_world.bundle), index=str(home / "indexes" / "shop"), vision=False).index
    assert sorted(index.ids) == sorted(item.id for item in items)
    (sent,) = head.folder.glob("session_2*/runtime_resources/working_dir_files/_ray_pkg_*/")
    files = {str(path.relative_to(sent)): path.stat().st_size for path in sent.rglob("*") if path.is_file()}
    assert "jobs/pipeline/job.py" in files
    assert not [name for name in files if name.startswith(("tests/", ".git/", ".venv/"))]
    assert sum(files.values()) < LARGEST_UPLOAD_BYTES


def submit(head: Head, *command: str) -> subprocess.CompletedProcess[str]:
    """Send a job as the README does, as soon as the head takes jobs, and wait for its end."""
    wait_for(head)
    submitted = [RAY, "job", "submit", "--address", head.dashboard, "--working-dir", ".", "--", *command]
    return subprocess.run(
        submitted, env=head.environment, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False
    )


def wait_for(head: Head) -> None:
    """Until the dashboard answers."""
    headers = {"Authorization": f"Bearer {head.environment['RAY_AUTH_TOKEN']}"}
    for _ in range(240):
        with suppress(httpx.TransportError):
            if httpx.get(f"{head.dashboard}/api/jobs/", headers=headers).is_success:
                return
        time.sleep(0.25)
    raise TimeoutError(f"{head.dashboard} takes no jobs")
