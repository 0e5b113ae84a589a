"""A server that sends what it is given, byte for byte: what no well-kept HTTP server would say."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class RawServer:
    """`answers`: path -> all bytes of the answer, after which the connection is closed. `asked` lists paths, as bytes.

    A path without an answer gets none, and its connection stays open; or is closed where the server `refuses_others`.
    """

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        self.asked: list[bytes] = []
        self.refuses_others = False
        self.url = ""

    def serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                if not (block := connection.recv(1 << 16)):
                    return
                head += block
            path = head.split(b" ", 2)[1]
            self.asked.append(path)
            answer = self.answers.get(path.decode("latin-1").partition("?")[0])
            if answer is None and self.refuses_others:
                return
            if answer is None:
                connection.recv(1)  # until the client goes
                return
            connection.sendall(answer)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1 << 16):
                pass


def answer(body: bytes = b"", *headers: bytes, status: bytes = b"200 OK", length: bool = True) -> bytes:
    """The bytes of an answer; `length` adds the Content-Length that is right."""
    lines = [b"HTTP/1.1 " + status, *headers]
    if length:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@contextmanager
def open_raw_server() -> Iterator[RawServer]:
    server = RawServer()
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listening:
        server.url = f"http://127.0.0.1:{listening.getsockname()[1]}"

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    threading.Thread(target=server.serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield server
        listening.shutdown(socket.SHUT_RDWR)
