"""A command's lines: each dated, of other libraries only what is wrong, and that with the library's name."""

import subprocess
import sys

import pytest

from tests.lines import said


def run(program: str) -> subprocess.CompletedProcess[str]:
    start = "import logging, sys, warnings; from fromage_model.logs import dated_lines, hand_on\n"
    return subprocess.run([sys.executable, "-c", start + program], capture_output=True, text=True, check=True)


LIBRARY = """
# As libraries do that bring a handler of their own.
library = logging.getLogger("library")
library.addHandler(logging.StreamHandler())
library.setLevel(logging.INFO)
library.propagate = False
"""
SPEAK = """
for name in ("jobs.embed", "library.part"):
    logging.getLogger(name).info("all is well")
    logging.getLogger(name).error("a pipe burst")
"""


def test_ours_say_what_they_do_and_others_only_what_is_wrong():
    done = run(f"dated_lines(){SPEAK}")
    assert said(done.stderr) == ["all is well", "error: a pipe burst", "error: library: a pipe burst"]
    assert done.stdout == ""


def test_without_a_result_for_programs_news_goes_where_one_reads_first():
    done = run(f"dated_lines(news_to_stdout=True){SPEAK}")
    assert said(done.stdout) == ["all is well"]
    assert said(done.stderr) == ["error: a pipe burst", "error: library: a pipe burst"]


def test_a_library_with_a_handler_of_its_own_hands_on_to_ours():
    done = run(f"dated_lines(){LIBRARY}hand_on('library'){SPEAK}")
    assert said(done.stderr) == ["all is well", "error: a pipe burst", "error: library: a pipe burst"]


def test_a_warning_of_python_is_one_line():
    done = run("dated_lines(); warnings.warn('this\\nwill go', FutureWarning)")
    assert said(done.stderr) == ["warning: this will go (FutureWarning, <string>:2)"]


@pytest.mark.parametrize("name", ["TRANSFORMERS_VERBOSITY", "TQDM_DISABLE"])
def test_who_asks_for_more_by_the_environment_gets_it(name):
    done = run(f"import os; os.environ['{name}'] = 'mine'; dated_lines(); print(os.environ['{name}'])")
    assert done.stdout == "mine\n"


def test_bars_are_not_drawn_into_a_file():
    done = run("dated_lines(); from tqdm.auto import tqdm; print(sum(tqdm(range(3))))")
    assert (done.stdout, done.stderr) == ("3\n", "")
