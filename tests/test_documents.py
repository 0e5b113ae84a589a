"""What holds for every page of the documents: what they name is there, and their commands can be given.

Their Python and their requests run in `fromage_model/test_documented.py` and `services/test_documented.py`.
"""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from importlib import import_module
from itertools import takewhile
from pathlib import Path
from typing import Any, get_args

import pytest
import tyro

from services.__main__ import read_settings
from services.check import problems_of
from services.settings import Settings
from tests.documents import PAGES, ROOT, blocks, commands, name_of, spans

HOUSES = ("fromage_model", "jobs", "services", "scripts", "tests")
README, DOCS = ROOT / "README.md", ROOT / "docs"
MAKEFILE = (ROOT / "Makefile").read_text()
JOBS = sorted(f"jobs.{path.parent.name}" for path in (ROOT / "jobs").glob("*/__main__.py"))
MODULE = re.compile(rf"(?<![\w/.-])((?:{'|'.join(HOUSES)})(?:\.\w+)+)(?![\w/])")
OURS = (".py", ".md", ".sh", ".toml", ".yaml", ".yml")
EVERYWHERE = {"apt-get", "export", "ray", "source", ".venv/bin/pre-commit"}

every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


@cache
def forms_of(module: str) -> Any:
    """The dataclass of a program's arguments, or the union of its subcommands' dataclasses."""
    program = import_module(module)
    found = vars(import_module(f"{module}.__main__") if hasattr(program, "__path__") else program)
    return found.get("Args") or next(value for name, value in found.items() if name.endswith("Args"))


@cache
def options_of(module: str) -> set[str]:
    if module == "services":
        names = set(Settings.model_fields)
    else:
        kinds = get_args(forms_of(module)) or (forms_of(module),)
        names = {field.name for kind in kinds for field in fields(kind)}
    return {"--help", *(f"--{prefix}{name.replace('_', '-')}" for name in names for prefix in ("", "no-"))}


def check_module(module: str, arguments: list[str]) -> None:
    """That a program takes these arguments, values and all, by its own parser."""
    if module == "services":
        read_settings([word for word in arguments if word != "--help"])
        return
    if module == "services.keys":
        import_module(module).parser().parse_args(arguments)
        return
    if module == "services.check":
        assert [problem for file in arguments for problem in problems_of(ROOT / file)] == []
        return
    forms = forms_of(module)
    if module == "jobs.finetune":  # of its two forms, `--model` says which
        chosen = import_module("jobs.finetune.__main__").model_of(arguments)
        forms = next(form for form in get_args(forms) if form().model == chosen)
    try:
        tyro.cli(forms, args=arguments)
    except SystemExit as error:
        pytest.fail(f"{module} does not take {arguments}: exit code {error.code}")


def check_make(words: list[str]) -> None:
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, flags=re.MULTILINE))
    for word in words:
        variable = word.partition("=")[0]
        assert word in targets or re.search(rf"^{variable} \?=", MAKEFILE, flags=re.MULTILINE), f"make knows no {word}"


def check_command(line: list[str]) -> None:
    variables = [word.partition("=")[0] for word in takewhile(lambda word: re.match("[A-Z_]+=", word), line)]
    program, *words = line[len(variables) :]
    if program == "make":
        check_make([*words, *(f"{name}=" for name in variables if not name.startswith("PIP_"))])
    elif program.endswith("python") and words[0] == "-m":
        check_module(words[1], words[2:])
    elif program.endswith("python"):
        assert (ROOT / words[0]).is_file(), f"there is no {words[0]}"
    elif program == "serve" and words[0] == "deploy":
        assert problems_of(ROOT / words[1]) == []
    elif program == "serve" and words != ["status"]:
        assert words[:2] == ["run", "services.app:build_app"]
        Settings(**dict(word.split("=") for word in words[2:]))
    elif program == "ray" and "--" in words:
        check_command(words[words.index("--") + 1 :])
    else:
        assert program in {*EVERYWHERE, "curl", "serve"}, f"no test knows the program {program}"


@pytest.mark.parametrize(
    ("page", "line"),
    [(page, line) for page in PAGES for line in commands(page)],
    ids=lambda value: name_of(value) if isinstance(value, Path) else " ".join(value)[:80],
)
def test_a_command_is_one_that_its_program_takes(page, line):
    check_command(line)


@every_page
def test_every_option_between_backticks_is_one_of_the_program_named_with_it_or_of_any(page):
    any_program = set().union(*map(options_of, [*JOBS, "services"]))
    for span in (span for span in spans(page) if not span.startswith("make ")):
        known = any_program
        if named := re.match(r"(?:python -m )?(jobs\.[a-z]+|services|tests\.benchmarks\.[a-z_]+) ", span):
            known = options_of(named[1])
        unknown = set(re.findall(r"(?<!\S)--[a-z][a-z0-9-]+", span)) - known
        assert not unknown, f"{span}: nobody knows {unknown}"


