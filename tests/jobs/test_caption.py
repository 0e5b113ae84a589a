"""Items without a caption get one, the others keep theirs, and the catalogue is never half of both."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from fromage_model.bundle import load_bundle
from fromage_model.captioner import load_captioner
from fromage_model.catalogue import Catalogue
from fromage_model.errors import ConfigError, InvalidInput
from fromage_model.images import decode_image
from jobs.caption import CaptionArgs, main, wanted_ids
from jobs.captioned import Caption, Captioned, with_captions
from jobs.report import Report
from tests.jobs import tiny

WITHOUT = ("green", "white", "navy")
DAMAGED = "white"
PROMPT = "A picture of"


@dataclass(frozen=True)
class Captions:
    """A catalogue of six squares, three without a caption and one of these damaged, after the job."""

    before: Catalogue
    after: Catalogue
    bundle: Path
    report: Report


def caption(catalogue: Path, bundle: Path, **options) -> Report:
    common = {"max_new_tokens": 5, "threads": 1, "cpus_per_worker": 0.5, "cpus_per_decoder": 0.25}
    return main(CaptionArgs(catalogue=str(catalogue), captioner=str(bundle), **(common | options)))


@pytest.fixture(scope="module")
def captions(tmp_path_factory, tiny_world, ray_session) -> Captions:
    folder = tmp_path_factory.mktemp("captions") / "squares"
    colours = tiny.COLOURS[:6]
    before = tiny.write_squares(folder, colours=colours, captions=dict.fromkeys(WITHOUT, None))
    (folder / "images" / f"{DAMAGED}.png").write_bytes(b"damaged")
    report = caption(folder, tiny_world.bundle, prompt=PROMPT, gate_bundle=str(tiny_world.bundle), gate_threshold=2.0)
    return Captions(before, Catalogue.open(folder), tiny_world.bundle, report)


def row_of(catalogue: Catalogue, colour: str) -> dict:
    return next(row for row in catalogue.table.to_pylist() if row["image"] == f"images/{colour}.png")


def test_items_without_a_caption_get_what_the_captioner_writes(captions):
    captioner = load_captioner(str(captions.bundle))
    for colour in ("green", "navy"):
        row = row_of(captions.after, colour)
        picture = decode_image((captions.after.folder / row["image"]).read_bytes())
        assert row["caption"] == captioner.captions([picture], PROMPT, max_new_tokens=5)[0].strip()
        assert row["caption_by"] == str(captions.bundle)
        assert datetime.now(UTC) - row["caption_at"] < timedelta(minutes=30)
        assert dict(row["attributes"])["caption_prompt"] == PROMPT
        assert dict(row["attributes"])["tags"] == "square, flat"


def test_everything_else_stays_as_it_was(captions):
    for colour in ("red", "blue", "black", DAMAGED):
        assert row_of(captions.after, colour) == row_of(captions.before, colour)
    assert captions.after.table["id"].to_pylist() == captions.before.table["id"].to_pylist()
    assert pq.read_table(captions.after.folder / "failures.parquet").num_rows == 0
    assert captions.after.info["name"] == captions.before.info["name"]


def test_what_failed_and_what_was_flagged_is_counted(captions):
    report = captions.report
    assert (report.rows_in, report.rows_out, report.rows_failed) == (3, 2, 1)
    (failure,) = pq.read_table(captions.after.folder / "captions" / "failures.parquet").to_pylist()
    assert (failure["image"], failure["stage"]) == (f"images/{DAMAGED}.png", "decode")
    assert report.extra["flagged"] == 2
    assert report.extra["words_most"] >= 1
    page = (captions.after.folder / "captions" / "report.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 2
    assert page.count(", flagged") == 2


def test_similarity_is_the_cosine_in_the_bundle_s_space(captions):
    model = load_bundle(str(captions.bundle))
    row = row_of(captions.after, "green")
    picture = decode_image((captions.after.folder / row["image"]).read_bytes())
    image = model.image_embeddings(model.encode([picture]))[0].detach().float().numpy()
    text = model.text_embeddings([f"{model.config.caption_prompt} {row['caption'].rstrip('.')}."])[0].numpy()
    expected = float(image @ text / np.linalg.norm(image) / np.linalg.norm(text))
    assert float(dict(row["attributes"])["caption_similarity"]) == pytest.approx(expected, abs=1e-2)


def test_a_second_run_tries_only_what_still_has_none(captions):
    folder = captions.after.folder
    report = caption(folder, captions.bundle)
    assert (report.rows_in, report.rows_failed) == (1, 1)
    assert Catalogue.open(folder).table.equals(captions.after.table)
    assert wanted_ids(captions.after, everything=True, limit=4) == captions.after.table["id"].to_pylist()[:4]


def test_a_setting_that_can_not_work_is_named(captions):
    with pytest.raises(InvalidInput, match="top_p"):
        caption(captions.after.folder, captions.bundle, top_p=3.0)
    with pytest.raises(ConfigError, match="copy it first"):
        main(CaptionArgs(catalogue="s3://bucket/squares"))
    with pytest.raises(ConfigError, match="the prompt takes"):
        caption(captions.after.folder, captions.bundle, all=True, prompt="red " * 600)


def test_statistics_count_what_is_repeated(tmp_path):
    catalogue = tiny.write_squares(tmp_path / "squares", colours=("red", "green", "blue"), held_out=1)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    texts = ["a coat", "a coat", "a long red coat"]
    by_row = {row: Caption(text, now, similarity=0.1 * row) for row, text in enumerate(texts, 1)}
    captioned = Captioned(by_row, threshold=0.15)
    assert captioned.figures() == {
        "words_median": 2,
        "words_least": 2,
        "words_most": 4,
        "distinct_captions": 2,
        "most_repeated": "a coat",
        "most_repeated_times": 2,
        "similarity_median": 0.2,
        "flagged": 1,
    }
    table = with_captions(catalogue.table, captioned, by="tiny", prompt=None)
    assert table["caption"].to_pylist() == texts
    assert [dict(row).get("caption_unlike") for row in table["attributes"].to_pylist()] == ["yes", None, None]
