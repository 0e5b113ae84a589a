"""FROZEN's files have the original's names, columns and splits; scores are worked out by hand."""

import tracemalloc

import pyarrow as pa
import pytest
from PIL import Image

from fromage_model.catalogue.feeds.arrow import CellReader, read_tables
from fromage_model.catalogue.feeds.datasets.karpathy import read_karpathy
from fromage_model.catalogue.feeds.datasets.vqav2 import read_vqav2
from fromage_model.errors import CatalogueError, ConfigError, MissingArtefact
from fromage_model.frozen import make_arrow
from fromage_model.frozen.arrow import files, make
from tests.fromage_model.catalogue.feeds.datasets.official import (
    annotation,
    coco_record,
    folder_of,
    jpeg,
    picture,
    question,
    write_annotations,
    write_coco,
    write_questions,
    write_vqav2,
)
from tests.fromage_model.frozen.arrow.catalogues import write_of
from tests.jobs import tiny
from tests.pictures import encoded

KARPATHY = {f"coco_caption_karpathy_{split}.arrow" for split in ("train", "restval", "val", "test")}
VQAV2 = {f"vqav2_{split}.arrow" for split in ("train", "val", "test", "test-dev", "trainable_val", "rest_val")}


def read(path) -> pa.Table:
    """As the original does."""
    return pa.ipc.RecordBatchFileReader(pa.memory_map(str(path), "r")).read_all()


def without_image(path) -> list[dict]:
    return read(path).drop_columns(["image"]).to_pylist()


def write_val(folder, *answers: list[str]):
    """VQAv2's val alone, a picture for each question."""
    folder_of(folder)
    for number in range(len(answers)):
        picture(folder, "val2014", number)
    write_questions(folder, "val", [question(number, number, "What?") for number in range(len(answers))])
    write_annotations(folder, "val", [annotation(number, number, given) for number, given in enumerate(answers)])
    return folder


