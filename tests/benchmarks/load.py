"""Many clients at once for minutes: text, pictures, clients that leave, bad requests. Nothing may be wrong or leak.

A greedy reply is right when it is the one that the same request got alone, before the load; `same_reply` says how near
ties are told from errors. `compared` counts the replies and `compared_tokens` their tokens, `parted` the replies that
went apart at a near tie. Growth of memory is between the first and the last tenth of the time after the warm-up, of the
process that grew most.

    python -m tests.benchmarks.load
"""

import asyncio
import json
import os
import random
import statistics
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import tyro

from tests.benchmarks.common.asking import CHAT, Answer, ask, chat, client_of, picture, until_asked_in
from tests.benchmarks.common.replicas import resident_bytes
from tests.benchmarks.common.same_reply import LOGPROBS, compare, compare_products
from tests.benchmarks.serving.http import services

WISHES = (
    "I need something to keep my head warm.",
    "What goes well with blue jeans?",
    "Show me a pair of boots.",
    "Which colours suit a summer wedding?",
    "Something for the rain, please.",
    "How do I wash a woollen jumper?",
    "Have you got a red dress?",
    "What should I wear to a job interview?",
)
SHARES = {"text": 45, "products": 20, "picture": 15, "leaves": 10, "bad": 10}
"""Of a hundred requests."""
SAMPLE_S = 2.0
GREEDY = {"temperature": 0, "repetition_penalty": 1, **LOGPROBS}


@dataclass(frozen=True)
class Args:
    """Load the services."""

    clients: int = 64
    """That ask at once, each again as soon as it is answered."""
    seconds: float = 180
    """That the load lasts."""
    warm_up: float = 0.34
    """The share of these that is not looked at for memory."""
    prompts: int = 36
    """Different greedy requests."""
    tokens: int = 12
    """Of a reply at most."""
    settings: tuple[str, ...] = ()
    """Further settings of the services, as in `llm_quantize=int4`."""
    seed: int = 0
    """Of who asks what."""
    url: str | None = None
    """Services that run already; without it they are started."""
    pid: int | None = None
    """Of the process that those were started with."""


@dataclass
class Seen:
    """What the load brought."""

    requests: int = 0
    compared: int = 0
    compared_tokens: int = 0
    parted: int = 0
    wrong: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    first_s: list[float] = field(default_factory=list)
    left: int = 0
    memory: list[tuple[float, dict[tuple[int, str], int]]] = field(default_factory=list)


def main(args: Args) -> dict:
    """-> what the JSON line says."""
    with ExitStack() as stack:
        if args.url is None:
            options = [f"--{setting.replace('_', '-')}" for setting in args.settings]
            served = stack.enter_context(services("--no-dashboard", *options))
            figures = asyncio.run(_run(args, served.url, served.pid or 0))
        else:
            figures = asyncio.run(_run(args, args.url, args.pid or os.getpid()))
    return figures | {"load": round(os.getloadavg()[0], 1)}


async def _run(args: Args, url: str, pid: int) -> dict:
    bodies = _bodies(args)
    seen = Seen()
    async with client_of(url) as client:
        alone = [await until_asked_in(client, body) for body in bodies]
        begun_s = time.monotonic()
        sampling = asyncio.create_task(_sample(pid, seen, begun_s))
        draws = [random.Random(args.seed * 1000 + number) for number in range(args.clients)]
        clients = (_client(client, args, bodies, alone, draw, seen, begun_s + args.seconds) for draw in draws)
        await asyncio.gather(*clients)
        sampling.cancel()
    return _figures(args, seen)


def _bodies(args: Args) -> list[dict[str, Any]]:
    """Greedy requests, text first, then with products, then with a picture as well."""
    bodies = []
    for number in range(args.prompts):
        wish = f"{WISHES[number % len(WISHES)]} It is day {number}."
        kind = _kind_of(number, args.prompts)
        options: dict[str, Any] = {"retrieval": "never" if kind == "text" else "always", "top_k": 3, **GREEDY}
        bodies.append(chat(wish, tokens=args.tokens, picture=picture(number) if kind == "picture" else None, **options))
    return bodies


