"""What is wrong in a benchmark's files, a catalogue or a model is named, counted, or refused before it costs time."""

import json
import shutil

import pyarrow.parquet as pq
import pytest

from fromage_model.errors import BundleError, CatalogueError, FingerprintMismatch, FromageError, InvalidInput
from fromage_model.frozen.storage import HEADER as FROZEN_HEADER
from fromage_model.header import HEADER, WEIGHTS
from jobs.evaluate.benchmarks import visdial, vist, vqa
from jobs.evaluate.benchmarks.captioned import read_captioned
from jobs.evaluate.job import main
from tests.jobs import tiny
from tests.jobs.evaluate.benchmarks import worlds

COCO = {"red": ["a red square", "red"], "green": ["a green square"], "blue": ["a blue square"]}
STORIES = {
    "s1": ["red", "green", "blue", "white", "black"],
    "s2": ["navy", "teal", "olive", "gray", "pink"],
}
DENSE = "visdial_1.0_val_dense_annotations.json"


def told_by(task):
    return [(failure.id, failure.error) for failure in task.failures.rows]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"answer_options": ["a", 1, 2, 3]}, "answer_options.0: expected the number of an answer, got 'a'"),
        ({"answer_options": [0, 1, None, 3]}, "answer_options.2: expected the number of an answer, got None"),
    ],
)
def test_an_option_that_is_no_number_is_named(benchmark_args, tmp_path, change, told):
    file = worlds.write_visdial(tmp_path / "data", dialogues=2)
    worlds.change(file, lambda content: content["data"]["dialogs"][0]["dialog"][0].update(change))
    task = visdial.read(benchmark_args("visdial"))
    assert [one.id for one in task.examples] == ["1"]
    assert task.failures.rows[0].message == f"data.dialogs.0.dialog.0.{told}"


def test_a_dialogue_without_a_round_or_with_another_s_id_is_named(benchmark_args, tmp_path):
    file = worlds.write_visdial(tmp_path / "data", dialogues=3)

    def edit(content):
        content["data"]["dialogs"][0]["dialog"] = []
        content["data"]["dialogs"][2]["image_id"] = 1

    worlds.change(file, edit)
    task = visdial.read(benchmark_args("visdial"))
    assert [one.id for one in task.examples] == ["1"]
    assert [failure.message for failure in task.failures.rows] == [
        "data.dialogs.0.dialog: expected at least one round, got none",
        "data.dialogs.2.image_id: expected an id of its own, got 1, which an entry before it has",
    ]


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda rows: rows.__setitem__(0, 3), "0: expected an object with image_id, got int"),
        (lambda rows: rows[1].update(gt_relevance=["x"] * 4), "1.gt_relevance: expected numbers, got"),
        (lambda rows: rows[1].update(gt_relevance=[None] * 4), "1.gt_relevance: expected numbers, got"),
    ],
)
def test_dense_annotations_of_another_form_are_refused_by_file_and_entry(benchmark_args, tmp_path, edit, told):
    worlds.write_visdial(tmp_path / "data", dialogues=2)
    worlds.change(tmp_path / "data" / DENSE, edit)
    with pytest.raises(InvalidInput, match=f"{DENSE}: {told}"):
        main(benchmark_args("visdial"))


def test_a_dialogue_that_is_too_long_as_a_whole_is_counted_and_the_others_find_their_pictures(benchmark_args, tmp_path):
    file = worlds.write_visdial(tmp_path / "data", dialogues=3)

    def edit(content):
        first = content["data"]["dialogs"][0]["dialog"]
        first[-1]["answer"] = 9  # it stands in no context but that of the whole
        content["data"]["answers"][9] = "so and so " * 60

    worlds.change(file, edit)
    told = main(benchmark_args("visdial")).as_dict()
    assert (told["figures"]["mrr"]["n"], told["figures"]["dialogue_to_image_r_at_1"]["n"]) == (6, 2)
    assert told["failed_by"] == {"too_long": 1}


def test_a_place_in_a_story_that_is_no_number_is_named(benchmark_args, tmp_path):
    file = worlds.write_vist(tmp_path / "data", STORIES)
    worlds.change(file, lambda content: content["annotations"][0][0].update(worker_arranged_photo_order="first"))
    task = vist.read(benchmark_args("vist"))
    assert [story.id for story in task.examples] == ["s2"]
    told = "annotations.0.worker_arranged_photo_order: expected a number from 0, got 'first'"
    assert task.failures.rows[0].message == told


