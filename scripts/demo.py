"""Prepares a catalogue and serves the chat over it; when told to end, ends everything that it started.

python -m scripts.demo --catalogue wardrobe --port 8000
"""

import errno
import logging
import socket
import sys

from fromage_model.logs import dated_lines
from scripts.prepare import EXIT_STOPPED, Unprepared, bundle_for, parser, prepare
from scripts.supervise import Stopped, Supervisor

HOST = "127.0.0.1"

log = logging.getLogger(__name__)


def check_port(port: int) -> None:
    """Raises Unprepared where `port` can't be listened on: better now than after minutes of preparing."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            taken = getattr(error, "errno", None) == errno.EADDRINUSE
            reason = "is in use" if taken else f"can't be used ({error})"
            raise Unprepared(f"port {port} {reason}; choose another, for example: PORT=8010 make demo") from error


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--port", type=int, default=8000, help="TCP port of the chat on 127.0.0.1.")
    args = options.parse_args()
    dated_lines(news_to_stdout=True)
    supervisor = Supervisor()
    stopped_code = EXIT_STOPPED
    try:
        check_port(args.port)
        bundle = bundle_for(args.catalogue, args.bundle)
        name = prepare(supervisor, catalogue=args.catalogue, bundle=bundle)
        log.info("starting the chat over %r; Ctrl-C ends it", name)
        # From here on, being told to stop is how it is meant to end.
        stopped_code = 0
        serve = (sys.executable, "-m", "services", "--bundle", bundle, "--index", name, "--port", str(args.port))
        sys.exit(supervisor.run(serve))
    except Unprepared as error:
        log.error("%s", error)
        sys.exit(error.code)
    except Stopped:
        log.info("ended, with everything that was started")
        sys.exit(stopped_code)


if __name__ == "__main__":
    main()
