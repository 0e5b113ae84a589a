"""What is the same for every benchmark: options, two models compared, what is written, the command."""

import json
import shutil
import subprocess
import sys
from typing import get_args

import pyarrow.parquet as pq
import pytest

from fromage_model.errors import ConfigError, FromageError
from fromage_model.header import HEADER, bundle_fingerprint, bundle_metrics
from jobs.evaluate.job import main
from jobs.evaluate.options import BenchmarkName, EvaluateArgs
from tests.jobs import tiny
from tests.jobs.evaluate.benchmarks import worlds
from tests.lines import wrong

COCO = {colour: [f"a {colour} square", f"{colour}"] for colour in worlds.COLOURS}


def test_two_bundles_are_compared_on_the_same_examples_with_pictures(
    benchmark_args, second_bundle, tiny_world, tmp_path, capsys
):
    worlds.write_coco(tmp_path / "data", COCO)
    first = str(tiny_world.bundle)
    compared = main(benchmark_args("retrieval", compare=(first, second_bundle))).as_dict()
    alone = main(benchmark_args("retrieval", bundle=second_bundle, out=str(tmp_path / "alone"))).as_dict()
    assert [model["fingerprint"] for model in compared["models"]] == [
        bundle_fingerprint(first),
        bundle_fingerprint(second_bundle),
    ]
    assert compared["models"][1]["figures"] == alone["figures"]
    for name, told in compared["differences"].items():
        one, other = (model["figures"][name]["value"] for model in compared["models"])
        assert told["difference"] == pytest.approx(other - one, abs=0.02)
        assert told["interval"][0] <= told["difference"] <= told["interval"][1]
        assert 0 < told["p"] <= 1
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Where they differ most" in page
    assert page.count("data:image/jpeg;base64,") >= 10
    assert page.count(first) >= 3
    examples = pq.read_table(tmp_path / "out" / "examples.parquet")
    assert set(examples["bundle"].to_pylist()) == {first, second_bundle}
    assert "minus" in capsys.readouterr().out


def test_a_bundle_against_itself_under_another_name_shows_no_difference(benchmark_args, tiny_world, tmp_path):
    worlds.write_coco(tmp_path / "data", COCO)
    again = str(tiny.write_bundle(tmp_path / "again", lm=tiny_world.lm))
    told = main(benchmark_args("retrieval", compare=(str(tiny_world.bundle), again))).as_dict()["differences"]
    assert {(one["difference"], one["p"]) for one in told.values()} == {(0.0, 1.0)}
    assert "Nothing to show." in (tmp_path / "out" / "report.html").read_text()


def test_some_examples_are_drawn_by_the_seed(benchmark_args, tmp_path):
    worlds.write_coco(tmp_path / "data", COCO)
    drawn = {}
    for seed in (0, 0, 1):
        figures = main(benchmark_args("retrieval", limit=4, seed=seed)).as_dict()
        assert (figures["rows_in"], figures["rows_out"], figures["seed"]) == (12, 8, seed)
        ids = pq.read_table(tmp_path / "out" / "examples.parquet")["id"].to_pylist()
        assert drawn.setdefault(seed, ids) == ids
    assert drawn[0] != drawn[1]


def test_what_was_measured_is_recorded_in_the_bundle(benchmark_args, tiny_world, tmp_path):
    bundle = str(tiny.write_bundle(tmp_path / "recorded", lm=tiny_world.lm))
    main(benchmark_args("captioning", data=None, bundle=bundle, record=True))
    assert bundle_metrics(bundle)["captioning-squares"]["figures"]["cider"]["n"] == 4


def test_what_feeds_and_models_wrote_is_escaped_on_the_page(benchmark_args, tmp_path):
    worlds.write_coco(tmp_path / "data", {"red": ["<script>alert(1)</script>"], "blue": ["b"]})
    main(benchmark_args("retrieval"))
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_folder_of_something_else_is_not_replaced(benchmark_args, tmp_path):
    worlds.write_coco(tmp_path / "data", COCO)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"something else \(no metrics\.json"):
        main(benchmark_args("retrieval"))


NAMES = [None, *get_args(BenchmarkName)]
OF_A_CATALOGUE = [name for name in NAMES if name not in ("vist", "visdial")]