def test_a_story_that_the_lm_has_no_room_for_is_counted_and_the_others_are_asked(benchmark_args, tmp_path):
    file = worlds.write_vist(tmp_path / "data", STORIES)
    worlds.change(file, lambda content: content["annotations"][0][0].update(text="so long " * 300))
    told = main(benchmark_args("vist")).as_dict()
    assert (told["rows_out"], told["failed_by"]) == (1, {"too_long": 1})
    assert pq.read_table(tmp_path / "out" / "failures.parquet")["id"].to_pylist() == ["s1"]


def test_an_answer_of_another_type_and_a_question_that_comes_twice_are_named(benchmark_args, tmp_path):
    file = worlds.write_vqa(tmp_path / "data", split="val2014", count=4)
    worlds.change(file, lambda content: content["annotations"][0].update(multiple_choice_answer={"red": 1}))
    questions = tmp_path / "data" / "v2_OpenEnded_mscoco_val2014_questions.json"
    worlds.change(questions, lambda content: content["questions"].append(content["questions"][3]))
    task = vqa.read(benchmark_args("vqa", shots=(0,), choices=0))
    assert [one.id for one in task.examples] == ["10", "20", "30"]
    messages = [failure.message for failure in task.failures.rows]
    assert messages[0] == "annotations.0.multiple_choice_answer: expected str, got dict {'red': 1}"
    assert messages[2] == "questions.4.question_id: expected an id of its own, got 30, which an entry before it has"


def test_training_questions_that_can_t_be_used_are_told(benchmark_args, tmp_path, caplog):
    worlds.write_vqa(tmp_path / "data", split="val2014", count=4)
    worlds.write_vqa(tmp_path / "data", split="train2014", count=6)
    (tmp_path / "data" / "train2014" / "COCO_train2014_000000000000.jpg").unlink()
    assert len(vqa.read(benchmark_args("vqa", shots=(1,))).more["training"]) == 4
    assert "2 of 6 can't be used, the first: no picture COCO_train2014_000000000000" in caplog.text


@pytest.mark.usefixtures("no_model")
def test_training_answers_without_a_word_are_no_choice(benchmark_args, tmp_path):
    worlds.write_vqa(tmp_path / "data", split="val2014", count=2)
    worlds.write_vqa(tmp_path / "data", split="train2014", count=2, people=("...",) * 10)
    with pytest.raises(InvalidInput, match=r"none of 2 training questions .*--choices 0"):
        main(benchmark_args("vqa", shots=(0,)))


def test_a_picture_that_comes_twice_is_counted_once(benchmark_args, tmp_path):
    file = worlds.write_coco(tmp_path / "data", COCO)
    worlds.change(file, lambda content: content["images"].append(content["images"][0]))
    told = main(benchmark_args("captioning")).as_dict()
    assert (told["rows_in"], told["rows_out"], told["failed_by"]) == (4, 3, {"wrong_field": 1})


def test_a_caption_without_a_letter_is_no_caption(benchmark_args, tmp_path):
    file = worlds.write_coco(tmp_path / "data", COCO)
    worlds.change(file, lambda content: content["annotations"][1].update(caption="\u200b\x07"))
    task = read_captioned(benchmark_args("captioning"), by_picture=True)
    assert told_by(task) == [(None, "no_words")]
    assert task.examples[0].captions == ("a red square",)
    assert task.failures.rows[0].message.startswith("annotations.1.caption: expected a letter or a digit, got '\\u200b")


def test_a_file_whose_entries_name_no_split_says_so(benchmark_args, tmp_path):
    file = worlds.write_karpathy(tmp_path / "data", COCO)
    worlds.change(file, lambda content: [image.pop("split") for image in content["images"]])
    with pytest.raises(InvalidInput, match=r"3 can't be read, the first: images\.0\.split: expected str, got nothing"):
        read_captioned(benchmark_args("captioning"), by_picture=True)


