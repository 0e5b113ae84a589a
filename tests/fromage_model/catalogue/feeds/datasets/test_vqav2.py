"""VQAv2 is read as it is published: questions and annotations meet by their ids, in whatever order they stand."""

import json

import pytest

from fromage_model.catalogue.annotations import Question, read_questions
from fromage_model.catalogue.feeds.datasets.vqav2 import read_vqav2, vqav2_sha256
from fromage_model.errors import CatalogueError
from tests.fromage_model.catalogue.feeds.datasets.official import (
    TRAIN,
    annotation,
    question,
    write_annotations,
    write_questions,
    write_vqav2,
)


def questions(row) -> list[Question]:
    return read_questions(row.attributes, row.image)


def test_a_picture_is_a_row_with_its_questions_and_what_each_person_answered(tmp_path):
    feed = read_vqav2(str(write_vqav2(tmp_path)))
    first, second, blue, *tests = feed.rows
    assert first.image == str(tmp_path / "train2014" / "COCO_train2014_000000000009.jpg")
    assert questions(first) == [
        Question(9000, "What colour is it?", tuple(TRAIN[0][3]), "red", "other", "what"),
        Question(9001, "Is it round?", ("no",) * 10, "no", "other", "what"),
    ]
    assert (first.attributes["image_id"], first.attributes["official_split"]) == ("9", "train")
    assert [one.id for one in questions(second)] == [25000]
    assert (blue.attributes["official_split"], blue.item_url) == (
        "val",
        "http://images.cocodataset.org/val2014/COCO_val2014_000000000073.jpg",
    )
    assert [row.attributes["official_split"] for row in tests] == ["test", "test"]
    assert [(one.id, one.answers, one.test_dev) for row in tests for one in questions(row)] == [
        (1000, (), False), (1001, (), True), (2000, (), False),
    ]  # fmt: skip
    assert feed.held_out == {
        "COCO_val2014_000000000073.jpg", "COCO_test2015_000000000001.jpg", "COCO_test2015_000000000002.jpg",
    }  # fmt: skip
    assert [row.row for row in feed.rows] == [1, 2, 3, 4, 5]
    assert feed.sha256 == vqav2_sha256(str(tmp_path))


def test_test_dev_without_test_is_a_split_of_its_own(tmp_path):
    write_vqav2(tmp_path)
    (tmp_path / "v2_OpenEnded_mscoco_test2015_questions.json").unlink()
    *_, last = read_vqav2(str(tmp_path)).rows
    assert (last.attributes["official_split"], [one.id for one in questions(last)]) == ("test-dev", [1001])


def test_a_question_without_its_annotation_is_a_failed_row_and_its_picture_keeps_the_others(tmp_path):
    write_vqav2(tmp_path)
    write_annotations(tmp_path, "train", [annotation(one[0], one[1], one[3]) for one in TRAIN[:2]])
    train = read_vqav2(str(tmp_path)).rows[:3]
    assert [one.id for one in questions(train[0])] == [9000]
    assert (
        train[2].problem == "question 9001 has no annotation in v2_mscoco_train2014_annotations.json that can be used"
    )
    assert train[2].image == train[0].image


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (annotation(9001, 9, ["no"]) | {"answers": "no"}, "annotations[1]: expected answers to be a list"),
        (annotation(9001, 9, ["no"]) | {"answers": []}, "annotations[1] has no answers"),
        (annotation(9001, 9, ["no"]) | {"answers": [{"text": "no"}]}, "annotations[1].answers[0] has no field answer"),
        (annotation(9001, 25, ["no"]), "has image_id 25, but question 9001 is about picture 9"),
        (annotation(9000, 9, ["no"]), "question 9000 has an annotation already"),
        (annotation(77, 9, ["no"]), "is of question 77, which is not among the questions"),
        (annotation(1 << 70, 9, ["no"]), "a number is too large for an id"),
    ],
)
def test_a_broken_annotation_is_told_by_its_place(tmp_path, record, problem):
    write_vqav2(tmp_path)
    good = annotation(9000, 9, TRAIN[0][3])
    write_annotations(tmp_path, "train", [good, record, annotation(25000, 25, TRAIN[1][3])])
    problems = [row.problem for row in read_vqav2(str(tmp_path)).rows if row.problem]
    assert any(
        problem in one and one.startswith("v2_mscoco_train2014_annotations.json: annotations[1]") for one in problems
    )
    assert any("question 9001 has no annotation" in one for one in problems)


def test_broken_questions_are_failed_rows_with_their_place(tmp_path):
    write_vqav2(tmp_path)
    broken = [question(9000, 9, "Again?"), {"question_id": 5, "image_id": 9}, question("6", 9, "What?"), None]
    write_questions(tmp_path, "test", [question(1000, 1, "Where?"), question(1000, 1, "Where?")])
    write_questions(tmp_path, "train", [question(*one[:3]) for one in TRAIN] + broken)
    problems = [row.problem for row in read_vqav2(str(tmp_path)).rows if row.problem]
    assert len(problems) == 6
    assert "questions[3]: question 9000 stands in the file more than once" in problems[0]
    assert "questions[4] has no field question; its fields are question_id, image_id" in problems[1]
    assert "questions[5]: expected question_id to be a whole number, got str '6'" in problems[2]
    assert "questions[6] is no object" in problems[3]
    assert "test2015_questions.json: questions[1]: question 1000" in problems[4]
    assert (
        "test-dev2015_questions.json: questions[0]: question 1001 is not among those of the split test" in problems[5]
    )


def test_a_split_that_lacks_a_file_is_refused_with_what_would_work(tmp_path):
    with pytest.raises(CatalogueError, match=r"holds no questions; expected v2_OpenEnded.*visualqa\.org"):
        read_vqav2(str(tmp_path))
    write_vqav2(tmp_path)
    (tmp_path / "v2_mscoco_val2014_annotations.json").unlink()
    with pytest.raises(
        CatalogueError, match=r"val2014_questions\.json without v2_mscoco_val2014_annotations\.json; fetch"
    ):
        read_vqav2(str(tmp_path))
    (tmp_path / "v2_OpenEnded_mscoco_val2014_questions.json").unlink()
    assert {row.attributes["official_split"] for row in read_vqav2(str(tmp_path)).rows} == {"train", "test"}
    (tmp_path / "train2014").rename(tmp_path / "train2017")
    with pytest.raises(CatalogueError, match=r"no folder train2014; unpack train2014\.zip"):
        read_vqav2(str(tmp_path))
    for path in tmp_path.glob("*_questions.json"):
        path.unlink()
    with pytest.raises(
        CatalogueError, match=r"no questions beside v2_mscoco_train2014_annotations\.json; expected v2_Open"
    ):
        read_vqav2(str(tmp_path))


def test_questions_of_another_form_are_refused_as_a_whole(tmp_path):
    write_vqav2(tmp_path)
    path = tmp_path / "v2_OpenEnded_mscoco_train2014_questions.json"
    path.write_text(json.dumps({"questions": [{"id": 1, "text": "What?"}]}))
    with pytest.raises(
        CatalogueError, match=r"no file of questions of VQAv2: .*has no field question_id; its fields are id"
    ):
        read_vqav2(str(tmp_path))
    path.write_text(json.dumps({"annotations": [{"id": 1}]}))
    with pytest.raises(CatalogueError, match=r"no list 'questions' with anything in it; it has the fields annotations"):
        read_vqav2(str(tmp_path))
