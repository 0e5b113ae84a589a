"""Captions of a model measured on COCO's and Karpathy's files, and on a catalogue's split."""

import json

import pytest

from fromage_model.captioning.fingerprint import captioner_fingerprint
from fromage_model.errors import CatalogueError, InvalidInput, MissingArtefact
from fromage_model.header import bundle_fingerprint
from jobs.evaluate.benchmarks.captioned import Captioned, read_captioned
from jobs.evaluate.benchmarks.captioning import fingerprint, measured_captions
from jobs.evaluate.benchmarks.models import fingerprint_of
from jobs.evaluate.benchmarks.task import PictureFile
from jobs.evaluate.job import main
from tests.jobs.evaluate.benchmarks import worlds
from tests.jobs.evaluate.metrics.test_captions import CAPTIONS, COCO_BLEU, COCO_CIDER, COCO_ROUGE, REFERENCES

COCO = {"red": ["a red square", "red"], "green": ["a green square"], "blue": ["a blue square", "a square, in blue"]}


def test_figures_are_those_of_cocos_own_code():
    examples = [Captioned(str(row), PictureFile("no"), tuple(own)) for row, own in enumerate(REFERENCES)]
    found = measured_captions(examples, CAPTIONS)
    values = {name: scores.value for name, scores in found.scores.items()}
    assert values["cider"] == pytest.approx(100 * sum(COCO_CIDER) / 3)
    assert values["rouge_l"] == pytest.approx(100 * sum(COCO_ROUGE) / 3)
    assert [values[f"bleu_{order}"] for order in (1, 2, 3, 4)] == pytest.approx(
        [100 * one for one in COCO_BLEU], abs=1e-4
    )
    assert next(iter(values)) == "cider"
    assert found.shown[0].expected == " / ".join(REFERENCES[0])


def test_a_bundle_captions_cocos_pictures_and_ends_with_figures_page_and_examples(benchmark_args, tmp_path, capsys):
    worlds.write_coco(tmp_path / "data", COCO)
    figures = main(benchmark_args("captioning")).as_dict()
    assert (figures["rows_in"], figures["rows_out"], figures["rows_failed"]) == (3, 3, 0)
    assert len(figures["fingerprint"]) == len(figures["data_fingerprint"]) == 32
    bleu = figures["figures"]["bleu_1"]
    assert bleu["n"] == 3
    assert bleu["interval"][0] <= bleu["value"] <= bleu["interval"][1]
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["figures"] == figures["figures"]
    html = (tmp_path / "out" / "report.html").read_text()
    assert html.count("data:image/jpeg;base64,") == 3
    assert "a green square" in html
    assert "http" not in html.replace("http-equiv", "")
    assert "cider" in capsys.readouterr().out


def test_a_frozen_model_is_measured_in_the_same_way(benchmark_args, frozen_model, tmp_path):
    worlds.write_coco(tmp_path / "data", COCO)
    figures = main(benchmark_args("captioning", bundle=frozen_model)).as_dict()
    assert figures["figures"]["cider"]["n"] == 3
    assert figures["bundle"] == frozen_model


def test_karpathys_split_is_measured_and_no_other(benchmark_args, tmp_path):
    worlds.write_karpathy(tmp_path / "data", COCO)
    task = read_captioned(benchmark_args("captioning"), by_picture=True)
    assert [example.captions for example in task.examples] == [("a red square", "red"), ("a green square",)]
    assert task.total == 2
    with pytest.raises(InvalidInput, match=r"'val'.*\['test', 'train'\]"):
        read_captioned(benchmark_args("captioning", split="val"), by_picture=True)


def test_items_of_a_catalogue_are_their_pictures_captions(benchmark_args):
    task = read_captioned(benchmark_args("captioning", data=None), by_picture=True)
    assert [example.captions for example in task.examples] == [(f"{colour} square",) for colour in worlds.COLOURS[:4]]
    with pytest.raises(CatalogueError, match=r"no captioned item in split 'test'.*held-out"):
        read_captioned(benchmark_args("captioning", data=None, split="test"), by_picture=True)


