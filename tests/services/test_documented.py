"""The requests of the documents, sent to the real app: those of curl, and the Python that asks by OpenAI's client."""

import re
from pathlib import Path

import httpx
import pytest

from tests.documents import PAGES, blocks, commands, name_of

HERE = "http://127.0.0.1:8000"
CURLS = [(page, line) for page in PAGES for line in commands(page) if line[0] == "curl"]
REQUESTS = [(page, line) for page, line in CURLS if not any("/admin/" in word for word in line)]
ASKING = [(page, code) for page in PAGES for code in blocks(page, "python") if "openai" in code]


def values(line: list[str], option: str) -> list[str]:
    return [line[place + 1] for place, word in enumerate(line) if word == option]


def label(value: object) -> str:
    return name_of(value) if isinstance(value, Path) else ""


@pytest.mark.parametrize(("page", "line"), REQUESTS, ids=label)
def test_a_request_is_answered_with_what_it_asks_for(page, line, served_url):
    (url,) = [word.replace(HERE, served_url) for word in line if word.startswith(HERE)]
    headers = dict(header.split(": ") for header in values(line, "-H"))
    (body,) = values(line, "-d")
    answer = httpx.post(url, content=body, headers=headers, timeout=120)
    assert answer.status_code == 200, answer.text
    wanted = r'"products": ?\[\{"id"|!\[' if "/chat/" in url else r'"data": ?\[\{"(id|object)"'
    assert re.search(wanted, answer.text)


@pytest.mark.parametrize(("page", "code"), ASKING, ids=label)
def test_the_python_that_asks_prints_what_was_shown(page, code, served_url, capsys):
    assert HERE in code
    exec(compile(code.replace(HERE, served_url), name_of(page), "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert sum("https://openmoji.org/" in line for line in lines) == 3