def _kind_of(number: int, prompts: int) -> str:
    return ("text", "products", "picture")[3 * number // prompts]


async def _sample(pid: int, seen: Seen, begun_s: float) -> None:
    while True:
        found = await asyncio.to_thread(resident_bytes, pid)
        seen.memory.append((time.monotonic() - begun_s, found))
        await asyncio.sleep(SAMPLE_S)


async def _client(
    client: httpx.AsyncClient,
    args: Args,
    bodies: list[dict[str, Any]],
    alone: list[Answer],
    draw: random.Random,
    seen: Seen,
    until_s: float,
) -> None:
    while time.monotonic() < until_s:
        (kind,) = draw.choices(list(SHARES), weights=list(SHARES.values()))
        seen.requests += 1
        if kind == "bad":
            await _ask_badly(client, draw, seen)
            continue
        mine = [number for number in range(len(bodies)) if kind in (_kind_of(number, len(bodies)), "leaves")]
        number = draw.choice(mine)
        if kind == "leaves":
            await ask(client, bodies[number], leave=lambda answer: answer.first_s is not None)
            seen.left += 1
            continue
        answer = await ask(client, bodies[number])
        _judge(answer, alone[number], seen)
        if answer.end == "refused":
            await asyncio.sleep(answer.retry_after_s or 0.5)


def _judge(answer: Answer, alone: Answer, seen: Seen) -> None:
    if answer.end == "refused":
        seen.refused[str(answer.status)] += 1
        if answer.status not in (429, 503) or not answer.retry_after_s:
            seen.wrong.append(f"refused with {answer.status}: {answer.error[:200]}")
    elif answer.end != "whole":
        seen.wrong.append(f"{answer.end}: {answer.error[:200]}")
    else:
        seen.first_s.append(answer.first_s or answer.ended_s - answer.asked_s)
        _compare(answer, alone, seen)


def _compare(answer: Answer, alone: Answer, seen: Seen) -> None:
    compared = compare(answer.tokens, alone.tokens)
    seen.compared += 1
    seen.compared_tokens += compared.tokens
    seen.parted += compared.parted
    for wrong in (compared.wrong, compare_products(answer.products, alone.products)):
        if wrong:
            seen.wrong.append(f"{wrong}; {answer.text!r} instead of {alone.text!r}")


BAD: tuple[tuple[bytes, int], ...] = (
    (b'{"messages": [', 400),
    (b'{"messages": []}', 400),
    (b'{"messages": [{"role": "nobody", "content": "Hi"}]}', 400),
    (b'{"messages": [{"role": "user", "content": "Hi"}], "temperature": 9}', 400),
    (b'{"messages": [{"role": "user", "content": "Hi"}], "model": "another"}', 404),
    (b'{"messages": [{"role": "user", "content": "' + b"a" * 20_000 + b'"}]}', 400),
    (
        b'{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": '
        b'{"url": "data:image/png;base64,iVBORw0KGgo="}}]}]}',
        400,
    ),
)


async def _ask_badly(client: httpx.AsyncClient, draw: random.Random, seen: Seen) -> None:
    """Each kind of bad request has its status, whatever else is going on."""
    body, status = draw.choice(BAD)
    response = await client.post(CHAT, content=body, headers={"content-type": "application/json"})
    if response.status_code in (429, 503):
        seen.refused[str(response.status_code)] += 1
    elif response.status_code != status:
        seen.wrong.append(f"{body[:100]!r} got {response.status_code}: {response.text[:200]}")


def _figures(args: Args, seen: Seen) -> dict:
    for wrong in seen.wrong[:10]:
        print(f"wrong: {wrong}")
    growth = memory_growth(seen.memory, after_s=args.seconds * args.warm_up)
    for (pid, name), share in sorted(growth.items(), key=lambda one: -one[1])[:8]:
        print(f"{name:24} {pid:8} grew by {share:6.1%}")
    first = sorted(seen.first_s)
    return {
        "requests": seen.requests,
        "wrong": len(seen.wrong),
        "compared": seen.compared,
        "compared_tokens": seen.compared_tokens,
        "parted": seen.parted,
        "left": seen.left,
        "refused": dict(seen.refused),
        "rss_growth": round(max(growth.values(), default=0.0), 3),
        "p50_first_token_s": round(statistics.median(first), 2) if first else None,
        "p99_first_token_s": round(first[int(0.99 * (len(first) - 1))], 2) if first else None,
    }


def memory_growth(samples: list[tuple[float, dict[tuple[int, str], int]]], *, after_s: float) -> dict[Any, float]:
    """Of each process that was there all the time: the share by which the last tenth of its samples is above the first.

    A sample is (seconds, bytes by process); medians are compared.
    """
    later = [found for at, found in samples if at >= after_s]
    if len(later) < 2:
        return {}
    few = max(1, len(later) // 10)
    always = set.intersection(*(set(found) for found in later))
    return {
        process: statistics.median(found[process] for found in later[-few:])
        / statistics.median(found[process] for found in later[:few])
        - 1
        for process in always
    }


if __name__ == "__main__":
    print(json.dumps(main(tyro.cli(Args, description=__doc__))))
