"""The Python of the documents, run as a reader would run it: a page's blocks in their order, over the default bundle.

Blocks that ask a server run in `services/test_documented.py`.
"""

from pathlib import Path

import pytest

from tests.documents import PAGES, ROOT, blocks, name_of
from tests.fromage_model.interop.slow import write_folder

OVER_HTTP = "openai"


def local(page: Path) -> list[str]:
    return [code for code in blocks(page, "python") if OVER_HTTP not in code]


@pytest.mark.parametrize("page", [page for page in PAGES if local(page)], ids=name_of)
def test_the_python_of_a_page_runs(page, lms, clip, tmp_path, monkeypatch):
    write_folder(tmp_path / "fromage_vis4", lms.opt, clip)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for code in local(page):
        exec(compile(code, name_of(page), "exec"), names)


@pytest.mark.parametrize("example", sorted((ROOT / "docs" / "examples").glob("*.py")), ids=lambda path: path.name)
def test_every_example_is_linked_from_a_page(example):
    assert any(f"(examples/{example.name})" in page.read_text() for page in PAGES)
