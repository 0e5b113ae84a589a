"""A run's page: it needs nothing else, shows what the model says and finds, and draws each figure once told."""

import io
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from fromage_model.catalogue import Catalogue
from jobs.finetune.run_page import POINTS, curves_of, write_run_page
from jobs.finetune.seen import Seen, look
from jobs.finetune.telling import LINES_FILE, Scalars, read_lines
from jobs.finetune.worker import Worker
from tests.jobs.finetune.test_step import tiny_args


def picture(id: str) -> bytes:
    if id == "gone":
        raise OSError("no such picture")
    buffer = io.BytesIO()
    Image.new("RGB", (2000, 2000), "red").save(buffer, "PNG")
    return buffer.getvalue()


def test_the_page_needs_nothing_else_and_escapes_what_it_is_given(tmp_path):
    scalars = Scalars(str(tmp_path), epoch=0, step=0)
    for step in range(4):
        scalars.add("train", {"loss": 4.0 - step}, step)
    scalars.close()
    seen = [Seen("a", "<b>hat</b>", held_out=True, says="a <script>", nearest=[("a", "<b>hat</b>"), ("gone", "a bag")])]
    path = write_run_page(
        tmp_path,
        figures={"run": "first", "loss": 1.0},
        phases={"warm start": 2.0},
        scalars=tmp_path,
        seen=seen,
        read=picture,
        settings={"seed": 0},
        lineage={"job": "finetune"},
    )
    html = path.read_text()
    assert "<script" not in html
    assert "&lt;b&gt;hat&lt;/b&gt;" in html
    assert "a &lt;script&gt;" in html
    assert not re.search(r'(src|href)="(?!data:)', html)
    assert html.count('src="data:image/jpeg;base64,') == 2
    assert len(html) < 30_000
    assert "loss: 4 at first, 1 at last, from 1 to 4" in " ".join(html.split())


def test_what_a_stopped_run_tells_again_stands_once(tmp_path):
    first = Scalars(str(tmp_path), epoch=0, step=0)
    for step in range(3):
        first.add("train", {"loss": 1.0}, step)
    first.add("epoch", {"loss": 1.0}, 0)
    first.close()
    with (tmp_path / LINES_FILE).open("a") as file:
        file.write('{"kind": "tra')
    again = Scalars(str(tmp_path), epoch=1, step=2)
    again.add("train", {"loss": 2.0}, 2)
    again.close()
    told = [(line["kind"], line["at"], line["loss"]) for line in read_lines(tmp_path)]
    assert told == [("train", 0, 1.0), ("train", 1, 1.0), ("epoch", 0, 1.0), ("train", 2, 2.0)]


def test_a_long_run_is_drawn_by_its_means_and_what_is_no_number_is_not():
    lines = [{"kind": "train", "at": n, "loss": float(n), "wild": np.nan} for n in range(10 * POINTS)]
    (curve,) = curves_of([*lines, {"kind": "epoch", "at": 0, "loss": 3.0}, {"kind": "epoch", "at": 1, "loss": 2.0}])
    assert len(curve.points.split()) == POINTS
    assert (curve.name, curve.first, curve.last) == ("loss", 4.5, 10 * POINTS - 5.5)


@pytest.mark.parametrize("validation", [0.0, 0.3])
def test_the_model_is_asked_about_held_out_items_where_there_are_some(tiny_world, validation):
    torch.manual_seed(0)
    worker = Worker(tiny_args(tiny_world, validation=validation, keep_states=False), rank=0, world_size=1)
    worker.warm_start()
    seen = look(worker.model, worker.data)
    known = {item.id for item in (worker.data.validation_items if validation else worker.data.items)}
    assert seen
    assert {one.id for one in seen} <= known
    assert all(one.held_out == (validation > 0) for one in seen)
    everything = {item.id: item.caption for item in Catalogue.open(tiny_world.catalogue).items()}
    assert all(dict(one.nearest).items() <= everything.items() for one in seen)
    assert all(isinstance(one.says, str) for one in seen)
    assert json.loads(json.dumps([vars(one) for one in seen]))
