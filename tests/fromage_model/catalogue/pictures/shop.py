"""A server of pictures with every habit that a fetcher meets: redirects, pauses, validators, drips, wrong types."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler

LONG_AGO = "Sat, 01 Jan 2000 00:00:00 GMT"


class Shop(BaseHTTPRequestHandler):
    """Answers by path; `asked` lists the paths that were asked for."""

    asked: list[str]
    flaky = now = most = 0

    def do_GET(self):
        type(self).asked.append(self.path)
        getattr(self, self.path.strip("/").partition("?")[0].partition("/")[0], self.missing)()

    def answer(self, status: int, body: bytes = b"", **headers: str):
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def picture(self):
        self.answer(200, b"picture")

    def missing(self):
        self.answer(404)

    def busy(self):
        type(self).flaky += 1
        self.answer(*((503,) if type(self).flaky < 3 else (200, b"at last")))

    def broken(self):
        self.answer(500)

    def hop(self):
        left = int(self.path.rpartition("/")[2])
        self.answer(302, Location="/picture" if left == 0 else f"/hop/{left - 1}")

    def away(self):
        self.answer(301, Location=self.path.partition("?")[2])

    def circle(self):
        self.answer(302, Location="/circle/again" if self.path == "/circle" else "/circle")

    def come(self):
        """Refuses the first request to each path, and says when to come back."""
        wait_s = float(self.path.rpartition("/")[2].partition("?")[0])
        if self.asked.count(self.path) > 1:
            self.answer(200, b"at last")
        elif self.path.endswith("?date"):
            self.answer(503, Retry_After=format_datetime(datetime.now(UTC) + timedelta(seconds=wait_s), usegmt=True))
        else:
            self.answer(429, Retry_After=f"{wait_s:.0f}")

    def known(self):
        """Knows its picture by tag and by date."""
        known = self.headers["If-None-Match"] == '"v1"' or self.headers["If-Modified-Since"] == LONG_AGO
        self.answer(304 if known else 200, b"" if known else b"picture", ETag='"v1"', Last_Modified=LONG_AGO)

    def page(self):
        self.answer(200, b"<p>sold out</p>", Content_Type="text/html; charset=utf-8")

    def untyped(self):
        self.answer(200, b"picture", Content_Type="application/octet-stream")

    def packed(self):
        self.answer(200, b"picture", Content_Type="image/png", Content_Encoding="gzip")

    def slow(self):
        type(self).now += 1
        type(self).most = max(self.now, self.most)
        time.sleep(0.05)
        type(self).now -= 1
        self.answer(200, b"picture")

    def huge(self):
        self.answer(200, b"x" * 2000)

    def endless(self):
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"x" * 100)
        except OSError:
            self.close_connection = True

    def drip(self):
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(100):
                self.wfile.write(b"x")
                time.sleep(0.1)
        except OSError:
            self.close_connection = True

    def log_message(self, *args):
        pass
