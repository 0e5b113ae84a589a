"""What holds for the project as a whole: its rooms, its commands, its cluster file, and what its README promises."""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ROOMS = ("fromage_model", "jobs", "services")


def run(*command: str, timeout_s: float = 240) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout_s)


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[list[str]]:
    """Every command of the bash blocks as words, a quoted argument that spans lines being one word."""
    found = []
    for block in blocks(text, "bash"):
        words = shlex.shlex(block, posix=True, punctuation_chars=False)
        words.whitespace_split, words.whitespace, words.commenters = True, " \t", "#"
        line: list[str] = []
        for word in words:
            head, *rest = word.split("\n") if not word.lstrip().startswith("{") else [word]
            line += [head] if head else []
            for start in rest:
                found.append(line)
                line = [start] if start else []
        found.append(line)
    return [line for line in found if line]


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


@cache
def help_of(module: str) -> str:
    result = run(sys.executable, "-m", module, "--help")
    assert result.returncode == 0, result.stderr
    return result.stdout


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


@pytest.mark.parametrize("text", [README, CONTRIBUTING], ids=["README", "CONTRIBUTING"])
def test_every_make_target_that_we_name_is_there(text):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)\b(?=[ `\n])", "\n".join(re.findall(r"`+[^`]*`+", text))))
    assert named
    assert named <= targets


@pytest.mark.parametrize("line", [line for line in commands(README) if "-m" in line], ids=" ".join)
def test_a_command_of_the_readme_takes_the_options_it_is_shown_with(line):
    line = line[line.index("--") + 1 :] if "--" in line else line
    module = line[line.index("-m") + 1]
    for option in (word for word in line if word.startswith("--")):
        assert option in help_of(module), f"{module} knows no {option}"


def test_every_job_is_in_the_readme_and_explains_itself():
    jobs = {f"jobs.{path.parent.name}" for path in (ROOT / "jobs").glob("*/__main__.py")}
    assert jobs == set(re.findall(r"\| `python -m (jobs\.\w+)`", README))
    for job in jobs:
        assert f"python -m {job}" in help_of(job), f"the docstring of {job} does not end with its command"


@pytest.mark.parametrize("code", blocks(README, "python"))
def test_the_python_of_the_readme_compiles_and_its_imports_exist(code):
    tree = ast.parse(code)
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    exec(compile(ast.Module(body=imports, type_ignores=[]), "<README>", "exec"), {})


def test_the_requests_of_the_readme_are_ones_that_the_chat_understands():
    from services.http.schemas import ChatRequest

    bodies = [line[line.index("-d") + 1] for line in commands(README) if line[0] == "curl" and "-d" in line]
    assert bodies
    for body in bodies:
        ChatRequest.model_validate(json.loads(body))


def test_every_file_that_the_documents_link_to_is_there():
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", README + CONTRIBUTING)
    assert [link for link in links if not (ROOT / link).exists()] == []


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
    for missing in ("Python 3.11", "apt-get install npm", "CATALOGUE=my.tsv make demo", "apt-get install chromium"):
        assert missing in result.stderr
