"""The documents as their tests read them: pages, code blocks, commands as words, and what stands between backticks."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")), *sorted(ROOT.glob("docs/*.md"))]

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    """How a test's id names a page."""
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return [code for found, code in _FENCED.findall(page.read_text()) if found == language]


def spans(page: Path) -> list[str]:
    """What stands between backticks in running text and tables."""
    return re.findall(r"`([^`\n]+)`", _FENCED.sub("", page.read_text()))


def commands(page: Path) -> list[list[str]]:
    """Every command of the bash blocks as words, a quoted argument that spans lines being one word."""
    return [line for block in blocks(page, "bash") for line in _lines(block) if line]


def _lines(block: str) -> list[list[str]]:
    """A line goes on where it ends in a backslash, or where a quote is open."""
    found, begun = [], ""
    for line in block.splitlines():
        begun += line
        if begun.endswith("\\"):
            begun = begun[:-1]
            continue
        try:
            found.append(shlex.split(begun, comments=True))
        except ValueError:
            begun += "\n"
        else:
            begun = ""
    assert not begun, f"a quote is never closed: {begun}"
    return found
