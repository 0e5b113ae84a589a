"""Tokens per second of a server of chats, from the bare engine to the clients that stream, against its peers.

The bundle `openmoji`, as the LM's replica holds it: prompts of 349 tokens, 64 new ones drawn at temperature 1, several
requests at once. The sides take turns within a round, and medians over the rounds count. Rates are of decoding: of the
tokens after the first of each reply. What has `with_prompt` in its name reads the prompts in its time.

    python -m tests.benchmarks.serving
"""

import json
import os
import statistics
from contextlib import ExitStack

import torch
import tyro

from tests.benchmarks.serving import http
from tests.benchmarks.serving.llama_cpp import LeftOut
from tests.benchmarks.serving.sides import MAKERS, Args, Side
from tests.benchmarks.serving.workload import WISH

Figures = dict[str, dict[int, list[float]]]


def main(args: Args) -> dict:
    """-> what the JSON line says."""
    torch.set_num_threads(args.torch_threads)
    with ExitStack() as stack:
        sides = _made(args, stack)
        for side in sides.values():
            side.measure(min(args.counts), new_tokens=4)
        figures: Figures = {}
        for _ in range(args.rounds):
            for count in args.counts:
                for side in sides.values():
                    for name, figure in side.measure(count, new_tokens=args.new_tokens).items():
                        figures.setdefault(name, {}).setdefault(count, []).append(figure)
        rates = {name: _medians(of_count) for name, of_count in figures.items()}
        _print_table(rates, args)
        served = sides.get("http")
        further = _over_http(served.served, args) if isinstance(served, http.Http) else {}
    return rates | further | {"load": round(os.getloadavg()[0], 1)}


def _made(args: Args, stack: ExitStack) -> dict[str, Side]:
    """The sides that are asked for, but those that can't be had here: they are left out with a word."""
    sides: dict[str, Side] = {}
    for name in args.sides:
        try:
            sides[name] = MAKERS[name](args, stack)
        except LeftOut as reason:
            print(f"{name} is left out: {reason}")
    return sides


def _medians(of_count: dict[int, list[float]]) -> dict[str, float]:
    """Shares need three places, rates one."""
    medians = {str(count): statistics.median(values) for count, values in of_count.items()}
    return {count: round(value, 3 if value < 1 else 1) for count, value in medians.items()}


def _over_http(served: http.Served, args: Args) -> dict[str, float]:
    """What clients notice beside the rate: the wait for the first token, and what the LM's process holds."""
    idle, busy, memory_mb = [], [], 0.0
    for _ in range(args.rounds):
        idle.append(http.first_token_s(served.url, WISH, others=0))
        busy.append(http.first_token_s(served.url, WISH, others=http.OTHERS))
        memory_mb = max(memory_mb, served.lm_memory_mb())
    further = {
        "first_token_s": round(statistics.median(idle), 3),
        "first_token_ratio": round(statistics.median(busy) / statistics.median(idle), 2),
        "memory_mb": round(memory_mb),
    }
    if args.url is None and http.CAN_KEEP_PREFIXES:
        further["second_turn_ratio"] = round(_second_turn_ratio(served, args), 2)
    return further


def _second_turn_ratio(kept: http.Served, args: Args) -> float:
    """Against services that read every turn anew."""
    with http.services(*http.OPTIONS, http.WITHOUT_PREFIXES) as anew:
        seconds = [
            (http.second_turn_s(kept.url, seed=n), http.second_turn_s(anew.url, seed=n)) for n in range(args.rounds)
        ]
    return statistics.median(one / other for one, other in seconds)


def _print_table(rates: dict[str, dict[str, float]], args: Args) -> None:
    load = os.getloadavg()[0]
    print(f"tokens per second, {args.torch_threads} threads, median of {args.rounds} rounds, load {load:.1f}")
    print(f"{'requests at once':24}" + "".join(f"{count:>10}" for count in args.counts))
    for name, of_count in rates.items():
        print(f"{name:24}" + "".join(f"{value:10.{3 if value < 1 else 1}f}" for value in of_count.values()))


if __name__ == "__main__":
    print(json.dumps(main(tyro.cli(Args, description=__doc__))))
