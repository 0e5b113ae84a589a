"""Fetching small pictures from a server 50 ms away: `jobs.ingest`, Ray Data included, against a loop one at a time.

The server is a process of its own on this machine and waits before each answer. Ray runs before the clock does, as on
a cluster that takes jobs; its actors start within it. The loop keeps its connection, checks each picture by decoding it
and writes it, as ours does; it is measured on a sample and scaled per picture.

    python -m tests.benchmarks.fetching
"""

import asyncio
import hashlib
import json
import multiprocessing
import os
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
import numpy as np
import tyro
from PIL import Image

from fromage_model.catalogue import Catalogue
from fromage_model.vision.images import decode_image
from jobs.common.reporting.report import Stopwatch, ray_session
from jobs.ingest.job import IngestArgs
from jobs.ingest.job import main as ingest
from tests.pictures import encoded


@dataclass(frozen=True)
class Args:
    """Compare ways of fetching pictures."""

    pictures: int = 2000
    """Pictures on the server, no two alike."""
    sample: int = 200
    """How many of them the loop fetches; its time is scaled to all."""
    latency_ms: float = 50.0
    """How long the server waits before each answer."""
    side_px: int = 64
    """Width and height of each picture."""
    per_host: int = 64
    """Requests that ours sends at the same time."""
    workers: int = 2
    """Actors that fetch."""


def picture(number: int, side_px: int) -> bytes:
    """A JPEG like no other: coarse noise, drawn by the number."""
    coarse = np.random.default_rng(number).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return encoded(Image.fromarray(coarse).resize((side_px, side_px), Image.Resampling.BICUBIC), "JPEG")


class Shop(asyncio.Protocol):
    """Answers `GET /NUMBER.jpg` after a while, as often as the connection is used."""

    def __init__(self, pictures: list[bytes], latency_s: float):
        self._pictures = pictures
        self._latency_s = latency_s
        self._asked = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._asked += data
        while b"\r\n\r\n" in self._asked:
            head, _, self._asked = self._asked.partition(b"\r\n\r\n")
            number = int(head.split(b" ", 2)[1].strip(b"/").partition(b".")[0])
            asyncio.get_running_loop().call_later(self._latency_s, self._answer, self._pictures[number])

    def _answer(self, body: bytes) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
        if not self._transport.is_closing():
            self._transport.write(head.encode() + body)


def serve(told: Connection, args: Args) -> None:
    """Serve until the process ends; tells its port once."""

    async def forever() -> None:
        pictures = [picture(number, args.side_px) for number in range(args.pictures)]
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Shop(pictures, args.latency_ms / 1000), "127.0.0.1", 0)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(forever())


def one_at_a_time(urls: list[str], folder: Path) -> float:
    """-> seconds."""
    folder.mkdir()
    start_s = time.perf_counter()
    with httpx.Client() as client:
        for url in urls:
            data = client.get(url).raise_for_status().content
            decode_image(data)
            (folder / f"{hashlib.sha256(data).hexdigest()}.jpg").write_bytes(data)
    return time.perf_counter() - start_s


def ours(urls: list[str], folder: Path, args: Args) -> float:
    """-> seconds, from the list of URLs to the catalogue. Raises RuntimeError where a picture is missing."""
    feed = folder / "feed.tsv"
    feed.write_text("image\titem_url\n" + "".join(f"{url}\t{url}\n" for url in urls))
    watch = Stopwatch()
    report = ingest(
        IngestArgs(
            source=str(feed),
            out=str(folder / "catalogue"),
            per_host=args.per_host,
            at_once=args.per_host,
            workers=args.workers,
            allow_private=True,
        )
    )
    seconds = watch.seconds
    if len(Catalogue.open(folder / "catalogue")) != len(urls):
        raise RuntimeError(f"expected {len(urls)} pictures, got {report.as_dict()}")
    return seconds


def main(args: Args) -> dict[str, float]:
    """-> what the JSON line says."""
    context = multiprocessing.get_context("spawn")
    told, tells = context.Pipe(duplex=False)
    server = context.Process(target=serve, args=(tells, args), daemon=True)
    server.start()
    tells.close()  # so that a server that ends before it told its port is an error here, and no endless wait
    try:
        url = f"http://127.0.0.1:{told.recv()}"
        urls = [f"{url}/{number}.jpg" for number in range(args.pictures)]
        with tempfile.TemporaryDirectory() as name, ray_session():
            folder = Path(name)
            sample_s = one_at_a_time(urls[: args.sample], folder / "loop")
            ours_s = ours(urls, folder, args)
    finally:
        server.terminate()
        server.join()
    loop_s = sample_s / min(args.sample, args.pictures) * args.pictures
    print(f"{args.pictures} pictures, {args.latency_ms:g} ms away, {os.cpu_count()} CPUs{'s':>12}{'pictures/s':>14}")
    print(f"{f'one at a time (measured on {args.sample})':46}{loop_s:12.1f}{args.pictures / loop_s:14.1f}")
    print(f"{f'jobs.ingest, --per-host {args.per_host}':46}{ours_s:12.1f}{args.pictures / ours_s:14.1f}")
    return {"speedup_over_sequential": round(loop_s / ours_s, 2)}


if __name__ == "__main__":
    print(json.dumps(main(tyro.cli(Args, description=__doc__))))
