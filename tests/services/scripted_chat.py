"""A peer for the chat page: serves it and answers chats from a script, so that each pause is under a test's control.

It speaks the wire format of `POST /v1/chat/completions` and knows no model; the page against the real services is in
test_page.py.
"""

import io
import json
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from PIL import Image

WEB = Path(__file__).parents[2] / "services" / "http" / "web"
CONTENT_SECURITY_POLICY = "default-src 'self'; img-src 'self' data: blob:; style-src 'self'; script-src 'self'"
CONTENT_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
PAUSE_LIMIT_S = 30

CHAT_TOO_LONG = {"message": "The chat is too long.", "code": "context_length_exceeded"}
NO_SUCH_KEY = {"message": "This key is not known here.", "code": "invalid_api_key"}

Step = str | list | threading.Event | dict | bytes | float


class ScriptedChat:
    """A server on a free loopback port.

    `script` is the next reply: a str is text, a list is products, an Event is waited for, a float is a pause in
    seconds, a dict is sent as it is (`{"error": ...}`), and bytes go out raw. `refusal`, when set, is answered
    instead: (status, body). A request of more than `most_messages` is refused as the services refuse a long one. Where
    there are `keys`, a chat and a picture ask for one of them. `ready` is what `/healthz` and `/readyz` say. A search
    finds `found`, items of the catalogue.
    """

    def __init__(self, *, port: int = 0):
        self.script: Sequence[Step] = ["Good day."]
        self.finish_reason = "stop"
        self.refusal: tuple[int, bytes] | None = None
        self.most_messages = 1000
        self.health: dict = {"status": "ok", "bundle": "default", "items": 2186, "attribution": None}
        self.keys: set[str] = set()
        self.ready = True
        self.requests: list[dict] = []
        self.found: list[dict] = []
        self.searches: list[dict] = []
        self.client_left = threading.Event()
        handler = type("Handler", (_Handler,), {"chat": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


def narrowed(products: list[dict], filters: dict, unmet: dict | None = None) -> dict:
    """A step of the script: products, and the filters that they came by."""
    delta = {"products": products, "filters": filters, "unmet_filters": unmet or {}}
    return {"choices": [{"index": 0, "delta": delta}]}


def product(name: str, *, offset: int, **fields) -> dict:
    """A product as the chat streams it."""
    known = {"id": name, "caption": name, "item_url": f"https://shop.example/{name}", "score": 0.5}
    return known | {"image_url": f"/v1/items/{name}/image", "offset": offset} | fields


def picture_bytes(kind: str = "PNG", *, size: tuple[int, int] = (224, 224), colour: str = "teal") -> bytes:
    """An encoded picture of one colour."""
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, kind)
    return stream.getvalue()


class _Handler(BaseHTTPRequestHandler):
    chat: ScriptedChat

    def do_GET(self):
        path = self.path.split("?")[0]
        if path in ("/healthz", "/readyz"):
            self._answer_json(200 if self.chat.ready else 503, self.chat.health)
        elif path.startswith("/v1/") and not self._may_enter():
            self._answer_json(401, {"error": NO_SUCH_KEY})
        elif path.startswith("/v1/items/"):
            self._picture(path.split("/")[3])
        else:
            self._page_file("index.html" if path == "/" else path.removeprefix("/web/"))

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/v1/search":
            return self._search(body)
        self.chat.requests.append(body)
        if not self._may_enter():
            self._answer_json(401, {"error": NO_SUCH_KEY})
        elif self.chat.refusal:
            status, answer = self.chat.refusal
            self._answer(status, "application/json", answer)
        elif len(self.chat.requests[-1]["messages"]) > self.chat.most_messages:
            self._answer_json(400, {"error": CHAT_TOO_LONG})
        else:
            self._stream()

    def _search(self, asked: dict):
        """Of what is to be found what the search does not leave out."""
        self.chat.searches.append(asked)
        left = [item for item in self.chat.found if item["id"] not in asked["exclude_ids"]][: asked["top_k"]]
        self._answer_json(200, {"data": [{"id": item["id"], "score": 0.5, "item": item} for item in left]})

    def _may_enter(self) -> bool:
        carried = self.headers.get("authorization", "").removeprefix("Bearer ")
        return not self.chat.keys or carried in self.chat.keys

    def _picture(self, item_id: str):
        if item_id == "lost":
            self._answer_json(404, {})
        else:
            self._answer(200, "image/png", picture_bytes())

    def _page_file(self, name: str):
        file = WEB / name
        if file.parent == WEB and file.is_file():
            self._answer(200, CONTENT_TYPES[file.suffix], file.read_bytes())
        else:
            self._answer(404, "text/plain", b"not found")

    def _answer_json(self, status: int, answer: dict):
        self._answer(status, "application/json", json.dumps(answer).encode())

    def _answer(self, status: int, content_type: str, body: bytes):
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.send_header("content-security-policy", CONTENT_SECURITY_POLICY)
        self.end_headers()
        self.wfile.write(body)

    def _stream(self):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        try:
            for step in self.chat.script:
                self._play(step)
            if self.chat.finish_reason:
                self._send({"choices": [{"index": 0, "delta": {}, "finish_reason": self.chat.finish_reason}]})
                self._write(b"data: [DONE]\n\n")
        except OSError:
            self.chat.client_left.set()

    def _play(self, step: Step):
        if isinstance(step, threading.Event):
            self._wait_for(step)
        elif isinstance(step, float):
            time.sleep(step)
        elif isinstance(step, bytes):
            self._write(step)
        elif isinstance(step, dict):
            self._send(step)
        else:
            self._send({"choices": [{"index": 0, "delta": {"content" if isinstance(step, str) else "products": step}}]})

    def _wait_for(self, event: threading.Event):
        """Waits with heartbeats, which are also how a closed connection is noticed."""
        for _ in range(PAUSE_LIMIT_S * 20):
            if event.wait(0.05):
                return
            self._write(b": still here\n\n")
        raise TimeoutError("the test never let the reply go on")

    def _send(self, chunk: dict):
        self._write(f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode())

    def _write(self, data: bytes):
        self.wfile.write(data)
        self.wfile.flush()

    def log_message(self, *_):
        """Requests are no news in a test."""