@pytest.mark.usefixtures("no_model", "no_ray")
@pytest.mark.parametrize("benchmark", NAMES)
def test_a_bundle_that_is_not_there_is_told_before_anything_else(benchmark_args, benchmark, tmp_path):
    (tmp_path / "set.json").write_text(
        '{"wishes": [{"text": "A red one?", "accept": ["gold square"]}], "others": ["Hi"]}'
    )
    queries = str(tmp_path / "set.json") if benchmark == "chat" else None
    data = "pictures" if benchmark in ("vist", "visdial") else None
    with pytest.raises(FromageError, match="no bundle 'nowhere'"):
        main(benchmark_args(benchmark, data=data, bundle="nowhere", queries=queries))


@pytest.mark.usefixtures("no_model", "no_ray")
@pytest.mark.parametrize("benchmark", OF_A_CATALOGUE)
def test_a_catalogue_that_is_not_there_is_told_before_anything_else(benchmark_args, benchmark):
    with pytest.raises(FromageError, match="no catalogue 'nowhere'"):
        main(benchmark_args(benchmark, data=None, catalogue="nowhere"))


@pytest.mark.usefixtures("no_model", "no_ray")
@pytest.mark.parametrize("benchmark", [name for name in NAMES if name not in (None, "products", "chat")])
def test_files_that_are_not_there_are_told_before_anything_else(benchmark_args, benchmark):
    with pytest.raises(FromageError, match="no folder nowhere"):
        main(benchmark_args(benchmark, data="nowhere"))


@pytest.mark.usefixtures("no_model", "no_ray")
@pytest.mark.parametrize("benchmark", [None, "retrieval", "products"])
def test_features_that_are_named_and_not_there_are_told_before_anything_else(benchmark_args, benchmark):
    with pytest.raises(FromageError, match="no features 'nowhere'"):
        main(benchmark_args(benchmark, data=None, features="nowhere"))


@pytest.mark.usefixtures("no_model", "no_ray")
@pytest.mark.parametrize("benchmark", ["retrieval", "products"])
def test_features_of_another_encoder_are_told_before_any_model_is_opened(
    benchmark_args, benchmark, second_bundle, tiny_world, tmp_path
):
    other = shutil.copytree(second_bundle, tmp_path / "other-encoder")
    header = json.loads((other / HEADER).read_text())
    (other / HEADER).write_text(json.dumps({**header, "encoder_fingerprint": "0" * 64}))
    compared = (str(tiny_world.bundle), str(other))
    args = benchmark_args(benchmark, data=None, features=str(tiny_world.features), compare=compared)
    with pytest.raises(FromageError, match="another vision encoder"):
        main(args)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"benchmark": "retrieval", "limit": 0}, "limit is 0"),
        ({"benchmark": "vqa", "shots": (1, 1)}, "different numbers"),
        ({"benchmark": "vqa", "shots": ()}, "different numbers"),
        ({"benchmark": "vqa", "draws": 0}, "draws is 0"),
        ({"compare": ("a", "b")}, "compare and data belong to --benchmark"),
        ({"benchmark": "chat", "data": "x"}, "compare and data belong to --benchmark"),
        ({"benchmark": "vist"}, "data is missing; --benchmark vist"),
        ({"benchmark": "vqa", "queries": "x"}, "queries belongs to --benchmark chat"),
    ],
)
def test_options_that_do_not_fit_are_refused(changes, told):
    with pytest.raises(ConfigError, match=told):
        EvaluateArgs(**changes)


def test_a_model_is_not_compared_with_itself(benchmark_args, tiny_world):
    with pytest.raises(ConfigError, match="two different models"):
        main(benchmark_args("retrieval", compare=(str(tiny_world.bundle),) * 2))


def test_the_command_leaves_with_one_line_and_the_code_of_bad_input(tiny_world):
    command = [sys.executable, "-m", "jobs.evaluate", "--benchmark", "products", "--catalogue", "nowhere"]
    done = subprocess.run(
        [*command, "--bundle", tiny_world.bundle], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 2
    assert len(wrong(done.stderr)) == len(done.stderr.splitlines()) == 1
    assert "no catalogue 'nowhere'" in done.stderr


def test_the_command_ends_with_one_json_line(tiny_world, tmp_path):
    worlds.write_coco(tmp_path / "data", COCO)
    command = [sys.executable, "-m", "jobs.evaluate", "--benchmark", "captioning", "--data", tmp_path / "data"]
    command += ["--bundle", tiny_world.bundle, "--out", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["figures"]["bleu_1"]["n"] == 12
    assert (tmp_path / "out" / "failures.parquet").is_file()
