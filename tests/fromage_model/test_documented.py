"""The Python of the documents, run as a reader would run it: a page's blocks in their order, over the default bundle
and a small shop that was drawn for it.

Blocks that ask a server run in `services/test_documented.py`.
"""

from pathlib import Path

import pytest

from fromage_model import load_bundle
from fromage_model.prompts.messages import Message
from fromage_model.storage.artefacts import home
from jobs.embed import job as embed
from jobs.index import job as index
from jobs.index.options import IndexArgs
from jobs.ingest import job as ingest
from jobs.ingest.args import IngestArgs
from tests.documents import PAGES, ROOT, blocks, name_of
from tests.fromage_model.interop.slow import write_folder

OVER_HTTP = "openai"


GARMENTS = 48


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with what `make demo` prepares, of fewer garments."""
    own = tmp_path_factory.mktemp("shop")
    (own / "weights").symlink_to(home() / "weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FROMAGE_HOME", str(own))
        ingest.main(IngestArgs(source="wardrobe", items=GARMENTS, seed=0))
        embed.main(embed.EmbedArgs())
        index.main(IndexArgs())
    return own


def local(page: Path) -> list[str]:
    return [code for code in blocks(page, "python") if OVER_HTTP not in code]


@pytest.mark.parametrize("page", [page for page in PAGES if local(page)], ids=name_of)
def test_the_python_of_a_page_runs(page, shop, lms, clip, tmp_path, monkeypatch):
    monkeypatch.setenv("FROMAGE_HOME", str(shop))
    write_folder(tmp_path / "fromage_vis4", lms.opt, clip)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for code in local(page):
        exec(compile(code, name_of(page), "exec"), names)


def test_the_default_bundle_finds_what_is_asked_for_in_the_shop_that_is_drawn(shop, monkeypatch):
    monkeypatch.setenv("FROMAGE_HOME", str(shop))
    model = load_bundle("default", index="wardrobe", vision=False)
    kinds = {dict(attributes)["kind"] for attributes in model.index.items.column("attributes").to_pylist()}
    for kind in sorted(kinds & {"dress", "jeans", "scarf", "sneakers", "backpack", "umbrella"}):
        reply = model.chat([Message("user", [f"I am looking for {kind}"])], max_new_tokens=4)
        (shown,) = reply.products
        assert kind in shown.hits[0].item.attributes["kind"]


@pytest.mark.parametrize("example", sorted((ROOT / "docs" / "examples").glob("*.py")), ids=lambda path: path.name)
def test_every_example_is_linked_from_a_page(example):
    assert any(f"(examples/{example.name})" in page.read_text() for page in PAGES)
