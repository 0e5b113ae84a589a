"""What can be trained on, of catalogues and the original's files, and what is refused before anything is computed."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.table import write_items
from fromage_model.errors import CatalogueError, ConfigError
from fromage_model.frozen import make_arrow
from jobs.finetune.frozen.job import main
from jobs.finetune.frozen.rows import select_rows
from jobs.finetune.frozen.settings import FrozenArgs
from tests.fromage_model.catalogue.feeds.datasets import official
from tests.jobs import tiny


def squares(folder: Path, **changes) -> str:
    tiny.write_squares(folder, held_out=0, **changes)
    return str(folder)


def test_a_catalogue_s_captions_are_texts_after_a_space(frozen_args, frozen_world):
    data = select_rows(frozen_args())
    assert [text.text for text in data.rows[0].texts] == [" red square"]
    assert data.rows[0].picture().size == (32, 32)
    assert (data.read, data.failures) == (8, [])


def test_rows_without_a_caption_or_a_picture_are_named(frozen_args, tmp_path):
    folder = squares(tmp_path / "squares", captions={"red": None, "green": " "})
    (tmp_path / "squares" / "images" / "blue.png").unlink()
    (tmp_path / "squares" / "images" / "white.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    data = select_rows(frozen_args(catalogue=folder), check=True)
    assert [(failure.row, failure.stage) for failure in data.failures] == [
        (1, "read"),
        (2, "read"),
        (3, "picture"),
        (4, "picture"),
    ]
    assert data.failures[0].message == "it has no caption"
    assert "can't be read" in data.failures[2].message
    assert len(data.rows) == len(tiny.COLOURS) - 4


def test_too_many_of_them_are_refused_before_anything_is_trained(frozen_args, tmp_path, monkeypatch):
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))
    folder = squares(tmp_path / "squares", captions={"red": None})
    with pytest.raises(CatalogueError, match=r"1 of 12 rows of squares .*--max-failed 0\.01.*it has no caption"):
        main(frozen_args(catalogue=folder, run="few"))
    table = pq.read_table(tmp_path / "home" / "runs" / "few" / "failures.parquet")
    assert table["message"].to_pylist() == ["it has no caption"]


def test_a_split_without_a_row_is_refused(frozen_args, tmp_path):
    folder = tmp_path / "squares"
    tiny.write_squares(folder, held_out=len(tiny.COLOURS))
    with pytest.raises(CatalogueError, match="squares has no item in its split train, of 12 in all"):
        select_rows(frozen_args(catalogue=str(folder)))
    folder = squares(tmp_path / "silent", captions=dict.fromkeys(tiny.COLOURS))
    with pytest.raises(CatalogueError, match=r"silent has 0 rows to train on.*12 of 12 .*it has no caption"):
        select_rows(frozen_args(catalogue=folder))


def test_the_original_s_files_are_read_by_their_names(frozen_args, tmp_path):
    official.write_coco(tmp_path / "coco")
    make_arrow(f"coco-karpathy:{tmp_path / 'coco'}", tmp_path / "arrows")
    data = select_rows(frozen_args(data_root=str(tmp_path / "arrows")), check=True)
    assert [row.image for row in data.rows] == [
        "coco_caption_karpathy_train.arrow",
        "coco_caption_karpathy_restval.arrow",
    ]
    assert [text.text for text in data.rows[1].texts] == [" A green square."]
    assert data.rows[0].picture().getpixel((0, 0))[0] > 200
    assert data.failures == []


def test_questions_become_contexts_and_answers_with_their_scores(frozen_args, tmp_path):
    official.write_vqav2(tmp_path / "vqa")
    make_arrow(f"vqav2:{tmp_path / 'vqa'}", tmp_path / "arrows", answers_at_least=1)
    data = select_rows(frozen_args(data_root=str(tmp_path / "arrows"), task="vqa"))
    texts = {(text.context, text.text): text.weight for row in data.rows for text in row.texts}
    assert texts["Question: What colour is it? Answer:", " red"] == 1.0
    assert all(0 < weight <= 1 for weight in texts.values())


def test_a_folder_without_such_files_and_files_without_their_columns_are_refused(frozen_args, tmp_path):
    with pytest.raises(CatalogueError, match=r"no file to train on; expected coco_caption_karpathy_train\.arrow"):
        select_rows(frozen_args(data_root=str(tmp_path)))
    table = pa.table({"image": [b""], "image_id": ["1"]})
    with pa.ipc.new_file(tmp_path / "coco_caption_karpathy_train.arrow", table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(CatalogueError, match=r"karpathy_train\.arrow: no column caption; found image, image_id"):
        select_rows(frozen_args(data_root=str(tmp_path)))


def test_a_catalogue_that_changed_is_other_data(frozen_args, tmp_path):
    folder = squares(tmp_path / "squares")
    before = select_rows(frozen_args(catalogue=folder)).fingerprint
    rows = Catalogue.open(folder).table.to_pylist()
    rows[0] |= {"caption": "a scarlet square"}
    write_items(tmp_path / "squares", pa.Table.from_pylist(rows, schema=Catalogue.open(folder).table.schema))
    assert select_rows(frozen_args(catalogue=folder)).fingerprint != before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "poems"}, "task is 'poems'; expected one of captions, vqa"),
        ({"visual_map": "grid", "fit_prefix": True}, "no linear map to fit"),
        ({"start_from": "x", "fit_prefix": True}, "leave one of them out"),
        ({"task": "vqa", "episode_batch_size": 2}, "episodes are made of captions"),
        ({"accumulate": 9, "batch_size": 8}, "expected at most the batch_size, 8"),
        ({"trained_stages": -2}, "or -1 for all"),
        ({"episode_shots": ()}, "expected numbers from 1"),
        ({"validation": 1.0}, "expected a share"),
        ({"dtype": "int8"}, "expected one of auto"),
        ({"visual_map": "sphere"}, "expected one of global, local, duel, grid"),
        ({"max_failed": 2.0}, "expected 0 to 1"),
    ],
)
def test_settings_that_can_t_work_are_refused_with_what_would(changes, message):
    with pytest.raises(ConfigError, match=message):
        FrozenArgs(**changes)


def write_arrow(folder: Path, name: str, columns: dict) -> None:
    table = pa.table(columns)
    with pa.ipc.new_file(folder / f"{name}.arrow", table.schema) as writer:
        writer.write_table(table)


def test_captions_without_a_letter_are_no_captions(frozen_args, tmp_path):
    folder = squares(tmp_path / "squares", captions={"red": "...", "green": "\u200b\x07", "blue": "你好"})
    data = select_rows(frozen_args(catalogue=folder))
    assert data.rows[0].texts[0].text == " 你好"
    told = [(failure.row, failure.message) for failure in data.failures]
    assert told == [
        (1, "its caption is without a letter or a digit"),
        (2, "its caption is without a letter or a digit"),
    ]


def test_odd_values_in_the_original_s_files_are_rows_that_failed(frozen_args, tmp_path):
    captions = pa.array([["a", None], None, ["..."], []], pa.list_(pa.string()))
    image = pa.array([b""] * 4)
    write_arrow(
        tmp_path, "coco_caption_karpathy_train", {"image": image, "image_id": list("1234"), "caption": captions}
    )
    data = select_rows(frozen_args(data_root=str(tmp_path)))
    assert [text.text for row in data.rows for text in row.texts] == [" a"]
    assert [failure.id for failure in data.failures] == ["2", "3", "4"]
    columns = {
        "image": image,
        "image_id": list("1234"),
        "questions": pa.array([["What?"], ["What?", "Who?"], [None], None], pa.list_(pa.string())),
        "answers": pa.array([[["red"]], [["a", "b"], ["c"]], [["red"]], None], pa.list_(pa.list_(pa.string()))),
        "answer_scores": pa.array([[[1.0]], [[1.0]], [[None]], None], pa.list_(pa.list_(pa.float64()))),
    }
    write_arrow(tmp_path, "vqav2_train", columns)
    data = select_rows(frozen_args(data_root=str(tmp_path), task="vqa"))
    assert [row.id for row in data.rows] == ["1"]
    assert {failure.message for failure in data.failures} == {"it has no question with an answer"}


def test_a_column_of_another_type_is_refused_by_file_and_name(frozen_args, tmp_path):
    write_arrow(tmp_path, "coco_caption_karpathy_train", {"image": [b""], "image_id": ["1"], "caption": ["a square"]})
    with pytest.raises(
        CatalogueError, match=r"train\.arrow: expected the column caption to be lists of texts, found str"
    ):
        select_rows(frozen_args(data_root=str(tmp_path)))


def test_captions_that_allow_no_episodes_are_refused_before_anything_is_trained(frozen_args, tmp_path, monkeypatch):
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))
    with pytest.raises(CatalogueError, match="fewer episode_shots, or no episode_batch_size"):
        main(frozen_args(episode_batch_size=2))
    assert not (tmp_path / "home" / "runs").exists()


def test_validation_that_leaves_nothing_to_train_on_is_said(frozen_args):
    with pytest.raises(CatalogueError, match=r"squares has 0 rows .*, 1 are needed; --validation 0\.99 holds 8 out"):
        select_rows(frozen_args(validation=0.99))


def test_texts_that_name_nothing_are_refused_where_the_map_is_fitted_to_words(frozen_args, tmp_path, monkeypatch):
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))
    folder = squares(tmp_path / "squares", captions=dict.fromkeys(tiny.COLOURS, "on the"))
    with pytest.raises(CatalogueError, match="none of 12 texts names anything"):
        main(frozen_args(catalogue=folder, fit_prefix=True))
    assert not (tmp_path / "home" / "runs").exists()
