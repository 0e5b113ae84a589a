"""The measurements end to end on a small world: recall against a slow computation, the chat through its engine."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from fromage_model.bundle import load_bundle, load_projection
from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.features import read_features
from fromage_model.errors import ConfigError, FingerprintMismatch, InvalidInput
from fromage_model.header import bundle_metrics
from jobs.evaluate.job import EvaluateArgs, main
from jobs.index import job as index_job
from services.settings import Settings
from tests.jobs import tiny
from tests.jobs.conftest import without_ray
from tests.lines import said, wrong

pytestmark = pytest.mark.usefixtures("ray_session")
QUERIES = {
    "wishes": [
        {"text": "Something for a sunny day?", "accept": ["gold square", "LIME SQUARE"]},
        {"text": "Do you have a dark one?", "accept": [f"{colour} square" for colour in tiny.COLOURS]},
    ],
    "others": ["Thanks!", "What is 2 + 2?", "Hello"],
    "picture_messages": ["Similar?"],
}
SHOP = {
    "wishes": [
        {"text": "A dark one?", "by": "look", "must": {"subgroup": "dark"}},
        {"text": "A round one?", "by": "look", "must": {"tags": "circle"}},
    ],
    "others": ["Thanks!"],
    "conversations": [
        [
            {"text": "squares?", "must": {"tags": "square"}},
            {"text": "other ones", "must": {}},
            {"text": "darker", "must": {"subgroup": "dark"}},
            {"text": "bye", "must": None},
        ]
    ],
    "pictures": [
        {"text": "more?", "of": {"subgroup": "dark"}, "must": {"subgroup": {"than": "same"}}, "times": 2},
        {"text": "what?", "of": {"subgroup": "bright"}, "names": ["subgroup"]},
    ],
    "pictured": {"split": "held-out"},
    "names": {"subgroup": {"bright": ["bright"]}},
}


@pytest.fixture(scope="module")
def squares_index(tiny_world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("squares") / "index"
    with without_ray():
        index_job.main(
            index_job.IndexArgs(
                catalogue=str(tiny_world.catalogue),
                bundle=str(tiny_world.bundle),
                features=str(tiny_world.features),
                out=str(folder),
            )
        )
    return folder


@pytest.fixture
def args(tiny_world, squares_index, tmp_path):
    def of(**changes) -> EvaluateArgs:
        settings = {
            "catalogue": str(tiny_world.catalogue),
            "bundle": str(tiny_world.bundle),
            "features": str(tiny_world.features),
            "index": str(squares_index),
            "out": str(tmp_path / "metrics.json"),
            "threads": 1,
        }
        return EvaluateArgs(**(settings | changes))

    return of


@pytest.fixture
def read_here(monkeypatch) -> None:
    """No cluster is named: few texts are read in this process."""
    monkeypatch.delenv("RAY_ADDRESS")


@pytest.fixture
def queries_file(tmp_path):
    file = tmp_path / "small.json"
    file.write_text(json.dumps(QUERIES))
    return str(file)


def slow_recall(world, *, among_all):
    """Text-to-image R@1, R@5, R@10 in percent by the model itself, one text and one item at a time."""
    items = Catalogue.open(world.catalogue).items()
    features = read_features(world.features)
    projection = load_projection(str(world.bundle))
    model = load_bundle(str(world.bundle), vision=False)
    candidates = [item for item in items if among_all or item.split == "held-out"]
    pictures = {item.id: projection.embed(features.of([item.id]))[0] for item in candidates}
    ranks = []
    for item in items:
        if item.split == "held-out":
            text = model.text_embeddings([f"A picture of {item.caption}."])[0].numpy()
            scores = {id: float(np.dot(text, picture)) for id, picture in pictures.items()}
            ranks.append(sorted(scores, key=scores.__getitem__, reverse=True).index(item.id))
    return {f"r_at_{k}": 100 * sum(rank < k for rank in ranks) / len(ranks) for k in (1, 5, 10)}


@pytest.mark.usefixtures("read_here")
def test_recall_equals_a_slow_computation_and_is_recorded_in_the_bundle(args, tiny_world, tmp_path, capsys):
    bundle = tiny.write_bundle(tmp_path / "recorded", lm=tiny_world.lm)
    figures = main(args(bundle=str(bundle), name_and_tags=True, record=True)).as_dict()
    assert (figures["items"], figures["all_items"], figures["split"]) == (4, 12, "held-out")
    assert figures["text_to_image"] == slow_recall(tiny_world, among_all=False)
    assert figures["text_to_image_among_all"] == slow_recall(tiny_world, among_all=True)
    assert figures["name_and_tags"]["text_to_image"].keys() == {"r_at_1", "r_at_5", "r_at_10"}
    low, high = figures["intervals"]["text_to_image"]["r_at_5"]
    assert 0 <= low <= figures["text_to_image"]["r_at_5"] <= high <= 100
    assert json.loads((tmp_path / "metrics.json").read_text())["text_to_image"] == figures["text_to_image"]
    assert "text_to_image_among_all" in capsys.readouterr().out
    recorded = bundle_metrics(str(bundle))["recall-held-out"]
    assert (recorded["catalogue"], recorded["text_to_image"]) == ("squares", figures["text_to_image"])


@pytest.mark.usefixtures("read_here")
def test_the_three_kinds_of_vectors_are_compared_in_one_call(args, tiny_world, capsys):
    """Every square has the same tags, so one query is asked of all items, and each item's rank is known from it."""
    compared = main(args(compare_vectors=True)).as_dict()["vectors"]
    assert list(compared) == ["queries", "image", "caption", "both"]
    model = load_bundle(str(tiny_world.bundle), vision=False)
    items = Catalogue.open(tiny_world.catalogue).items()
    features = read_features(tiny_world.features).of([item.id for item in items])
    pictures = load_projection(str(tiny_world.bundle)).embed(features)
    captions = model.text_embeddings([f"A picture of {item.caption}." for item in items]).numpy()
    both = 0.25 * pictures + 0.75 * captions
    both /= np.linalg.norm(both, axis=1, keepdims=True)
    query = model.text_embeddings(["A picture of square, flat."])[0].numpy()
    for kind, vectors in (("image", pictures), ("caption", captions), ("both", both)):
        order = np.argsort(-(vectors @ query)).tolist()
        ranks = [order.index(row) for row, item in enumerate(items) if item.split == "held-out"]
        expected = {f"r_at_{k}": 100 * sum(rank < k for rank in ranks) / 4 for k in (1, 5, 10)}
        assert compared[kind]["text_to_image_among_all"] == expected, kind
    assert "found by" in capsys.readouterr().out


