"""Starts Ray on this machine, serves the chat, says `ready` once every deployment answers, and ends it when told to.

On a cluster that runs already, `serve run services.app:build_app` does the same without starting or ending Ray.

    python -m services --port 8000 --bundle default --index wardrobe
"""

import errno
import ipaddress
import logging
import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
import uuid
from typing import TYPE_CHECKING, Any, NoReturn

from pydantic import ValidationError

from fromage_model.errors import FromageError
from fromage_model.logs import dated_lines, hand_on
from services.processes import Stopped, StopSignals, ended_with_us
from services.settings import Settings
from services.telemetry.logs import logging_config
from services.telemetry.spans import tracing_config

if TYPE_CHECKING:
    from ray.serve import Application

    from services.swapping.board import Board

EXIT_FAILED = 1
EXIT_REFUSED = 2
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}
APPLICATION = "default"
POLL_S = 0.25
GRACE_S = 5.0
# What Serve's proxy asks for the layers that it puts before itself.
BEFORE_PROXY = ("RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH", "services.http.front.before_the_proxy")
KEEP_ALIVE_S = 20
# Serve gives up on a proxy that is not up after 5 s, which a laptop that is busy with something else needs.
PATIENCE_WITH_PROXY = ("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "50")
CLI: dict[str, Any] = {
    "_cli_prog_name": "python -m services",
    "_cli_kebab_case": True,
    "_cli_implicit_flags": True,
    "_cli_hide_none_type": True,
}
MAKE_A_KEY = "`python -m services.keys add NAME --file FILE` makes one; then start with --keys-file FILE"

log = logging.getLogger(__name__)


class Refused(Exception):
    """The services can't start as they were asked to; the message says why."""


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop. Returns the exit code: 0, 1 when a part failed to start, 2 when refused."""
    dated_lines(news_to_stdout=True)
    signals = StopSignals()
    signals.catch()
    try:
        settings = read_settings(arguments)
        check_access(settings)
        check_port(settings.host, settings.port)
        serve_until_stopped(settings, signals)
    except BaseException as error:
        if signals.told:
            return 0
        if isinstance(error, (Refused, FromageError)):
            log.error("%s", error)
            return EXIT_REFUSED
        if isinstance(error, (RuntimeError, TimeoutError)):
            log.error("the services did not start: %s", error)
            return EXIT_FAILED
        raise


def read_settings(arguments: list[str] | None = None) -> Settings:
    """Settings from the command line and the environment. Raises Refused naming the first wrong one."""
    argv = sys.argv[1:] if arguments is None else arguments
    try:
        return Settings(**CLI, _cli_parse_args=argv)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        option, variable = f"--{name.replace('_', '-')}", f"FROMAGE_{name.upper()}"
        raise Refused(f"{option} (or {variable}): {first['msg']}, got {first['input']!r}") from error


def check_access(settings: Settings) -> None:
    """Raises Refused where strangers could ask without a key and nobody said that they may, and for keys that let
    nobody in. InvalidInput for keys or budgets that can't be read.
    """
    from services.http.access.given import access_of
    from services.http.access.keys import read_keys

    access = access_of(settings)
    if access.keys_file is not None:
        try:
            held = read_keys(access.keys_file.read_text(), where=str(access.keys_file))
        except (OSError, UnicodeDecodeError) as error:
            raise Refused(f"the keys file can't be read: {error}. {MAKE_A_KEY}") from error
        if not held and not access.keys:
            raise Refused(f"there is no key in {access.keys_file}. {MAKE_A_KEY}")
    elif not access.keys and not settings.without_keys and not is_loopback(settings.host):
        raise Refused(
            f"others can reach {settings.host or 'every address'}, and there are no API keys. {MAKE_A_KEY}; "
            "or --without-keys to answer anybody"
        )


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_port(host: str, port: int) -> None:
    """Raises Refused where nothing can listen at `host:port`: better now than after Ray has started."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = "is in use" if error.errno == errno.EADDRINUSE else f"can't be used ({error})"
            raise Refused(f"port {port} on {host} {reason}; choose another with --port") from error


def serve_until_stopped(settings: Settings, signals: StopSignals) -> NoReturn:
    """Serve on a Ray of our own, which is imported late so that a refusal comes at once. Ends when a signal raises.

    Ray sets signal handlers of its own as it starts, of which SIGTERM's aborts; so ours are set again after that.
    """
    import ray
    from ray import serve

    from services.app import compose
    from services.swapping.board import Board

    board = Board(uuid.uuid4().hex)
    app = compose(settings, board)
    traces = tracing()
    url = f"http://{LOOPBACK.get(settings.host, settings.host)}:{settings.port}"
    try:
        start_ray(settings)
        signals.catch()
        serve.start(
            http_options={"host": settings.host, "port": settings.port, "keep_alive_timeout_s": KEEP_ALIVE_S},
            proxy_location="HeadOnly",
            logging_config=logging_config(settings.log_format),
            tracing_config=traces,
        )
        deploy(app)
        wait_until_ready(url, timeout_s=settings.start_timeout_s)
        log.info("ready: %s", url)
        try:
            while True:
                signal.pause()
        finally:
            drain(board, timeout_s=settings.drain_timeout_s)
    finally:
        signals.ignore()
        with ended_with_us(grace_s=GRACE_S):
            ray.shutdown()


def tracing() -> dict[str, object]:
    """Raises Refused where the environment asks for traces in a way that can't be."""
    try:
        return tracing_config()
    except ValueError as error:
        raise Refused(str(error)) from error


def start_ray(settings: Settings) -> None:
    """A Ray of our own, never a stranger's that runs here. Raises RuntimeError where it does not start."""
    import ray

    os.environ.setdefault(*PATIENCE_WITH_PROXY)
    os.environ.setdefault(*BEFORE_PROXY)
    hand_on("ray")
    hand_on("ray.serve")
    log.info("starting Ray")
    try:
        context = ray.init(
            address="local",
            include_dashboard=settings.dashboard,
            object_store_memory=settings.object_store_bytes,
            log_to_driver=False,
            logging_level=logging.WARNING,
        )
    except Exception as error:
        raise RuntimeError(f"Ray did not start: {error}") from error
    if context.dashboard_url:
        log.info("Ray's dashboard: http://%s", context.dashboard_url)
    log.info("what the deployments log: %s/logs/serve", context.address_info["session_dir"])


def deploy(app: "Application") -> None:
    """Start the deployments and wait for them. Raises RuntimeError with what each that failed had to say.

    `serve.run` does the same, and looks once a second.
    """
    from ray import serve

    serve.run_many(
        [serve.RunTarget(app)], wait_for_ingress_deployment_creation=False, wait_for_applications_running=False
    )
    while (told := serve.status().applications[APPLICATION]).status != "RUNNING":
        if told.status == "DEPLOY_FAILED":
            said = [part.message for part in told.deployments.values()]
            raise RuntimeError("\n".join(filter(None, [told.message, *said])))
        time.sleep(POLL_S)


def wait_until_ready(url: str, *, timeout_s: float) -> None:
    """Ask until every deployment answers. Raises TimeoutError with the last thing that was missing."""
    # Not through a proxy that the environment names: what is asked is this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline_s = time.monotonic() + timeout_s
    while True:
        try:
            with opener.open(f"{url}/readyz", timeout=max(1.0, deadline_s - time.monotonic())):
                return
        except urllib.error.HTTPError as error:
            problem = error.read().decode(errors="replace")
        except OSError as error:
            problem = str(error)
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"not ready within {timeout_s:g} s: {problem}")
        time.sleep(POLL_S)


def drain(board: "Board", *, timeout_s: float) -> None:
    """Refuse what is new and let what is being answered end, for `timeout_s` seconds or until we are told again."""
    from ray import serve

    def chats() -> int:
        """Replicas that have to tell that they are done."""
        states = serve.status().applications[APPLICATION].deployments["chat"].replica_states
        return sum(count for state, count in states.items() if state == "RUNNING")

    deadline_s = time.monotonic() + timeout_s
    try:
        board.drain()
        while time.monotonic() < deadline_s:
            told = board.ongoing()
            if len(told) >= chats() and not any(told):
                return
            time.sleep(POLL_S)
        log.info("%d requests were not complete after %g s and are ended", sum(board.ongoing()), timeout_s)
    except Stopped:
        log.info("told to end a second time; not waiting any longer")


if __name__ == "__main__":
    sys.exit(main())
