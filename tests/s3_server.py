"""A store that speaks Amazon's S3 protocol over HTTP, as much of it as real clients use; what is in it lies in memory.

Signatures are not checked, and there is one bucket's worth of rules: keys, ranges, listings by prefix and delimiter,
uploads in one request or in parts, copies, and deletion of one or many.
"""

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

XMLNS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


class Store:
    """`objects` by `bucket/key`; `asked` lists (method, path) of every request. Writes fail while `full`."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, datetime]] = {}
        self.asked: list[tuple[str, str]] = []
        self.parts: dict[str, dict[int, bytes]] = {}
        self.full = False
        self.url = ""

    def put(self, key: str, data: bytes) -> None:
        self.objects[key] = (data, datetime.now(UTC))

    def names(self, prefix: str) -> list[str]:
        """The keys below a prefix, without it; markers of folders are left out."""
        return sorted(key[len(prefix) :] for key in self.objects if key.startswith(prefix) and not key.endswith("/"))

    def listing(self, bucket: str, query: dict[str, list[str]]) -> str:
        prefix, delimiter = query.get("prefix", [""])[0], query.get("delimiter", [""])[0]
        start = len(bucket) + 1
        contents, folders = [], set()
        for key, (data, at) in sorted(self.objects.items()):
            name = key[start:]
            if not key.startswith(f"{bucket}/{prefix}"):
                continue
            rest = name[len(prefix) :]
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.split(delimiter)[0] + delimiter)
                continue
            contents.append(
                f"<Contents><Key>{escape(name)}</Key><LastModified>{at:%Y-%m-%dT%H:%M:%S.%f}Z</LastModified>"
                f"<ETag>{etag(data)}</ETag><Size>{len(data)}</Size></Contents>"
            )
        below = [f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in sorted(folders)]
        return (
            f"<ListBucketResult {XMLNS}><Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix><IsTruncated>false"
            f"</IsTruncated><KeyCount>{len(contents) + len(folders)}</KeyCount>{''.join([*contents, *below])}"
            "</ListBucketResult>"
        )


def etag(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest()}"'


@contextmanager
def open_store() -> Iterator[Store]:
    store = Store()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _begin(self) -> tuple[str, dict[str, list[str]], bytes]:
            url = urlsplit(self.path)
            store.asked.append((self.command, self.path))
            return unquote(url.path.lstrip("/")), parse_qs(url.query, keep_blank_values=True), self._body()

        def _body(self) -> bytes:
            if "chunked" in self.headers.get("Transfer-Encoding", ""):
                return self._chunks()
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            encoded = "aws-chunked" in self.headers.get("Content-Encoding", "")
            return _unchunked(body) if encoded else body

        def _chunks(self) -> bytes:
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return _unchunked(body) if "aws-chunked" in self.headers.get("Content-Encoding", "") else body

        def _answer(self, status: int, body: bytes | str = b"", **headers: str) -> None:
            data = body.encode() if isinstance(body, str) else body
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            if "Content_Length" not in headers:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def _missing(self) -> None:
            self._answer(404, "<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>")

        def do_HEAD(self) -> None:
            key, _, _ = self._begin()
            if "/" not in key.rstrip("/"):
                self._answer(200)
            elif key not in store.objects:
                self._missing()
            else:
                data, at = store.objects[key]
                self._answer(
                    200, ETag=etag(data), Last_Modified=format_datetime(at, usegmt=True), Content_Length=str(len(data))
                )

        def do_GET(self) -> None:
            key, query, _ = self._begin()
            if "/" not in key.rstrip("/") and ("list-type" in query or "prefix" in query):
                self._answer(200, store.listing(key.rstrip("/"), query), Content_Type="application/xml")
            elif key not in store.objects:
                self._missing()
            else:
                data, at = store.objects[key]
                known = {"ETag": etag(data), "Last_Modified": format_datetime(at, usegmt=True)}
                if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
                    start, end = int(wanted[1]), int(wanted[2] or len(data) - 1)
                    self._answer(
                        206,
                        data[start : end + 1],
                        **known,
                        Content_Range=f"bytes {start}-{min(end, len(data) - 1)}/{len(data)}",
                    )
                else:
                    self._answer(200, data, **known)

        def do_PUT(self) -> None:
            key, query, body = self._begin()
            if store.full:
                self._answer(403, "<Error><Code>QuotaExceeded</Code><Message>the quota is used up</Message></Error>")
            elif source := self.headers.get("x-amz-copy-source"):
                data, _ = store.objects[unquote(source).lstrip("/")]
                store.put(key, data)
                self._answer(200, f"<CopyObjectResult {XMLNS}><ETag>{etag(data)}</ETag></CopyObjectResult>")
            elif "uploadId" in query:
                store.parts[query["uploadId"][0]][int(query["partNumber"][0])] = body
                self._answer(200, ETag=etag(body))
            else:
                store.put(key, body)
                self._answer(200, ETag=etag(body))

        def do_POST(self) -> None:
            key, query, body = self._begin()
            if "delete" in query:
                for element in ElementTree.fromstring(body).iter():
                    if element.tag.endswith("Key"):
                        store.objects.pop(f"{key.rstrip('/')}/{element.text}", None)
                self._answer(200, f"<DeleteResult {XMLNS}></DeleteResult>")
            elif "uploads" in query:
                upload = f"upload-{len(store.parts)}"
                store.parts[upload] = {}
                self._answer(
                    200,
                    f"<InitiateMultipartUploadResult {XMLNS}><UploadId>{upload}</UploadId>"
                    "</InitiateMultipartUploadResult>",
                )
            else:
                parts = store.parts.pop(query["uploadId"][0])
                store.put(key, b"".join(parts[number] for number in sorted(parts)))
                self._answer(
                    200,
                    f"<CompleteMultipartUploadResult {XMLNS}><ETag>{etag(b'')}</ETag></CompleteMultipartUploadResult>",
                )

        def do_DELETE(self) -> None:
            key, _, _ = self._begin()
            store.objects.pop(key, None)
            self._answer(204)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        store.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield store
        server.shutdown()


def _unchunked(body: bytes) -> bytes:
    """What `aws-chunked` wraps: lines of a length in hex and what belongs to it, then trailers."""
    data = b""
    while body:
        head, _, body = body.partition(b"\r\n")
        size = int(head.split(b";")[0], 16)
        if not size:
            break
        data, body = data + body[:size], body[size + 2 :]
    return data
