"""A config for `serve deploy` is refused for what Ray would take for nothing, and the one that we ship is good."""

from pathlib import Path

import pytest
import yaml

from services.check import main, problems_of
from services.settings import DEPLOYMENTS, Settings

SHIPPED = Path(__file__).parents[2] / "services" / "serve.yaml"


@pytest.fixture
def config() -> dict:
    return yaml.safe_load(SHIPPED.read_text())


def problems(config: object, folder: Path) -> list[str]:
    file = folder / "serve.yaml"
    file.write_text(yaml.safe_dump(config))
    return problems_of(file)


def test_the_config_that_is_shipped_is_good():
    assert main([str(SHIPPED)]) == 0


def test_the_config_that_is_shipped_serves_the_pair_that_it_starts_with_and_names_every_deployment(config: dict):
    (application,) = config["applications"]
    settings = Settings.model_validate(application["args"])
    deployments = {deployment["name"]: deployment for deployment in application["deployments"]}
    assert set(deployments) == set(DEPLOYMENTS)
    assert deployments["chat"]["user_config"] == {"bundle": settings.bundle, "index": settings.index}


@pytest.mark.parametrize(
    ("place", "key", "value", "told"),
    [
        ([], "aplications", [], "aplications: no such key; applications was meant?"),
        (["http_options"], "prot", 1, "http_options.prot: no such key; port was meant?"),
        (["applications", 0], "argz", {}, "applications.0.argz: no such key; args was meant?"),
        (["applications", 0, "args"], "llm_replicsa", 2, "args.llm_replicsa: no such key; llm_replicas was meant?"),
        (["applications", 0, "args"], "llm_num_gpus", -1, "llm_num_gpus: Input should be greater than or equal to 0"),
        (["applications", 0, "args"], "llm_max_replicas", "many", "args.llm_max_replicas: Input should be a valid int"),
        (["applications", 0, "deployments", 0], "name", "chta", "there is no deployment 'chta'; there are encoder"),
        (["applications", 0, "deployments", 0], "num_replica", 2, "0.num_replica: no such key; num_replicas was meant"),
        (["applications", 0, "deployments", 0], "num_replicas", -2, "deployments.0.num_replicas"),
        (["applications", 0, "deployments", 0, "user_config"], "bundel", "x", "no such key; bundle was meant?"),
        (["applications", 0, "deployments", 1, "autoscaling_config"], "max_replica", 2, "max_replica: no such key"),
        (["applications", 0, "deployments", 1], "user_config", {"bundle": "x"}, "user_config: only chat has one"),
        (["applications", 0, "deployments", 1], "ray_actor_options", {"num_gpus": 1}, "set llm_num_cpus and llm_num_"),
    ],
)
def test_what_would_be_ignored_or_fail_later_is_refused_with_its_place(config, tmp_path, place, key, value, told):
    inner = config
    for step in place:
        inner = inner[step]
    inner[key] = value
    assert any(told in problem for problem in problems(config, tmp_path))


def test_every_file_that_is_no_config_is_told_of(tmp_path: Path):
    assert problems("text", tmp_path) == ["expected keys such as applications"]
    (tmp_path / "broken.yaml").write_text("a: [")
    assert "can't be read" in problems_of(tmp_path / "broken.yaml")[0]
    assert "can't be read" in problems_of(tmp_path / "missing.yaml")[0]
    assert main([str(tmp_path / "missing.yaml")]) == 2
    assert main([]) == 2
