"""The small models of `tiny.py`, written once for the session; what loads them has a home of its own."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from fromage_model.fromage import Fromage
from tests.fromage_model import tiny


@dataclass(frozen=True)
class LanguageModels:
    """Folders. `chat` is tied LLaMA with a chat template and padding rows; `opt` tied, `untied` LLaMA, both without."""

    chat: Path
    opt: Path
    untied: Path


@pytest.fixture(scope="session")
def lms(tmp_path_factory) -> LanguageModels:
    folder = tmp_path_factory.mktemp("lms")
    return LanguageModels(
        chat=tiny.write_llama(folder / "chat", padding_rows=9),
        opt=tiny.write_opt(folder / "opt", padding_rows=5),
        untied=tiny.write_llama(folder / "untied", tied=False, seed=1),
    )


@pytest.fixture(scope="session")
def clip(tmp_path_factory) -> Path:
    return tiny.write_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def own_home(tmp_path, monkeypatch) -> Path:
    """An empty place for everything downloaded or made."""
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(params=["chat", "opt", "untied"])
def model(request, lms: LanguageModels, own_home: Path) -> Fromage:
    """One model over each LM: tied with one [RET] row, tied with learned positions, and untied with two rows."""
    return tiny.build(getattr(lms, request.param))


@pytest.fixture
def chat_model(lms: LanguageModels, own_home: Path) -> Fromage:
    return tiny.build(lms.chat)


@pytest.fixture
def plain_model(lms: LanguageModels, own_home: Path) -> Fromage:
    return tiny.build(lms.opt)
