"""What holds for the project as a whole: rooms, pins, cluster file, scripts. Pages are `test_documents.py`'s."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ROOMS = ("fromage_model", "jobs", "services")


def run(*command: str, timeout_s: float = 240) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout_s)


def sources() -> list[Path]:
    return [path for room in (*ROOMS, "scripts", "tests") for path in sorted((ROOT / room).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


def test_the_rooms_import_one_way_only():
    result = run(str(Path(sys.executable).parent / "lint-imports"), "--no-cache")
    assert result.returncode == 0, result.stdout


def test_nothing_imports_torchvision():
    assert [path for path in sources() if "torchvision" in imported(path)] == []


def test_the_model_library_loads_without_ray_or_a_web_framework():
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted((ROOT / "fromage_model").rglob("*.py"))
        if path.name not in ("__init__.py", "__main__.py")
    ]
    code = f"import importlib, sys\nfor name in {modules}: importlib.import_module(name)\n"
    code += "print({'ray', 'fastapi', 'pydantic', 'torchvision'} & set(sys.modules) or 'none')"
    result = run(sys.executable, "-c", code)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "none"


def test_where_processes_share_the_tests_a_file_stays_in_one(request):
    """pytest-xdist reads a test's group from its id; a pytest under which it can't would spread Ray's tests."""
    shared = request.config.getoption("loadgroup", default=False)
    assert request.node.nodeid.endswith("@tests/test_project.py") == shared


def test_every_release_is_pinned_and_the_two_lists_agree():
    constraints = (ROOT / "constraints.txt").read_text().lower().replace("_", "-")
    extras = [pin for pins in PROJECT["optional-dependencies"].values() for pin in pins]
    for pin in (*PROJECT["dependencies"], *extras):
        name, separator, version = re.sub(r"\[.*?\]", "", pin).partition("==")
        assert separator, f"{pin} is not pinned"
        assert f"\n{name.lower().replace('_', '-')}=={version}\n" in constraints, f"{pin} is not in constraints.txt"


def test_the_cluster_file_is_one_that_ray_accepts():
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = prepare_config(yaml.safe_load((ROOT / "cluster.yaml").read_text()))
    validate_config(config)
    types = config["available_node_types"]
    assert "GPU" not in types[config["head_node_type"]]["resources"]
    worker = types["gpu-worker"]
    assert worker["resources"]["GPU"] == 1
    assert worker["min_workers"] < worker["max_workers"] <= config["max_workers"]


def test_the_cluster_file_sends_all_that_an_install_needs():
    mounts = yaml.safe_load((ROOT / "cluster.yaml").read_text())["file_mounts"]
    local = {path for path in mounts.values() if not path.startswith("~")}
    assert local >= {*ROOMS, "scripts", "Makefile", "pyproject.toml", "constraints.txt", *PROJECT["license-files"]}
    assert PROJECT["readme"] in local
    assert [path for path in local if not (ROOT / path).exists()] == []


def test_the_workflow_of_a_fork_runs_what_ci_runs():
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    workflow = yaml.safe_load(text)
    # YAML 1.1 reads the key `on` as true.
    assert set(workflow[True]) == {"push", "pull_request"}
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["cancel-in-progress"] is True
    for job in workflow["jobs"].values():
        assert 0 < job["timeout-minutes"] <= 120
        assert ".ci/run" in [step.get("run") for step in job["steps"]]
        used = [step["uses"] for step in job["steps"] if "uses" in step]
        assert [action for action in used if not re.fullmatch(r"[\w./-]+@(v\d+|[0-9a-f]{40})", action)] == []
        assert job["env"]["PIP_EXTRA_INDEX_URL"] in (ROOT / "README.md").read_text()
    keyed = re.findall(r"[\w/]+\.(?:py|toml|txt)\b", text)
    assert [name for name in keyed if not (ROOT / name).is_file()] == []


def test_the_browsers_that_the_scripts_look_for_are_those_that_the_tests_drive():
    named = [
        set(re.findall(r"command -v ([\w-]*chrom[\w-]*)", (ROOT / script).read_text()))
        for script in (".ci/run", "scripts/preflight.sh")
    ]
    driven = re.search(r"CHROMIUMS = (\(.*?\))", (ROOT / "tests" / "services" / "conftest.py").read_text())
    assert driven is not None
    assert named == [set(ast.literal_eval(driven[1]))] * 2


def test_ci_and_scripts_can_be_executed_and_are_sound_bash():
    for script in (ROOT / ".ci" / "run", *(ROOT / "scripts").glob("*.sh")):
        assert os.access(script, os.X_OK), f"{script} is not executable"
        result = run("bash", "-n", str(script))
        assert result.returncode == 0, result.stderr


def test_what_is_missing_is_said_plainly(tmp_path):
    result = subprocess.run(
        ["/bin/bash", str(ROOT / "scripts" / "preflight.sh"), "test"],
        cwd=tmp_path,
        env={"PATH": str(tmp_path), "FROMAGE_HOME": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2
    for missing in ("Python 3.11", "apt-get install npm", "apt-get install chromium", "redis-server"):
        assert missing in result.stderr


@pytest.mark.parametrize(("catalogue", "needs_npm"), [(None, False), ("wardrobe", False), ("openmoji", True)])
def test_only_the_catalogue_that_npm_fetches_needs_npm(tmp_path, catalogue, needs_npm):
    named = {} if catalogue is None else {"CATALOGUE": catalogue}
    result = subprocess.run(
        ["/bin/bash", str(ROOT / "scripts" / "preflight.sh"), "demo"],
        cwd=tmp_path,
        env={"PATH": str(tmp_path), "FROMAGE_HOME": str(tmp_path), "HOME": str(tmp_path), **named},
        capture_output=True,
        text=True,
    )
    assert ("npm" in result.stderr) == needs_npm


def test_every_module_that_our_code_names_in_words_is_there():
    """In a string that is run, patched or logged to, a name that has moved fails late, or passes and checks nothing."""
    named = re.compile(rf"(?<![\w./-])((?:{'|'.join((*ROOMS, 'tests', 'scripts'))})(?:\.[A-Za-z_]\w*)+)")
    gone = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources()
        for name in named.findall(path.read_text())
        if not is_there(name) and name not in ("fromage_model.absent", "jobs.md", "jobs.somewhere")
    }
    assert gone == set()


def is_there(name: str) -> bool:
    """Whether a dotted name is that of a room, of a module, or of something that its module has."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        place = ROOT.joinpath(*parts[:count])
        file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        if place.is_dir() or file.is_file():
            source = file.read_text() if file.is_file() else ""
            return count == len(parts) or re.search(rf"\b{parts[count]}\b", source) is not None
    return False
