"""The sides that are compared, by name: how each is made, and which figures a turn of it gives."""

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from fromage_model.language.lean.products import Quantize
from tests.benchmarks.serving.engine import BareEngine, ShareOfProducts, served_model
from tests.benchmarks.serving.generate import Generate
from tests.benchmarks.serving.http import OPTIONS as SERVICE_OPTIONS
from tests.benchmarks.serving.http import OTHERS, Http, Served, services
from tests.benchmarks.serving.llama_cpp import LlamaCpp

SideName = Literal["engine", "http", "generate", "llama_cpp", "share_of_products"]


class Side(Protocol):
    def measure(self, count: int, *, new_tokens: int) -> dict[str, float]:
        """One turn of `count` requests at once -> figures by name."""


@dataclass(frozen=True)
class Args:
    """Compare what serves chats."""

    counts: tuple[int, ...] = (1, 8, 16)
    """Requests at once."""
    new_tokens: int = 64
    """Tokens of a reply."""
    rounds: int = 3
    """Measured turns of each side, after a short one that is not."""
    sides: tuple[SideName, ...] = ("engine", "http", "generate", "llama_cpp", "share_of_products")
    """What is measured; the others are left out of the JSON line."""
    threads: int = 0
    """Torch threads of the sides in this process, and llama.cpp's threads; 0 is every core."""
    llama_folder: Path | None = None
    """Where node-llama-cpp is, or goes to; without it, a temporary folder."""
    quantize: Quantize = "none"
    """Bits of our LM's weights, of the engine's and of the services'."""
    settings: tuple[str, ...] = ()
    """Further settings of the services, as in `llm_threads=1 llm_spins=0`."""
    url: str | None = None
    """Services that run already; without it they are started."""

    @property
    def torch_threads(self) -> int:
        return self.threads or len(os.sched_getaffinity(0))


def _http(args: Args, stack: ExitStack) -> Side:
    # One more than there are others: what is asked for beside them must not wait for a place.
    settings = [f"llm_concurrency={max(*args.counts, OTHERS + 1)}", f"llm_quantize={args.quantize}", *args.settings]
    options = [*SERVICE_OPTIONS, *(f"--{setting.replace('_', '-')}" for setting in settings)]
    return Http(Served(args.url) if args.url else stack.enter_context(services(*options)))


def _llama_cpp(args: Args, stack: ExitStack) -> Side:
    folder = args.llama_folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
    return LlamaCpp(folder, threads=args.torch_threads)


MAKERS: dict[SideName, Callable[[Args, ExitStack], Side]] = {
    "engine": lambda args, stack: BareEngine(served_model(args.quantize)),
    "http": _http,
    "generate": lambda args, stack: Generate(dtype=served_model(args.quantize).lm.dtype),
    "llama_cpp": _llama_cpp,
    "share_of_products": lambda args, stack: ShareOfProducts(served_model(args.quantize)),
}