@every_page
def test_every_make_target_and_variable_is_there(page):
    for span in spans(page):
        words = shlex.split(span) if "make " in span else []
        if "make" in words:
            check_make(words[words.index("make") + 1 :])


def found(name: str) -> bool:
    """Whether a dotted name is a module of ours, or something in one."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            value = import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[count:]:
            if not hasattr(value, attribute):
                return False
            value = getattr(value, attribute)
        return True
    return False


@every_page
def test_every_module_that_is_named_can_be_imported(page):
    # `jobs.NAME` stands for each of them.
    named = {name for name in MODULE.findall(page.read_text()) if not name.endswith(("NAME", *OURS))}
    assert [name for name in sorted(named) if not found(name)] == []


def paths_in(page: Path) -> Iterator[str]:
    """Spans that name a file or folder of this project, by its place or by an ending that only our files have here."""
    tops = {path.name for path in ROOT.iterdir() if path.name not in (".git", ".venv")}
    for span in spans(page):
        if re.fullmatch(r"[\w.*/-]+", span) and (
            span.rstrip("/") in tops or span.partition("/")[0] in tops & {*HOUSES, "docs", ".ci", ".github"}
        ):
            yield span
        elif re.fullmatch(r"[\w./-]+", span) and span.endswith(OURS):
            yield f"**/{span}"


@every_page
def test_every_path_that_is_named_is_there(page):
    assert [path for path in paths_in(page) if not any(ROOT.glob(path.rstrip("/")))] == []


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@every_page
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page):
    for link in re.findall(r"\]\((?!https?://)([^)]+)\)", page.read_text()):
        path, _, anchor = link.partition("#")
        target = page if not path else page.parent / path
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{link} names no heading"


def test_the_readme_is_short_and_has_its_two_commands_on_the_first_screen():
    lines = README.read_text().splitlines()
    assert len(lines) <= 150
    first = commands(README)[:2]
    assert first == [["make", "demo"], ["make", "test"]]
    assert any("make test" in line for line in lines[:24])


def test_every_page_of_the_docs_is_linked_from_the_readme():
    linked = re.findall(r"\]\((docs/[^)#]+\.md)", README.read_text())
    assert {name_of(page) for page in PAGES if page.parent == DOCS} == set(linked)


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent == DOCS], ids=name_of)
def test_a_page_opens_with_what_its_reader_can_do(page):
    title, empty, first, *_ = page.read_text().splitlines()
    assert title.startswith("# ")
    assert (empty, first[:15]) == ("", "With this page ")


def test_every_job_is_in_the_table_of_jobs_and_explains_itself():
    assert set(JOBS) == set(re.findall(r"\| `python -m (jobs\.\w+)`", (DOCS / "jobs.md").read_text()))
    for job in JOBS:
        told = import_module(f"{job}.job").__doc__ or ""
        command = told.strip().splitlines()[-1]
        assert f"python -m {job} " in command, f"the docstring of {job} does not end with its command"


def test_every_benchmark_is_told_of():
    named = set(re.findall(r"\w+", (DOCS / "benchmarks.md").read_text()))
    there = {path.stem for path in (ROOT / "tests" / "benchmarks").glob("*.py")} - {"__init__"}
    assert there <= named


@every_page
def test_what_is_shown_as_json_is_json(page):
    for block in blocks(page, "json"):
        json.loads(block)


def test_the_settings_of_the_services_have_the_defaults_that_are_told():
    settings = Settings.model_construct()
    section = (DOCS / "http.md").read_text().partition("## Settings")[2]
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (.*?) \|", section, flags=re.MULTILINE)
    assert rows
    for names, told in rows:
        defaults = told.replace("`", "").split(", ")
        for name, default in zip(re.findall(r"\w+", names), [*defaults, defaults[-1]], strict=False):
            value = getattr(settings, name)
            if number := re.fullmatch(r"(\d[\d,]*(?:\.\d+)?)( MiB)?", default):
                assert value == (1024 * 1024 if number[2] else 1) * float(number[1].replace(",", "")), name
            elif re.fullmatch(r"[\w.]+", default):
                assert value == default, name


def test_a_variable_of_the_environment_that_we_name_is_a_setting_or_the_home():
    named = {name for page in PAGES for name in re.findall(r"\bFROMAGE_([A-Z_]+)\b", page.read_text())}
    assert {name.lower() for name in named} <= {"home", *Settings.model_fields}


def test_nothing_of_the_documents_is_hidden_from_their_tests():
    """A page in a folder of its own, or a command in a block without a language, would go unchecked."""
    assert [path for path in DOCS.rglob("*.md") if path not in PAGES] == []
    for page in PAGES:
        commands_there = re.findall(r"^\s*(?:make|curl|\S*python) .*", "\n".join(blocks(page, "")), flags=re.MULTILINE)
        assert commands_there == [], f"{name_of(page)} has commands in a block without a language"
