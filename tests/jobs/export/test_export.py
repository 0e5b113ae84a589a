"""Artefacts go out in the original's form and come back as ours."""

import json

import numpy as np
import torch

from fromage_model.index import RetrievalIndex
from fromage_model.interop import load_original, read_embeddings
from jobs.common.reporting.report import run
from jobs.export.forms import ExportArgs
from jobs.export.job import main
from tests.fromage_model import tiny
from tests.fromage_model.catalogue.feeds.datasets.official import write_vqav2
from tests.fromage_model.interop.test_original import TEXTS, write_folder
from tests.jobs import tiny as tiny_jobs


def ended(capsys, monkeypatch, *argv: object) -> tuple[int, dict]:
    monkeypatch.setattr("sys.argv", ["export", *map(str, argv)])
    try:
        run(main, ExportArgs)
    except SystemExit as left:
        output = capsys.readouterr()
        return left.code, json.loads(output.out.splitlines()[-1]) if left.code == 0 else {"error": output.err}
    raise AssertionError("a job leaves by SystemExit")


def test_the_original_comes_in_and_goes_out_unchanged(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))
    lm, clip = tiny.write_opt(tmp_path / "lm", padding_rows=4), tiny.write_clip(tmp_path / "clip")
    source, out = tmp_path / "original", tmp_path / "out"
    write_folder(source, lm, clip)
    code, report = ended(capsys, monkeypatch, "bundle", "--source", source, "--out", "theirs")
    assert (code, report["form"], report["rows_out"]) == (0, "bundle", 5)
    code, report = ended(capsys, monkeypatch, "original", "--bundle", "theirs", "--index", "theirs", "--out", out)
    assert (code, report["job"], report["output"]) == (0, "export", str(out))
    assert json.loads((out / "model_args.json").read_text()) == json.loads((source / "model_args.json").read_text())
    before, after = (load_original(folder, device="cpu", dtype=torch.float32) for folder in (source, out))
    queries = before.text_embeddings(TEXTS)
    torch.testing.assert_close(after.text_embeddings(TEXTS), queries, rtol=0, atol=2e-3)
    found = [[hit.item.image for hit in hits] for hits in before.index.search(queries.numpy(), top_k=5)]
    assert [[hit.item.image for hit in hits] for hits in after.index.search(queries.numpy(), top_k=5)] == found

    code, _ = ended(capsys, monkeypatch, "embeddings", "--index", "theirs", "--out", tmp_path / "e.pkl")
    assert code == 0
    np.testing.assert_array_equal(read_embeddings(tmp_path / "e.pkl").vectors, RetrievalIndex.load("theirs").vectors)
    code, report = ended(capsys, monkeypatch, "prune", "--full", tmp_path / "e.pkl", "--out", tmp_path / "p")
    assert code == 2
    assert "e.pkl can't be read: it is a pickle; expected a file that torch.save" in report["error"]
    code, report = ended(capsys, monkeypatch, "bundle", "--source", tmp_path / "lm", "--out", "x")
    assert code == 2
    assert "model_args.json is not there" in report["error"]


def test_catalogues_and_indexes_go_out_and_what_is_left_out_is_counted(tmp_path, monkeypatch, capsys):
    catalogue = tiny_jobs.write_squares(tmp_path / "squares", captions={"red": None})
    index = RetrievalIndex.build(np.eye(12, dtype=np.float32), catalogue.table, fingerprint="f", catalogue="squares")
    index.save(tmp_path / "index")
    forms = {"tsv": ("catalogue", 11), "dataset": ("catalogue", 12), "parquet": ("index", 12)}
    for form, (source, rows) in forms.items():
        given = {"catalogue": catalogue.folder, "index": tmp_path / "index"}[source]
        code, report = ended(capsys, monkeypatch, form, f"--{source}", given, "--out", tmp_path / form)
        assert (code, report["form"], report["rows_in"], report["rows_out"]) == (0, form, 12, rows)
        assert report["rows_in"] == report["rows_out"] + report["rows_failed"]
        assert (tmp_path / form).exists()
    code, report = ended(capsys, monkeypatch, "tsv", "--catalogue", tmp_path / "none", "--out", tmp_path / "x.tsv")
    assert (code, "jobs.ingest" in report["error"]) == (2, True)


def test_the_files_that_the_original_frozen_trains_on_come_of_official_ones(tmp_path, monkeypatch, capsys):
    source = f"vqav2:{write_vqav2(tmp_path / 'vqa')}"
    (tmp_path / "vqa" / "val2014" / "COCO_val2014_000000000073.jpg").unlink()
    options = ("--out", tmp_path / "arrows", "--answers-at-least", 1)
    code, report = ended(capsys, monkeypatch, "frozen-arrow", "--data", source, *options)
    assert (code, report["form"], report["rows_in"], report["rows_out"]) == (0, "frozen-arrow", 5, 4)
    assert sorted(path.name for path in (tmp_path / "arrows").iterdir()) == [
        "vqav2_test-dev.arrow", "vqav2_test.arrow", "vqav2_train.arrow",
    ]  # fmt: skip
    code, report = ended(capsys, monkeypatch, "frozen-arrow", "--data", source, "--out", "s3://bucket/arrows")
    assert (code, "written to a local folder" in report["error"]) == (2, True)
