"""A web shop for tests: pictures by path, each with a tag; it notes what it was asked, and can be made to hesitate."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Shop:
    """`pictures` by path; `asked` lists (path, status). Paths in `silent` get no answer until `awake` is set."""

    def __init__(self) -> None:
        self.pictures: dict[str, bytes] = {}
        self.asked: list[tuple[str, int]] = []
        self.silent: set[str] = set()
        self.down = False
        self.awake = threading.Event()
        self.url = ""

    def times_asked(self, path: str) -> int:
        return [asked for asked, _ in self.asked].count(path)

    def feed(self, path: Path, *captions: str | None, first: int = 0) -> Path:
        """A TSV with a picture and an item for each caption."""
        lines = [
            f"{self.url}/{number}.png\thttps://shop.example/{number}\t{caption or ''}"
            for number, caption in enumerate(captions, start=first)
        ]
        path.write_text("\n".join(["image\titem_url\tcaption", *lines]) + "\n")
        return path


@contextmanager
def open_shop() -> Iterator[Shop]:
    shop = Shop()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path in shop.silent:
                shop.awake.wait(timeout=120)
            body = shop.pictures.get(self.path)
            tag = f'"{hash(body)}"'
            known = body is not None and self.headers["If-None-Match"] == tag
            status = 503 if shop.down else 404 if body is None else 304 if known else 200
            shop.asked.append((self.path, status))
            sent = body or b"" if status == 200 else b""
            self.send_response(status)
            self.send_header("Content-Type", "image/png")
            self.send_header("Content-Length", str(len(sent)))
            self.send_header("ETag", tag)
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        shop.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield shop
        shop.awake.set()
        server.shutdown()
