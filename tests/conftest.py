"""One Ray for the whole session, and the real app on it for tests that need a server."""

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

TEST_CPUS = 4
OBJECT_STORE_BYTES = 300 * 1024 * 1024
# Ten times as often as by itself, so that a test of metrics does not wait.
REPORT_METRICS_MS = ("RAY_metrics_report_interval_ms", "1000")
# Folders of FROMAGE_HOME that hold what runs have left, and nothing that `make test` prepares.
MADE_BY_RUNS = ("states", "runs", "evaluations")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where processes share the tests, a file goes to one of them whole, and all that is served to the same one.

    Each process has a Ray of its own, so that two files that need one run side by side. What takes long comes first, so
    that no process ends alone: what is served, then all but the model library. What only a GPU can show is left out, by
    name, where there is none.
    """
    if not torch.cuda.is_available():
        for_gpus = [item for item in items if item.get_closest_marker("gpu")]
        config.hook.pytest_deselected(items=for_gpus)
        items[:] = [item for item in items if item not in for_gpus]
    if not config.pluginmanager.hasplugin("xdist"):
        return
    served = {item.path for item in items if "http_port" in getattr(item, "fixturenames", ())}
    library = Path(__file__).parent / "fromage_model"
    items.sort(key=lambda item: (item.path not in served, item.path.is_relative_to(library)))
    for item in items:
        item.add_marker(pytest.mark.xdist_group("served" if item.path in served else item.nodeid.partition("::")[0]))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are numbered, not spelt out: those that hold the time of day would differ between the processes."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(autouse=True)
def own_loggers() -> None:
    """What a test before this one has done to logging is undone: as a replica, or as a command, in this process."""
    from fromage_model.logs import Lines

    for name in ("services", "fromage_model"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, Lines)]


@pytest.fixture(scope="session", autouse=True)
def home_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A FROMAGE_HOME of this process's own, for its tests and the workers of its Ray, with what has been prepared.

    What jobs keep for their next run is kept there for the next test and no longer.
    """
    from fromage_model.storage.artefacts import home

    own = tmp_path_factory.mktemp("fromage-home")
    for folder in home().iterdir() if home().is_dir() else ():
        if folder.is_dir() and folder.name not in MADE_BY_RUNS:
            (own / folder.name).mkdir()
            for prepared in folder.iterdir():
                (own / folder.name / prepared.name).symlink_to(prepared.resolve())
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FROMAGE_HOME", str(own))
        yield own


@pytest.fixture(scope="session")
def ray_started() -> Iterator[dict[str, str]]:
    """The session's Ray: its addresses, and the folder of its logs and of what it tells Prometheus.

    It has more CPUs than the machine, so that what waits for another deployment does not keep it from starting.
    """
    import ray

    from services.__main__ import BEFORE_PROXY, PATIENCE_WITH_PROXY

    os.environ.setdefault(*PATIENCE_WITH_PROXY)
    os.environ.setdefault(*BEFORE_PROXY)
    os.environ.setdefault(*REPORT_METRICS_MS)
    context = ray.init(
        address="local",
        num_cpus=TEST_CPUS,
        object_store_memory=OBJECT_STORE_BYTES,
        # As `python -m services` has it; it is what tells Prometheus where to look.
        include_dashboard=True,
        log_to_driver=False,
        logging_level=logging.WARNING,
    )
    yield context.address_info
    ray.shutdown()


@pytest.fixture(scope="session")
def ray_session(ray_started: dict[str, str]) -> Iterator[str]:
    """The address of the session's Ray; a job run in a process of its own joins it through `RAY_ADDRESS`."""
    address = ray_started["gcs_address"]
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_ADDRESS", address)
        yield address


@pytest.fixture(scope="session")
def http_port(ray_session: str) -> Iterator[int]:
    """The port of the session's Serve: one proxy, in front of every app of the tests."""
    from ray import serve

    port = free_port()
    serve.start(http_options={"host": "127.0.0.1", "port": port}, proxy_location="HeadOnly")
    yield port
    serve.shutdown()


@pytest.fixture(scope="session")
def served_url(http_port: int) -> str:
    """The real app over OpenMoji and its bundle; `make test` prepares both."""
    from ray import serve

    from services.app import build_app
    from services.settings import Settings

    serve.run(build_app(Settings(bundle="openmoji", index="openmoji", port=http_port)), name="chat", route_prefix="/")
    return f"http://127.0.0.1:{http_port}"


@pytest.fixture
def stranger_index(tmp_path: Path) -> str:
    """An index over OpenMoji that another model made."""
    from fromage_model.catalogue import Catalogue
    from fromage_model.index import RetrievalIndex

    table = Catalogue.open("openmoji").table.slice(0, 3)
    index = RetrievalIndex.build(np.eye(3, dtype=np.float32), table, fingerprint="f00d", catalogue="openmoji")
    return str(index.save(tmp_path / "stranger"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
