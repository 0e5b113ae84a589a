"""Kills a replica of each deployment in turn, with SIGKILL, under streams that never cease.

The victim is stopped for a moment before it is killed: replies that go on meanwhile are others', and all of them must
come whole. Half of the streams are text alone, half show a picture and are shown products. Seconds to normal are
counted from the kill: until there are as many processes as before, a chat that needs every part has been asked for and
answered, and no reply fails any more.

    python -m tests.benchmarks.chaos
"""

import asyncio
import json
import os
import random
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import psutil
import tyro

from services.settings import DEPLOYMENTS
from tests.benchmarks.common.asking import Answer, ask, chat, client_of, picture
from tests.benchmarks.common.replicas import replicas
from tests.benchmarks.serving.http import services

STOPPED_S = 3.0
"""Long enough for every other stream to go on, on a busy machine too."""
PROBE_S = 0.25


@dataclass(frozen=True)
class Args:
    """Kill replicas."""

    streams: int = 16
    """Replies that are written at any time."""
    tokens: int = 150
    """Of a reply at most."""
    rounds: int = 1
    """Times that each deployment loses a replica."""
    deployments: tuple[str, ...] = DEPLOYMENTS
    """That lose one, in this order."""
    replicas: int = 2
    """Of the LM and of the chat, so that there are others to go on."""
    patience_s: float = 180
    """For everything to be normal again."""
    seed: int = 0
    """Of who is killed."""
    url: str | None = None
    """Services that run already; without it they are started."""
    pid: int | None = None
    """Of the process that those were started with."""
    app: str = "default"
    """The name of their application."""


@dataclass(frozen=True)
class Kill:
    """What one kill did. `others`: replies that went on while the victim stood still, `touched`: the rest."""

    deployment: str
    others: int
    others_harmed: int
    touched: int
    told: int
    cut: int
    normal_s: float


def main(args: Args) -> dict:
    """-> what the JSON line says."""
    with ExitStack() as stack:
        if args.url is None:
            several = [f"--{name}-replicas={args.replicas}" for name in ("llm", "chat")]
            room = (f"--llm-queue={args.streams}", f"--llm-concurrency={args.streams}")
            options = ("--no-dashboard", *room, *several)
            served = stack.enter_context(services(*options, "--start-timeout-s=300"))
            kills = asyncio.run(_torment(args, served.url, served.pid or 0))
        else:
            kills = asyncio.run(_torment(args, args.url, args.pid or os.getpid()))
    for kill in kills:
        print(kill)
    normal = {name: max(kill.normal_s for kill in kills if kill.deployment == name) for name in args.deployments}
    return {
        "kills": len(kills),
        "others": sum(kill.others for kill in kills),
        "others_harmed": sum(kill.others_harmed for kill in kills),
        "told": sum(kill.told for kill in kills),
        "cut": sum(kill.cut for kill in kills),
        "normal_s": {name: round(seconds, 1) for name, seconds in normal.items()},
        "load": round(os.getloadavg()[0], 1),
    }


async def _torment(args: Args, url: str, pid: int) -> list[Kill]:
    draws = random.Random(args.seed)
    answers: list[Answer] = []
    kills: list[Kill] = []
    async with client_of(url) as client:
        asking = [asyncio.create_task(_keep_asking(client, number, args, answers)) for number in range(args.streams)]
        for _ in range(args.rounds):
            for name in args.deployments:
                await _until_all_write(args, answers)
                kills.append(await _kill(args, client, name, pid, answers, draws))
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    return kills


async def _keep_asking(client: httpx.AsyncClient, number: int, args: Args, answers: list[Answer]) -> None:
    """Each reply is among `answers` from its beginning."""
    wish = f"Write an essay of many pages about day {number} of the history of clothes."
    body = chat(wish, tokens=args.tokens, retrieval="never")
    if number % 2:
        body = chat("Show me something like this.", tokens=args.tokens, picture=picture(number), retrieval="always")
    while True:
        answer = Answer(time.monotonic())
        answers.append(answer)
        await ask(client, body, answer=answer)
        if answer.end != "whole":
            await asyncio.sleep(answer.retry_after_s or PROBE_S)


async def _until_all_write(args: Args, answers: list[Answer]) -> None:
    deadline_s = time.monotonic() + args.patience_s
    while sum(answer.first_s is not None for answer in _open(answers)) < args.streams // 2:
        if time.monotonic() > deadline_s:
            raise RuntimeError("the streams did not begin")
        await asyncio.sleep(0.05)


def _open(answers: list[Answer]) -> list[Answer]:
    return [answer for answer in answers if answer.end == "open"]


async def _kill(
    args: Args, client: httpx.AsyncClient, name: str, pid: int, answers: list[Answer], draws: random.Random
) -> Kill:
    before = replicas(pid, app=args.app)
    victim = draws.choice(before[name])
    in_flight = _open(answers)
    victim.suspend()
    stopped_s = time.monotonic()
    await asyncio.sleep(STOPPED_S)
    others = [answer for answer in in_flight if answer.progress_s > stopped_s + STOPPED_S / 4]
    victim.kill()
    killed_s = time.monotonic()
    normal_s = await _until_normal(args, client, name, pid, len(before[name]), answers, killed_s)
    while any(answer.end == "open" for answer in in_flight):
        await asyncio.sleep(PROBE_S)
    touched = [answer for answer in in_flight if answer not in others]
    harmed = [answer for answer in others if answer.end != "whole"]
    for answer in harmed:
        print(f"harmed by the end of a {name}: {answer.end} {answer.status} {answer.error[:200]}")
    for answer in touched:
        if answer.end == "cut":
            print(f"cut by the end of a {name}: {answer.status} {answer.error[:200]}")
    ends = Counter(answer.end for answer in touched)
    return Kill(name, len(others), len(harmed), len(touched), ends["told"] + ends["refused"], ends["cut"], normal_s)


async def _until_normal(
    args: Args,
    client: httpx.AsyncClient,
    name: str,
    pid: int,
    count: int,
    answers: list[Answer],
    killed_s: float,
) -> float:
    """-> seconds from the kill on. Raises RuntimeError where that takes too long."""
    probe = chat("Show me something like this.", tokens=4, picture=picture(random.randrange(10**6)), retrieval="always")
    answered_s: float | None = None
    while time.monotonic() < killed_s + args.patience_s:
        if answered_s is None and (await ask(client, probe)).end == "whole":
            answered_s = time.monotonic()
        if answered_s is not None and len(_alive(pid, name, args.app)) >= count:
            failed = [answer.ended_s for answer in answers if answer.end not in ("open", "whole")]
            return max([answered_s, *(at for at in failed if at > killed_s)]) - killed_s
        await asyncio.sleep(PROBE_S)
    raise RuntimeError(f"{args.patience_s:g} s after a {name} was killed it was not normal again")


def _alive(pid: int, name: str, app: str) -> list[psutil.Process]:
    return replicas(pid, app=app).get(name, [])


if __name__ == "__main__":
    print(json.dumps(main(tyro.cli(Args, description=__doc__))))