def test_the_chat_is_asked_and_its_shares_add_up(args, queries_file, tmp_path, capsys):
    figures = main(
        args(
            queries=queries_file,
            picture_messages=3,
            max_new_tokens=4,
            verbose=True,
            details=str(tmp_path / "details.json"),
        )
    ).as_dict()
    assert (figures["wishes"], figures["others"], figures["rows_in"]) == (2, 3, 4 + 3 + 6)
    details = json.loads((tmp_path / "details.json").read_text())
    always = [row for row in details if row["kind"] == "wish" and row["retrieval"] == "always"]
    assert [len(row["products"]) for row in always] == [5, 5]
    assert always[1]["hit"]
    assert figures["hit_at_5_always"] == sum(row["hit"] for row in always) / 2
    others = [row for row in details if row["kind"] == "other"]
    assert figures["products_on_others"] == pytest.approx(sum(bool(row["products"]) for row in others) / 3, abs=1e-4)
    pictures = [row for row in details if row["kind"] == "picture"]
    assert {split: score["items"] for split, score in figures["pictures"].items()} == {"held-out": 3, "train": 3}
    assert all(row["picture_of"] not in row["products"] and len(row["products"]) == 5 for row in pictures)
    assert "Do you have a dark one?" in capsys.readouterr().out


def test_conversations_pictures_and_baselines_are_measured_in_one_call(args, tmp_path, capsys):
    file = tmp_path / "shop.json"
    file.write_text(json.dumps(SHOP))
    details = tmp_path / "details.json"
    asked = args(queries=str(file), max_new_tokens=6, verbose=True, details=str(details))
    figures = main(asked).as_dict()
    assert (figures["rows_in"], figures["wishes"], figures["left_out"]) == (2 + 1 + 1 + 5, 1, 1)
    assert figures["by_look"]["hit_at_5_always"] == figures["hit_at_5_always"]
    turns = [row for row in json.loads(details.read_text()) if row["kind"] == "turn"]
    assert [row["text"] for row in turns] == ["squares?", "other ones", "darker", "bye"]
    came = [caption for row in turns for caption in row["products"]]
    assert len(set(came)) == len(came)
    counted = [row["hit"] for row in turns if row["hit"] is not None]
    assert figures["turns"]["n"] == len(counted)
    assert figures["turns"]["held"] == pytest.approx(sum(counted) / len(counted), abs=1e-4)
    assert (figures["pictures"]["n"], figures["pictures"]["similar"]["n"]) == (2, 2)
    assert figures["what_is_this"]["subgroup_n"] == 1
    baselines = figures["baselines"]
    assert {"last_turn_only", "raw_text", "picture_features"} <= set(baselines)
    assert baselines["last_turn_only"]["n"] == figures["turns"]["later_n"]
    assert baselines["raw_text"]["n"] == figures["wishes"]
    assert "darker" in capsys.readouterr().out