def test_coco_has_the_files_columns_and_splits_of_the_original(tmp_path):
    made = make_arrow(f"coco-karpathy:{write_coco(tmp_path / 'coco')}", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == KARPATHY == set(made.rows)
    table = read(tmp_path / "out" / "coco_caption_karpathy_train.arrow")
    assert [(field.name, str(field.type)) for field in table.schema] == [
        ("image", "binary"), ("caption", "list<item: string>"), ("image_id", "string"), ("split", "string"),
    ]  # fmt: skip
    assert table.to_pylist() == [
        {
            "image": jpeg("red"),
            "caption": ["A red square.", "Something red."],
            "image_id": "COCO_train2014_000000000009.jpg",
            "split": "train",
        }
    ]
    splits = [without_image(tmp_path / "out" / name)[0]["split"] for name in sorted(KARPATHY)]
    assert splits == ["restval", "test", "train", "val"]


def test_our_own_reader_of_the_originals_files_reads_what_was_written(tmp_path):
    make_arrow(f"coco-karpathy:{write_coco(tmp_path / 'coco')}", tmp_path / "out")
    (row,) = read_tables([str(tmp_path / "out" / "coco_caption_karpathy_val.arrow")]).rows
    assert (row.caption, row.captions) == ("A blue square.", ("A blue square.", "Blue."))
    assert row.attributes == {"image_id": "COCO_val2014_000000000073.jpg", "split": "val"}
    assert CellReader().read(row.cell) == jpeg("blue")


def test_vqav2_has_the_files_columns_and_splits_of_the_original(tmp_path):
    made = make_arrow(write_vqav2(tmp_path / "vqa"), tmp_path / "out", answers_at_least=1)
    assert {path.name for path in (tmp_path / "out").iterdir()} == VQAV2 == set(made.rows)
    train = tmp_path / "out" / "vqav2_train.arrow"
    nested = {"answers": "string", "answer_labels": "int64", "answer_scores": "double"}
    assert [(field.name, str(field.type)) for field in read(train).schema] == [
        ("image", "binary"),
        ("questions", "list<item: string>"),
        *((name, f"list<item: list<item: {kind}>>") for name, kind in nested.items()),
        ("image_id", "int64"),
        ("question_id", "list<item: int64>"),
        ("split", "string"),
    ]
    # red: 8 and "Red."; "dark red" and "1", which 5 gave, are what most gave to no question, and so are no labels.
    assert without_image(train) == [
        {
            "questions": ["What colour is it?", "Is it round?"],
            "answers": [["red"], ["no"]],
            "answer_labels": [[0], [1]],
            "answer_scores": [[1.0], [1.0]],
            "image_id": 9,
            "question_id": [9000, 9001],
            "split": "train",
        },
        {
            "questions": ["How many?"],
            "answers": [["2"]],
            "answer_labels": [[2]],
            "answer_scores": [[1.0]],
            "image_id": 25,
            "question_id": [25000],
            "split": "train",
        },
    ]
    nothing = {"answers": [], "answer_labels": [], "answer_scores": []}
    assert without_image(tmp_path / "out" / "vqav2_test.arrow") == [
        nothing | {"questions": ["Where?", "Why?"], "image_id": 1, "question_id": [1000, 1001], "split": "test"},
        nothing | {"questions": ["When?"], "image_id": 2, "question_id": [2000], "split": "test"},
    ]
    assert without_image(tmp_path / "out" / "vqav2_test-dev.arrow") == [
        nothing | {"questions": ["Why?"], "image_id": 1, "question_id": [1001], "split": "test-dev"}
    ]


def test_scores_are_three_tenths_for_each_who_gave_an_answer_that_is_a_label(tmp_path):
    write_val(
        tmp_path / "vqa",
        ["blue"] * 4 + ["a Navy", "navy.", "cyan", "cyan", "the cyan", "teal"],
        ["navy"] * 10,
        ["cyan"] * 9 + ["blue"],
    )
    make_arrow(f"vqav2:{tmp_path}/vqa", tmp_path / "out", answers_at_least=1)
    rows = without_image(tmp_path / "out" / "vqav2_val.arrow")
    assert [row["answers"] for row in rows] == [[["blue", "navy", "cyan"]], [["navy"]], [["cyan", "blue"]]]
    assert [row["answer_labels"] for row in rows] == [[[0, 1, 2]], [[1]], [[2, 0]]]
    assert [row["answer_scores"] for row in rows] == [[[1.0, 0.6, 0.9]], [[1.0]], [[1.0, 0.3]]]


def test_an_answer_is_a_label_from_nine_questions_on_and_questions_without_one_are_left_out(tmp_path):
    write_val(tmp_path / "vqa", *[["Yes"] * 10] * 9, *[["no"] * 10] * 8)
    made = make_arrow(f"vqav2:{tmp_path}/vqa", tmp_path / "out")
    assert (made.labels, made.examples, made.left_out, made.questions_left_out) == (1, 17, 8, 8)
    assert made.rows["vqav2_val.arrow"] == 9
    assert made.first_left_out == "9: none of its questions has an answer that is a label"
    with pytest.raises(CatalogueError, match=r"to 10 questions or more.*'yes', is that of 9.*answers_at_least 9"):
        make_arrow(f"vqav2:{tmp_path}/vqa", tmp_path / "out", answers_at_least=10)


def test_the_last_pictures_of_val_are_the_rest_and_those_before_are_trainable(tmp_path, monkeypatch):
    monkeypatch.setattr(make, "REST_OF_VAL", 4)
    monkeypatch.setattr(files, "ROWS_PER_BATCH", 3)
    write_val(tmp_path / "vqa", *[["yes"] * 10] * 11)
    made = make_arrow(f"vqav2:{tmp_path}/vqa", tmp_path / "out")
    assert (made.rows["vqav2_trainable_val.arrow"], made.rows["vqav2_rest_val.arrow"]) == (7, 4)
    val, first, last = (read(tmp_path / "out" / f"vqav2_{name}.arrow") for name in ("val", "trainable_val", "rest_val"))
    assert pa.concat_tables([first, last]).equals(val)
    assert last["image_id"].to_pylist() == [7, 8, 9, 10]


@pytest.mark.parametrize(("write", "feed"), [(write_coco, read_karpathy), (write_vqav2, read_vqav2)])
def test_a_catalogue_gives_the_files_that_the_official_ones_give(tmp_path, write, feed):
    write(tmp_path / "official")
    catalogue = write_of(feed(str(tmp_path / "official")), tmp_path / "catalogue")
    straight = make_arrow(tmp_path / "official", tmp_path / "straight", answers_at_least=1)
    for number, data in enumerate((catalogue, catalogue.folder, str(catalogue.folder))):
        assert make_arrow(data, tmp_path / str(number), answers_at_least=1) == straight
        for name in straight.rows:
            assert read(tmp_path / str(number) / name).equals(read(tmp_path / "straight" / name))


def test_another_catalogue_goes_out_in_the_form_of_conceptual_captions_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(make, "ROWS_PER_PART", 5)
    catalogue = tiny.write_squares(tmp_path / "squares", captions={"red": None})
    out = tmp_path / "out"
    folder_of(out)
    for stale in ("conceptual_caption_train_9.arrow", "vqav2_val.arrow", "conceptual_caption_dev_0.arrow"):
        (out / stale).write_bytes(b"of before")
    made = make_arrow(catalogue, out)
    assert (made.examples, made.left_out) == (12, 1)
    assert made.first_left_out.endswith("it has no caption")
    parts = {name: rows for name, rows in made.rows.items() if "train" in name}
    assert list(parts) == [f"conceptual_caption_train_{part}.arrow" for part in range(len(parts))]
    assert set(list(parts.values())[:-1]) == {5}
    held_out = [item for item in catalogue.items("held-out") if item.caption]
    assert made.rows["conceptual_caption_val_0.arrow"] == len(held_out)
    assert {path.name for path in out.iterdir()} == {
        *made.rows, "vqav2_val.arrow", "conceptual_caption_dev_0.arrow",
    }  # fmt: skip
    row = without_image(out / "conceptual_caption_val_0.arrow")[0]
    assert row["split"] == "val"
    assert row["caption"] == [held_out[0].caption]


def test_memory_holds_a_batch_and_not_the_set(tmp_path, monkeypatch):
    """Pictures of 100 kB; four times as many need no more."""
    monkeypatch.setattr(files, "BATCH_BYTES", 500_000)
    noise = Image.effect_noise((256, 256), 100)
    data = encoded(noise, "BMP")
    data += b"\0" * (100_000 - len(data))
    peaks = []
    for number in (20, 80):
        folder = tmp_path / str(number)
        write_coco(folder, *(coco_record("train2014", 1000 + at, "train") for at in range(number)))
        for at in range(number):
            picture(folder, "train2014", 1000 + at).write_bytes(data)
        before = pa.total_allocated_bytes()
        tracemalloc.start()
        make_arrow(folder, tmp_path / f"out-{number}")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert pa.total_allocated_bytes() - before < 2_000_000
        table = tmp_path / f"out-{number}" / "coco_caption_karpathy_train.arrow"
        with pa.memory_map(str(table)) as source:
            assert pa.ipc.open_file(source).num_record_batches >= number // 6
    assert peaks[1] < peaks[0] + 500_000


def test_pictures_that_are_gone_or_none_are_left_out_and_counted(tmp_path):
    folder = write_coco(tmp_path / "coco", {"filename": 1})
    (folder / "val2014" / "COCO_val2014_000000000073.jpg").unlink()
    (folder / "val2014" / "COCO_val2014_000000000074.jpg").write_bytes(b"<html>not found</html>")
    made = make_arrow(folder, tmp_path / "out")
    assert (made.examples, made.left_out) == (5, 3)
    assert made.first_left_out.startswith("COCO_val2014_000000000073.jpg: ")
    assert made.first_left_out.endswith("is not there")
    assert set(made.rows) == {"coco_caption_karpathy_train.arrow", "coco_caption_karpathy_restval.arrow"}
    for path in folder.rglob("*.jpg"):
        path.unlink()
    with pytest.raises(CatalogueError, match=r"none of the 5 pictures of .*coco could be written: .* is not there"):
        make_arrow(folder, tmp_path / "none")
    assert list((tmp_path / "none").iterdir()) == []


def test_what_holds_no_data_is_refused_with_what_would_work(tmp_path, monkeypatch):
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))
    with pytest.raises(
        CatalogueError, match=r"no catalogue.*expected a catalogue, coco-karpathy:FOLDER or vqav2:FOLDER"
    ):
        make_arrow(tmp_path, tmp_path / "out")
    with pytest.raises(MissingArtefact, match="nothing"):
        make_arrow("nothing", tmp_path / "out")
    with pytest.raises(ConfigError, match=r"holds links, no pictures; fetch them into a catalogue first, jobs\.ingest"):
        make_arrow("conceptual-captions:Train_GCC-training.tsv", tmp_path / "out")
    with pytest.raises(ConfigError, match="written to a local folder"):
        make_arrow(tmp_path, "s3://bucket/arrows")
    with pytest.raises(ConfigError, match="answers_at_least is 0; expected 1 or more"):
        make_arrow(tmp_path, tmp_path / "out", answers_at_least=0)
    write_coco(write_vqav2(tmp_path / "both"))
    with pytest.raises(ConfigError, match=r"holds coco-karpathy and vqav2; say which: coco-karpathy:.*both or vqav2:"):
        make_arrow(tmp_path / "both", tmp_path / "out")
