"""Settings come from the command line, `serve run` and the environment, and each says what it is."""

import pytest
from pydantic import ValidationError

from services.__main__ import Refused, read_settings
from services.settings import Settings


def test_every_setting_has_a_sentence():
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_environment_is_read_and_the_command_line_wins(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FROMAGE_PORT", "8123")
    monkeypatch.setenv("FROMAGE_LLM_QUEUE", "3")
    settings = read_settings(["--port", "8124", "--max-images", "2"])
    assert (settings.port, settings.llm_queue, settings.max_images) == (8124, 3, 2)


def test_arguments_of_serve_run_are_words_and_join_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FROMAGE_LLM_QUEUE", "3")
    settings = Settings.model_validate({"bundle": "mine", "llm_concurrency": "4"})
    assert (settings.bundle, settings.llm_concurrency, settings.llm_queue) == ("mine", 4, 3)


def test_misspelt_setting_is_refused():
    with pytest.raises(ValidationError, match="bundel"):
        Settings.model_validate({"bundel": "mine"})


def test_wrong_value_is_refused_by_its_name():
    with pytest.raises(Refused, match=r"--port \(or FROMAGE_PORT\).*99999"):
        read_settings(["--port", "99999"])


def test_settings_without_arguments_are_the_demo(monkeypatch: pytest.MonkeyPatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(f"FROMAGE_{name.upper()}", raising=False)
    settings = Settings()
    assert (settings.bundle, settings.index, settings.port) == ("default", "wardrobe", 8000)


def test_no_more_replicas_than_the_fewest_is_refused_with_what_works():
    with pytest.raises(ValidationError, match="llm_max_replicas is 1, but llm_replicas 2; 2 or more works"):
        Settings(llm_replicas=2, llm_max_replicas=1)
