"""The example of the documentation, run as a reader would run it, over small models."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_example_trains_answers_saves_and_loads(folders, own_home):
    options = ["--language-model", folders["gpt2"], "--vision-encoder", folders["resnet"], "--steps", "12"]
    result = subprocess.run(
        [sys.executable, ROOT / "docs" / "examples" / "frozen.py", *options],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "FROMAGE_HOME": str(own_home), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    first, last = map(float, re.search(r"loss ([\d.]+) -> ([\d.]+)", result.stdout).groups())
    assert last < first
    seeing, blind = re.findall(r"log-likelihoods of dax and blicket (-[\d.]+, -[\d.]+)", result.stdout)
    assert seeing != blind
    assert "saved and loaded: captions equal" in result.stdout
