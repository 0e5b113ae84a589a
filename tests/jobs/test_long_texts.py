"""An item whose caption or tags are longer than the LM reads is indexed, measured, gated and trained on like others."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from fromage_model.bundle import load_bundle, load_projection
from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.features import read_features
from fromage_model.catalogue.table import write_catalogue
from fromage_model.index import RetrievalIndex
from fromage_model.storage.artefacts import writing
from jobs.caption.stages import embeddings
from jobs.common.embeddings.cut_texts import NAMED, CutText, cut_in, tell
from jobs.common.embeddings.texts import ReadTexts, text_embeddings
from jobs.finetune.settings import FinetuneArgs
from jobs.finetune.worker import Worker
from jobs.index.job import main
from tests.jobs import tiny

LONG = "a very long square, " * 5000
assert len(LONG) == 100_000


@pytest.fixture(scope="module")
def model(tiny_world):
    return load_bundle(str(tiny_world.bundle), dtype=torch.float32)


@pytest.fixture
def long_world(tmp_path) -> dict[str, Any]:
    """Options that index the squares by picture and text; the green one has a long caption."""
    catalogue = tiny.write_squares(tmp_path / "long", captions={"green": LONG})
    return {
        "vectors": "both",
        "picture_share": 0.8,
        "catalogue": str(tmp_path / "long"),
        "features": str(tiny.write_random_features(tmp_path / "features", catalogue)),
    }


def id_of(catalogue: str, colour: str) -> str:
    return next(item.id for item in Catalogue.open(catalogue).items() if item.image == f"images/{colour}.png")


def told_of_cuts(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "jobs.common.embeddings.cut_texts"]


@pytest.mark.usefixtures("alone")
def test_an_item_with_a_long_caption_is_found_by_its_picture_and_it_is_told_what_was_cut(
    index_args, tiny_world, long_world, tmp_path, caplog
):
    with caplog.at_level(logging.WARNING, logger="jobs.common.embeddings.cut_texts"):
        report = main(index_args(**long_world)).as_dict()
    assert (report["rows_in"], report["rows_out"], report["rows_failed"], report["texts_cut"]) == (12, 12, 0, 1)
    green = id_of(long_world["catalogue"], "green")
    picture = load_projection(str(tiny_world.bundle)).embed(read_features(long_world["features"]).of([green]))
    index = RetrievalIndex.load(tmp_path / "index")
    assert [hit.id for hit in index.search(picture, top_k=1)[0]] == [green]
    (cut,) = pq.read_table(tmp_path / "index" / "cut_texts.parquet").to_pylist()
    assert cut["id"] == green
    assert cut["chars"] > len(LONG) > cut["chars_read"] > 500
    assert f"item {green}: of its text of {cut['chars']:,} characters the LM reads the first" in caplog.text
    again = main(index_args(**long_world)).as_dict()
    assert (again["skipped"], again["texts_cut"]) == (True, 1)
    told = told_of_cuts(caplog)
    shorter = tiny.write_squares(tmp_path / "long")
    tiny.write_random_features(tmp_path / "features", shorter)
    mended = main(index_args(**long_world)).as_dict()
    assert (mended["changed"], mended["texts_cut"]) == (1, 0)
    assert told_of_cuts(caplog) == told


def test_a_long_text_is_embedded_as_its_beginning_and_others_as_ever(tiny_world, model):
    read = ReadTexts(bundle=str(tiny_world.bundle), threads=1)
    rows = pa.table({"row": [1, 2], "texts": [["a square"], [f"A picture of {LONG}.", f"A picture of {LONG}, flat."]]})
    found = read(rows)
    assert found["chars"].to_pylist() == [None, len(LONG) + len("A picture of , flat.")]
    beginning = f"A picture of {LONG}"[: found["chars_read"].to_pylist()[1]]
    assert read.model.readable(beginning) == beginning
    alone = read(pa.table({"row": [1, 2], "texts": [["a square"], [beginning]]}))
    np.testing.assert_allclose(np.stack(found["told"].to_pylist()), np.stack(alone["told"].to_pylist()), atol=1e-3)


@pytest.mark.usefixtures("alone")
def test_a_query_of_a_long_name_is_measured_and_told(tiny_world, caplog):
    with caplog.at_level(logging.WARNING, logger="jobs.common.embeddings.texts"):
        found = text_embeddings([LONG, "a square"], bundle=str(tiny_world.bundle), workers=1, threads=1)
    assert np.linalg.norm(found, axis=1) == pytest.approx([1, 1], abs=1e-3)
    (told,) = [record.getMessage() for record in caplog.records if record.name == "jobs.common.embeddings.texts"]
    assert "'a very long square" in told
    assert "has 100000 characters, of which the LM reads the first" in told


def test_a_long_caption_is_weighed_by_its_beginning(model):
    picture = Image.new("RGB", (32, 32), "green")
    whole, beginning = embeddings(model, [picture] * 2, [LONG, LONG[:5000]])
    assert whole == pytest.approx(beginning, abs=1e-5)


def with_long_texts(folder: Path) -> Catalogue:
    """Squares to train on, all but one with a long caption, and all with long tags."""
    squares = tiny.write_squares(folder, held_out=0, captions=dict.fromkeys(tiny.COLOURS[:11], LONG))
    place = squares.table.column_names.index("attributes")
    field = squares.table.schema.field(place)
    tags = pa.array([[("tags", f"{LONG.replace(',', '')},{'x' * 9000}")]] * len(squares), field.type)
    with writing(folder.with_name("longer")) as scratch:
        write_catalogue(
            scratch, table=squares.table.set_column(place, field, tags), failures=[], info={"name": "longer"}
        )
    return Catalogue.open(folder.with_name("longer"))


def test_long_captions_and_tags_are_trained_on_by_their_beginnings(tiny_world, tmp_path, caplog):
    catalogue = with_long_texts(tmp_path / "long")
    args = FinetuneArgs(
        catalogue=str(catalogue.folder),
        features=str(tiny.write_random_features(tmp_path / "features", catalogue)),
        language_model=str(tiny_world.lm),
        shared_width=8,
        text_layers=(-1,),
        system_prompt="",
        examples=(("a hat", "A hat."),),
        batch_size=4,
        caption_batch_size=2,
        talk_batch_size=3,
        warm_start_steps=2,
        reply_tokens=2,
        validation=0.3,
        dtype="float32",
        threads=1,
    )
    with caplog.at_level(logging.WARNING, logger="jobs.finetune.worker"):
        worker = Worker(args, rank=0, world_size=1)
        worker.warm_start()
        figures = worker.run_epoch(0, None)
    assert np.isfinite(figures["loss"])
    assert "has 100000 characters; training reads the first" in caplog.text
    assert "'xxxx" in caplog.text


def test_of_many_cut_texts_some_are_named_and_the_others_counted(caplog):
    with caplog.at_level(logging.WARNING, logger="jobs.common.embeddings.cut_texts"):
        tell([CutText(f"id{number}", 100_000, 2000) for number in range(NAMED + 5)])
    assert caplog.messages[0] == "item id0: of its text of 100,000 characters the LM reads the first 2,000; " + (
        "the rest is left out"
    )
    assert caplog.messages[NAMED:] == ["and 5 items more; cut_texts.parquet of the index names all"]


def test_rows_that_were_read_before_it_was_told_count_as_whole():
    assert cut_in(pa.table({"row": [1], "told": [[1.0]]}), ["id1"]) == []