def test_the_benchmark_chat_is_the_quality_set_of_the_catalogue(args):
    with pytest.raises(InvalidInput, match="sunglasses"):
        main(args(benchmark="chat"))


def test_a_set_of_another_catalogue_is_refused(args, tmp_path):
    file = tmp_path / "hats.json"
    hats = [{"text": "a hat?", "must": {"kind": "hat"}}]
    file.write_text(json.dumps({"name": "hats", "catalogue": "hattery", "wishes": hats, "others": ["Hi"]}))
    with pytest.raises(InvalidInput, match=r"no item.*would answer any wish.*hats.*hattery"):
        main(args(queries=str(file)))


def test_a_set_that_names_an_unknown_item_is_refused_before_anything_is_asked(args, tmp_path):
    file = tmp_path / "unknown.json"
    file.write_text(json.dumps({**QUERIES, "wishes": [{"text": "Hat?", "accept": ["top hat", "gold square"]}]}))
    with pytest.raises(InvalidInput, match="top hat"):
        main(args(queries=str(file)))


def test_an_index_of_another_bundle_is_refused(args, queries_file, tiny_world, tmp_path):
    other = tiny.write_bundle(tmp_path / "other", lm=tiny_world.lm, seed=3)
    with pytest.raises(FingerprintMismatch):
        main(args(queries=queries_file, bundle=str(other)))


def test_an_index_of_another_state_of_the_catalogue_is_refused(args, queries_file, tmp_path):
    tiny.write_squares(tmp_path / "squares", captions={"red": "Red Square"})
    with pytest.raises(FingerprintMismatch, match=r"another state of squares.*jobs\.index"):
        main(args(queries=queries_file, catalogue=str(tmp_path / "squares")))


def test_the_chat_is_measured_as_it_is_served():
    assert EvaluateArgs().repetition_penalty == Settings().repetition_penalty
    assert Settings().temperature == 0


@pytest.mark.parametrize(
    "changes",
    [{"workers": 0}, {"max_new_tokens": 0}, {"picture_messages": -1}, {"threads": -1}, {"repetition_penalty": 0}],
)
def test_settings_that_cannot_work_are_named(changes):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        EvaluateArgs(**changes)


def test_the_command_ends_with_one_json_line_and_takes_queries_without_a_file(tiny_world, tmp_path, ray_session):
    command = [
        sys.executable,
        "-m",
        "jobs.evaluate",
        "--bundle",
        tiny_world.bundle,
        "--catalogue",
        tiny_world.catalogue,
    ]
    options = ["--features", tiny_world.features, "--out", tmp_path / "out.json", "--split", "train"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert said(done.stderr)
    assert wrong(done.stderr) == []
    figures = json.loads(done.stdout.splitlines()[-1])
    assert (figures["items"], figures["output"]) == (8, str(tmp_path / "out.json"))
    shipped = subprocess.run([*command, "--queries"], capture_output=True, text=True, timeout=200, check=False)
    assert (shipped.returncode, shipped.stdout) == (2, "")
    assert "sunglasses" in shipped.stderr


def test_nothing_is_asked_about_a_picture_that_is_gone_since_ingest(args, tiny_world, tmp_path):
    shutil.copytree(tiny_world.catalogue, tmp_path / "squares")
    (tmp_path / "squares" / "images" / "green.png").unlink()
    (tmp_path / "shop.json").write_text(json.dumps(SHOP))
    whole, one_less = (
        main(args(catalogue=catalogue, queries=str(tmp_path / "shop.json"), baselines=False)).as_dict()
        for catalogue in (str(tiny_world.catalogue), str(tmp_path / "squares"))
    )
    assert one_less["pictures_gone"] == 1
    assert whole["rows_in"] - one_less["rows_in"] == 2  # in auto and in always
    assert "pictures_gone" not in whole
