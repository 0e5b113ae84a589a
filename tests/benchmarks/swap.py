"""Swaps bundle and index again and again while clients ask, and counts replies that failed or mixed the two.

Of the two pairs one is the default; the other differs a little, and the captions of its index say which it is. A reply
is mixed when it names one bundle and shows products of the other's index.

    python -m tests.benchmarks.swap
"""

import asyncio
import json
import os
import statistics
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import tyro

from tests.benchmarks.common.asking import Answer, ask, chat, client_of
from tests.benchmarks.common.second_pair import CAPTION, make_second_pair
from tests.benchmarks.serving.http import services

DEFAULT = {"bundle": "openmoji", "index": "openmoji"}
BAD = {"bundle": "openmoji", "index": "nowhere"}


@dataclass(frozen=True)
class Args:
    """Swap under load."""

    clients: int = 16
    """That ask at once, each again as soon as it is answered."""
    swaps: int = 6
    """From one pair to the other; a bad pair is tried before each."""
    pause_s: float = 5.0
    """Between two swaps."""
    tokens: int = 24
    """Of a reply at most."""
    url: str | None = None
    """Services that run already, on this machine; without it they are started."""


def main(args: Args) -> dict:
    """-> what the JSON line says."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        second = make_second_pair(folder)
        url = args.url or stack.enter_context(services("--no-dashboard", f"--llm-queue={args.clients}")).url
        figures = asyncio.run(_run(args, url, second))
    return figures | {"load": round(os.getloadavg()[0], 1)}


async def _run(args: Args, url: str, second: dict[str, str]) -> dict:
    over = asyncio.Event()
    answers: list[Answer] = []
    async with client_of(url) as client:
        asking = [
            asyncio.create_task(_keep_asking(client, number, args, over, answers)) for number in range(args.clients)
        ]
        took: list[float] = []
        refused = 0
        for number in range(args.swaps):
            await asyncio.sleep(args.pause_s)
            refused += (await client.post("/admin/reload", json=BAD)).status_code == 409
            start_s = time.monotonic()
            response = await client.post("/admin/reload", json=DEFAULT if number % 2 else second)
            response.raise_for_status()
            took.append(time.monotonic() - start_s)
        await asyncio.sleep(args.pause_s)
        over.set()
        await asyncio.gather(*asking)
        (await client.post("/admin/reload", json=DEFAULT)).raise_for_status()
    return _figures(args, answers, took, refused)


async def _keep_asking(
    client: httpx.AsyncClient, number: int, args: Args, over: asyncio.Event, answers: list[Answer]
) -> None:
    body = chat(f"Show me something for day {number}.", tokens=args.tokens, retrieval="always", top_k=3)
    while not over.is_set():
        answer = await ask(client, body)
        answers.append(answer)
        if answer.end != "whole":
            await asyncio.sleep(answer.retry_after_s or 0.25)


def _figures(args: Args, answers: list[Answer], took: list[float], refused: int) -> dict:
    whole = [answer for answer in answers if answer.end == "whole"]
    failed = Counter(f"{answer.end} {answer.status}" for answer in answers if answer.end != "whole")
    mixed = [answer for answer in whole if is_mixed(answer)]
    by_model = Counter(answer.model for answer in whole)
    print(f"{len(answers)} requests of {args.clients} clients, answered by {dict(by_model)}; failed: {dict(failed)}")
    for answer in [*mixed, *(answer for answer in answers if answer.end != "whole")][:5]:
        print(f"  {answer.end} {answer.status} {answer.model} {answer.error[:200]}")
    return {
        "requests": len(answers),
        "failed": sum(failed.values()),
        "mixed": len(mixed),
        "swaps": len(took),
        "bad_pairs_refused": refused,
        "swap_s": round(statistics.median(took), 2),
        "slowest_first_s": round(max((answer.first_s or 0 for answer in whole), default=0), 2),
    }


def is_mixed(answer: Answer) -> bool:
    """Whether the products are not all of the index that belongs to the bundle; or there are none."""
    of_second = [product["caption"].startswith(CAPTION) for product in answer.products]
    return not of_second or any(found != (answer.model == "second") for found in of_second)


if __name__ == "__main__":
    print(json.dumps(main(tyro.cli(Args, description=__doc__))))
