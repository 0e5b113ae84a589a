"""A caption passes where it is more like its picture than captions of other pictures are like theirs."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from fromage_model.catalogue import Catalogue
from fromage_model.errors import ConfigError
from jobs.caption import gate
from jobs.caption.captioned import Caption, Key
from jobs.caption.gate import FEWEST_PICTURES, Judged, judge
from jobs.caption.job import CaptionArgs, gate_of, main, wanted_ids
from jobs.caption.outcome import LOW_SIMILARITY, rejections
from tests.jobs import tiny
from tests.jobs.conftest import without_ray

WIDTH = 32
NOW = datetime(2026, 1, 1, tzinfo=UTC)
COLOURS = (*tiny.COLOURS, "maroon", "aqua", "silver", "purple", "orange", "brown")


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def captioned(
    count: int, *, likeness: float, texts: list[str] | None = None, offset: float = 0.0
) -> dict[Key, Caption]:
    """Pictures and captions of random directions, all with `offset` in common, captions drawn to their pictures."""
    rng = np.random.default_rng(0)
    common = offset * np.ones(WIDTH)
    pictures = unit(rng.normal(size=(count, WIDTH)) + common)
    captions = unit(likeness * pictures + unit(rng.normal(size=(count, WIDTH)) + common))
    texts = texts or [f"thing {row}" for row in range(count)]
    keys = [(f"{row:04d}", "sha") for row in range(count)]
    both = np.stack([pictures, captions], axis=1)
    return {key: Caption(text, NOW, "", pair) for key, text, pair in zip(keys, texts, both, strict=True)}


def vectors_of(caption: Caption) -> np.ndarray:
    assert caption.vectors is not None
    return caption.vectors


def shuffled(captions: dict[Key, Caption], *, by: int = 1) -> dict[Key, Caption]:
    """Each picture with the caption of another."""
    given = list(captions.values())
    others = given[by:] + given[:by]
    return {
        key: Caption(other.text, NOW, "", np.stack([vectors_of(own)[0], vectors_of(other)[1]]))
        for key, own, other in zip(captions, given, others, strict=True)
    }


def share_passed(judged: Judged) -> float:
    return len(judged.passed) / (len(judged.passed) + len(judged.rejected))


@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_captions_of_their_pictures_pass_and_of_the_same_shuffled_the_stated_share(offset):
    """Whatever all vectors have in common."""
    fitting = captioned(200, likeness=2.0, offset=offset)
    assert share_passed(judge(fitting, quantile=0.95)) > 0.95
    for quantile in (0.8, 0.95):
        passed = [share_passed(judge(shuffled(fitting, by=by), quantile=quantile)) for by in range(1, 21)]
        assert np.mean(passed) == pytest.approx(1 - quantile, abs=0.02)


def test_the_same_caption_on_every_picture_is_no_evidence():
    same = captioned(40, likeness=2.0, texts=["The universe."] * 20 + ["the universe"] * 20)
    judged = judge(same, quantile=0.95)
    assert (len(judged.rejected), judged.judged) == (40, True)
    assert {found.above for found in judged.rejected.values()} == {0.0}


def test_a_caption_that_is_near_to_every_picture_gains_nothing_by_it():
    """Its cosine is the highest of all, with each picture."""
    captions = captioned(60, likeness=2.0, offset=1.0)
    near = unit(np.ones(WIDTH))
    odd = list(captions)[:20]
    for key in odd:
        captions[key] = Caption("the universe", NOW, "", np.stack([vectors_of(captions[key])[0], near]))
    judged = judge(captions, quantile=0.95)
    assert sum(key in judged.rejected for key in odd) > 15
    assert len(judged.rejected) < 25


def test_garments_that_share_a_caption_pass_together():
    rng = np.random.default_rng(1)
    captions = captioned(60, likeness=2.0)
    words = unit(rng.normal(size=WIDTH))
    dresses = list(captions)[:15]
    for key in dresses:
        picture = unit(words + 0.5 * unit(rng.normal(size=WIDTH)))
        captions[key] = Caption("a dress", NOW, "", np.stack([picture, words]))
    assert all(key in judge(captions, quantile=0.95).passed for key in dresses)


def test_the_order_of_captions_changes_nothing_also_where_only_some_are_the_sample(monkeypatch):
    captions = shuffled(captioned(120, likeness=1.0))
    backwards = dict(reversed(list(captions.items())))
    for most in (gate.MOST_SAMPLED, 50):
        monkeypatch.setattr(gate, "MOST_SAMPLED", most)
        found, again = (judge(some, quantile=0.9).rejected for some in (captions, backwards))
        assert {key: one.above for key, one in found.items()} == {key: one.above for key, one in again.items()}


def test_too_few_captions_and_those_that_were_not_weighed_are_accepted_unjudged():
    few = shuffled(captioned(FEWEST_PICTURES - 1, likeness=1.0))
    assert judge(few, quantile=0.95) == Judged(few)
    plain = {key: Caption(one.text, NOW) for key, one in captioned(40, likeness=1.0).items()}
    assert judge(plain, quantile=0.95) == Judged(plain)


def test_the_gate_is_the_captioner_where_that_is_a_bundle(tiny_world, tmp_path):
    bundle = str(tiny_world.bundle)
    (tmp_path / "config.json").write_text("{}")
    assert gate_of(CaptionArgs(captioner=bundle)) == bundle
    assert gate_of(CaptionArgs(captioner=str(tmp_path))) is None
    assert gate_of(CaptionArgs(captioner="llama-adapter:a,b,c")) is None
    assert gate_of(CaptionArgs(captioner=str(tmp_path), gate_bundle=bundle)) == bundle
    assert gate_of(CaptionArgs(captioner=bundle, gate_bundle="none")) is None
    with pytest.raises(ConfigError, match="gate_quantile"):
        CaptionArgs(gate_quantile=95)


@pytest.mark.usefixtures("alone")
def test_an_untrained_captioner_s_captions_become_failures_and_the_last_line_says_what_would_serve(
    tiny_world, tmp_path
):
    folder = tmp_path / "squares"
    tiny.write_squares(folder, colours=COLOURS, captions=dict.fromkeys(COLOURS))
    options: dict[str, Any] = {"max_new_tokens": 4, "threads": 1}
    args = CaptionArgs(catalogue=str(folder), captioner=str(tiny_world.bundle), **options)
    with without_ray():
        report = main(args)
    table = folder / "captions" / "failures.parquet"
    rows = pq.read_table(table).to_pylist()
    assert (report.rows_in, report.rows_failed, report.extra["judged"]) == (18, len(rows), True)
    assert len(rows) == report.extra["rejected"] > 9
    assert {(row["stage"], row["error"]) for row in rows} == {("gate", LOW_SIMILARITY)}
    assert all("of captions of other pictures, not 95 % (similarity " in row["message"] for row in rows)
    assert report.verdict is not None
    assert report.verdict.startswith(f"{len(rows)} of 18 captions of {tiny_world.bundle} were rejected as unlike")
    assert f"{table} tells" in report.verdict
    assert "--captioner HuggingFaceTB/SmolVLM" in report.verdict
    assert set(wanted_ids(Catalogue.open(folder), everything=False)) == {row["id"] for row in rows}

    again = main(args)
    assert (again.extra["skipped"], again.verdict) == (True, report.verdict)
    allowed = main(CaptionArgs(catalogue=str(folder), captioner=args.captioner, max_rejected=1.0, **options))
    assert (allowed.rows_failed, allowed.verdict) == (len(rows), None)
    accepted = CaptionArgs(catalogue=str(folder), captioner=args.captioner, gate_bundle="none", **options)
    assert main(accepted).rows_failed == 0
    assert wanted_ids(Catalogue.open(folder), everything=False) == []


def test_a_rejected_caption_is_told_with_its_score_and_text(tmp_path):
    catalogue = tiny.write_squares(tmp_path / "squares", colours=("red", "green"), held_out=1)
    keys = zip(catalogue.table["id"].to_pylist(), catalogue.table["image_sha256"].to_pylist(), strict=True)
    _, green = keys
    found = gate.Rejected(Caption("the human brain", NOW, "", np.array([[1, 0], [0.25, 0]], np.float32)), above=0.5)
    (row,) = rejections(Judged({}, {green: found}, judged=True), catalogue, quantile=0.9).to_pylist()
    assert (row["row"], row["id"], row["image"]) == (2, green[0], "images/green.png")
    assert row["message"] == (
        "above 50.0 % of captions of other pictures, not 90 % (similarity 0.2500): the human brain"
    )