def test_wrong_fields_and_missing_pictures_are_named_counted_and_left_out(benchmark_args, tmp_path):
    file = worlds.write_coco(tmp_path / "data", COCO | {"white": ["white"]})
    (tmp_path / "data" / "val2014" / "COCO_val2014_000000000000.jpg").unlink()

    def edit(content):
        content["annotations"][2]["caption"] = 7

    worlds.change(file, edit)
    task = read_captioned(benchmark_args("captioning"), by_picture=True)
    assert [example.id for example in task.examples] == ["2", "3"]
    told = [(failure.id, failure.error) for failure in task.failures.rows]
    assert told == [(None, "wrong_field"), ("0", "missing_picture"), ("1", "wrong_field")]
    assert "annotations.2.caption: expected str, got int 7" in task.failures.rows[0].message
    figures = main(benchmark_args("captioning", max_failed=0.8)).as_dict()
    assert figures["failed_by"] == {"wrong_field": 2, "missing_picture": 1}
    assert (figures["rows_failed"], figures["rows_out"]) == (3, 2)


@pytest.mark.usefixtures("no_model")
def test_a_file_of_which_most_is_wrong_is_refused_before_a_model_is_opened(benchmark_args, tmp_path):
    worlds.write_coco(tmp_path / "data", COCO)
    for picture in (tmp_path / "data" / "val2014").iterdir():
        picture.unlink()
    with pytest.raises(InvalidInput, match=r"3 of 3 examples.*3 missing_picture.*no picture COCO_val2014_0+\.jpg"):
        main(benchmark_args("captioning"))


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([], "expected a JSON object with images"),
        ({"annotations": [{}]}, "expected images with something in it; found annotations"),
        ({"images": [{"id": 1}], "annotations": {}}, "expected annotations with something in it"),
    ],
)
def test_a_file_of_another_form_is_refused_by_name(benchmark_args, tmp_path, content, told):
    worlds.write(tmp_path / "data" / "captions_val2014.json", content)
    with pytest.raises(InvalidInput, match=rf"captions_val2014\.json: {told}"):
        main(benchmark_args("captioning"))


@pytest.mark.usefixtures("no_model")
def test_what_was_looked_for_is_said_where_nothing_is_found(benchmark_args, tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(
        MissingArtefact, match=r"no captions of COCO or Karpathy: looked for dataset_\*\.json and captions_"
    ):
        main(benchmark_args("captioning"))


def test_any_captioner_has_a_fingerprint_and_one_of_ours_its_own(tiny_world, frozen_model):
    assert fingerprint(str(tiny_world.bundle)) == bundle_fingerprint(str(tiny_world.bundle))
    assert fingerprint(str(tiny_world.lm)) == captioner_fingerprint(str(tiny_world.lm))
    assert fingerprint(frozen_model) == fingerprint_of(frozen_model)


def test_where_no_picture_can_be_opened_the_job_says_why(benchmark_args, tmp_path):
    worlds.write_coco(tmp_path / "data", COCO)
    for picture in (tmp_path / "data" / "val2014").iterdir():
        picture.write_bytes(b"no picture")
    for benchmark in ("captioning", "retrieval"):
        with pytest.raises(InvalidInput, match=r"none of 3 examples could be asked: "):
            main(benchmark_args(benchmark))


def test_a_damaged_picture_is_found_when_it_is_opened_and_counted(benchmark_args, tmp_path):
    worlds.write_coco(tmp_path / "data", COCO)
    (tmp_path / "data" / "val2014" / "COCO_val2014_000000000001.jpg").write_bytes(b"no picture")
    figures = main(benchmark_args("captioning")).as_dict()
    assert figures["failed_by"] == {"unreadable_picture": 1}
    assert figures["figures"]["bleu_1"]["n"] == 2
