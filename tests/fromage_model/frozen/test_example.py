"""The example of the documentation, run as a reader would run it, over small models."""

import re
import runpy
import sys
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[3] / "docs" / "examples" / "frozen.py"


def test_the_example_trains_answers_saves_and_loads(folders, own_home, monkeypatch, capsys):
    options = ["--language-model", str(folders["gpt2"]), "--vision-encoder", str(folders["resnet"]), "--steps", "12"]
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), *options])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    said = capsys.readouterr().out
    first, last = map(float, re.search(r"loss ([\d.]+) -> ([\d.]+)", said).groups())
    assert last < first
    seeing, blind = re.findall(r"log-likelihoods of dax and blicket (-[\d.]+, -[\d.]+)", said)
    assert seeing != blind
    assert "saved and loaded: captions equal" in said