@pytest.mark.parametrize("by_picture", [True, False])
def test_items_without_a_caption_are_counted(benchmark_args, tmp_path, by_picture):
    said = {"red": "", "green": None, "blue": "..."}
    tiny.write_squares(tmp_path / "odd", held_out=6, captions=said)
    args = benchmark_args("captioning", data=None, catalogue=str(tmp_path / "odd"))
    task = read_captioned(args, by_picture=by_picture)
    assert (len(task.examples), task.total) == (3, 6)
    assert [failure.error for failure in task.failures.rows] == ["no_words"] * 3
    assert "expected a caption with a letter or a digit, got '...'" in task.failures.rows[2].message
    tiny.write_squares(tmp_path / "odd", colours=["red", "green"], held_out=2, captions=said)
    with pytest.raises(CatalogueError, match=r"no captioned item in split 'held-out'.*the first of 2: .*got ''"):
        read_captioned(args, by_picture=by_picture)


def test_captions_longer_than_the_lm_reads_are_counted(benchmark_args, tmp_path, caplog):
    worlds.write_coco(tmp_path / "data", COCO | {"white": ["so long " * 300]})
    assert main(benchmark_args("retrieval")).as_dict()["captions_cut"] == 1
    assert "1 of 5 captions are longer than the LM reads" in caplog.text


def damaged(model: str, folder, *, header: str, **changes) -> str:
    """A copy whose header says something else."""
    shutil.copytree(model, folder)
    told = json.loads((folder / header).read_text())
    told["config"] |= changes.pop("config", {})
    (folder / header).write_text(json.dumps(told | changes))
    return str(folder)


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("benchmark", ["retrieval", "captioning"])
def test_a_second_model_of_another_lm_or_config_is_refused_before_the_first_is_opened(
    benchmark_args, tiny_world, tmp_path, benchmark
):
    worlds.write_coco(tmp_path / "data", COCO)
    first = str(tiny_world.bundle)
    other = damaged(first, tmp_path / "lm", header=HEADER, lm_fingerprint="0" * 64)
    with pytest.raises(FingerprintMismatch, match=r"the LM .*: expected fingerprint 0000"):
        main(benchmark_args(benchmark, compare=(first, other)))
    more = damaged(first, tmp_path / "tokens", header=HEADER, config={"visual_tokens": 3})
    with pytest.raises(BundleError, match=r"prefix\.project\.weight is \(64, 1280\), expected \(96, 1280\)"):
        main(benchmark_args(benchmark, compare=(first, more)))
    wide = damaged(first, tmp_path / "wide", header=HEADER, config={"shared_width": 32})
    with pytest.raises(BundleError, match=r"text_head\.project\.0\.bias is \(16,\), expected \(32,\)"):
        main(benchmark_args(benchmark, compare=(first, wide)))
    cut = damaged(first, tmp_path / "cut", header=HEADER)
    (tmp_path / "cut" / WEIGHTS).write_bytes(b"cut short")
    with pytest.raises(BundleError, match=r"weights\.safetensors"):
        main(benchmark_args(benchmark, compare=(first, cut)))


@pytest.mark.usefixtures("no_model")
def test_a_frozen_model_of_another_lm_is_refused_before_any_is_opened(
    benchmark_args, tiny_world, frozen_model, tmp_path
):
    worlds.write_coco(tmp_path / "data", COCO)
    other = damaged(frozen_model, tmp_path / "lm", header=FROZEN_HEADER, lm_fingerprint="0" * 64)
    with pytest.raises(FingerprintMismatch, match=r"the LM .*: expected fingerprint 0000"):
        main(benchmark_args("captioning", compare=(str(tiny_world.bundle), other)))


@pytest.mark.usefixtures("no_model", "no_ray")
@pytest.mark.parametrize("benchmark", [None, "chat"])
def test_a_frozen_model_has_no_recall_and_no_chat(benchmark_args, frozen_model, tmp_path, benchmark):
    (tmp_path / "set.json").write_text(
        '{"wishes": [{"text": "A red one?", "accept": ["gold square"]}], "others": ["Hi"]}'
    )
    queries = str(tmp_path / "set.json") if benchmark else None
    with pytest.raises(FromageError, match=r"has a frozen\.json: it is a saved FROZEN model"):
        main(benchmark_args(benchmark, data=None, bundle=frozen_model, queries=queries))
