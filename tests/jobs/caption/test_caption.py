"""Items without a caption get one, the others keep theirs, and the catalogue is never half of both."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fromage_model.bundle import load_bundle
from fromage_model.captioning.captioner import load_captioner
from fromage_model.catalogue import SCHEMA, Catalogue
from fromage_model.catalogue.schema import TIMESTAMP
from fromage_model.catalogue.table import write_items
from fromage_model.errors import ConfigError, InvalidInput, SettingsDiffer
from fromage_model.vision.images import decode_image
from jobs.caption.captioned import Caption, figures_of, with_captions
from jobs.caption.job import CaptionArgs, main, rows_of, settings_of, wanted_ids
from jobs.caption.stages import ITEM
from jobs.common.durable import DurableRun, work_folder
from jobs.common.durable.guard import SHARD, WORKERS, Guard, Plan
from jobs.common.reporting.report import Report
from tests.jobs import tiny
from tests.jobs.conftest import without_ray
from tests.pictures import write_png

pytestmark = pytest.mark.usefixtures("alone")

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


def options(catalogue: Path, bundle: Path, **changes) -> CaptionArgs:
    common = {"max_new_tokens": 5, "threads": 1, "cpus_per_worker": 0.5, "cpus_per_decoder": 0.25}
    return CaptionArgs(catalogue=str(catalogue), captioner=str(bundle), **(common | changes))


def caption(catalogue: Path, bundle: Path, **changes) -> Report:
    return main(options(catalogue, bundle, **changes))


@pytest.fixture(scope="module")
def captions(tmp_path_factory, tiny_world) -> Captions:
    folder = tmp_path_factory.mktemp("captions") / "squares"
    colours = tiny.COLOURS[:6]
    before = tiny.write_squares(folder, colours=colours, captions=dict.fromkeys(WITHOUT, None))
    (folder / "images" / f"{DAMAGED}.png").write_bytes(b"damaged")
    with without_ray():
        report = caption(folder, tiny_world.bundle, prompt=PROMPT)
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


def test_what_failed_is_counted_and_a_few_captions_are_accepted_unjudged(captions):
    report = captions.report
    assert (report.rows_in, report.rows_out, report.rows_failed) == (3, 2, 1)
    (failure,) = pq.read_table(captions.after.folder / "captions" / "failures.parquet").to_pylist()
    assert (failure["image"], failure["stage"]) == (f"images/{DAMAGED}.png", "decode")
    assert (report.extra["rejected"], report.extra["judged"]) == (0, False)
    assert report.extra["words_most"] >= 1
    page = (captions.after.folder / "captions" / "report.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 2
    assert page.count('class="note">similarity ') == 2


def test_similarity_is_the_cosine_in_the_bundle_s_space(captions):
    model = load_bundle(str(captions.bundle))
    row = row_of(captions.after, "green")
    picture = decode_image((captions.after.folder / row["image"]).read_bytes())
    image = model.image_embeddings(model.encode([picture]))[0].detach().float().numpy()
    text = model.text_embeddings([f"{model.config.caption_prompt} {row['caption'].rstrip('.')}."])[0].numpy()
    expected = float(image @ text / np.linalg.norm(image) / np.linalg.norm(text))
    assert float(dict(row["attributes"])["caption_similarity"]) == pytest.approx(expected, abs=1e-2)


def test_a_second_run_leaves_alone_what_failed_and_judges_it_against_the_whole_catalogue(captions):
    folder = captions.after.folder
    report = caption(folder, captions.bundle, max_failed=0.2)
    assert (report.rows_in, report.rows_out, report.rows_failed) == (1, 0, 1)
    assert report.extra["skipped"]
    assert report.verdict is None
    table = f"{folder}/captions/failures.parquet"
    strict = caption(folder, captions.bundle)
    assert strict.verdict == (
        f"1 of 6 rows failed (16.7 %), more than --max-failed 0.01 (1 %) allows; {table} tells why"
    )
    assert pq.read_table(table)["image"].to_pylist() == [f"images/{DAMAGED}.png"]


def test_what_failed_is_tried_again_when_told_to(captions, tmp_path):
    shutil.copytree(captions.after.folder, tmp_path / "squares")
    before = Catalogue.open(tmp_path / "squares")
    report = caption(tmp_path / "squares", captions.bundle, retry_failed=True)
    assert (report.rows_in, report.rows_failed, report.extra["skipped"]) == (1, 1, False)
    assert Catalogue.open(tmp_path / "squares").table.equals(before.table)
    write_png(tmp_path / "squares" / "images" / f"{DAMAGED}.png", DAMAGED, side_px=32)
    assert caption(tmp_path / "squares", captions.bundle, retry_failed=True).rows_failed == 0
    after = Catalogue.open(tmp_path / "squares")
    assert wanted_ids(after, everything=False) == []
    assert dict(row_of(after, DAMAGED)["attributes"])["caption_prompt"] == PROMPT
    assert pq.read_table(tmp_path / "squares" / "captions" / "failures.parquet").num_rows == 0


def test_captions_outlive_a_catalogue_that_changes_before_they_are_in_it(tiny_world, tmp_path):
    """The job was killed after its first shard; then an ingest put other rows first, and another picture in one."""
    colours = tiny.COLOURS[:6]
    folder = tmp_path / "squares"
    catalogue = tiny.write_squares(folder, colours=colours, captions=dict.fromkeys(colours))
    args = options(folder, tiny_world.bundle, shard_rows=4)
    finish_shard(args, catalogue, 0)
    now = tiny.write_squares(folder, colours=("pink", *colours[3::-1]), captions=dict.fromkeys((*colours, "pink")))
    rows = now.table.to_pylist()
    rows[1]["image_sha256"] = "0" * 64
    write_items(folder, pa.Table.from_pylist(rows, schema=SCHEMA))
    assert caption(folder, tiny_world.bundle, shard_rows=4).rows_out == 5
    told = {row["image"]: row["caption"] for row in Catalogue.open(folder).table.to_pylist()}
    assert [told[f"images/{colour}.png"] for colour in colours[:3]] == [f"said of {colour}" for colour in colours[:3]]
    assert not {told[f"images/{colour}.png"] for colour in (colours[3], "pink")} & {"", None, f"said of {colours[3]}"}
    assert [path.name for path in tmp_path.iterdir()] == ["squares"]


def test_a_setting_that_can_not_work_is_named(captions):
    with pytest.raises(InvalidInput, match="top_p"):
        caption(captions.after.folder, captions.bundle, top_p=3.0)
    with pytest.raises(ConfigError, match="the prompt takes"):
        caption(captions.after.folder, captions.bundle, all=True, prompt="red " * 600)


def test_statistics_count_what_is_repeated(tmp_path):
    catalogue = tiny.write_squares(tmp_path / "squares", colours=("red", "green", "blue"), held_out=1)
    texts = ["a coat", "a coat", "a long red coat"]
    captioned = dict(zip(keys(catalogue), said(texts), strict=True))
    assert figures_of(captioned.values()) == {
        "words_median": 2,
        "words_least": 2,
        "words_most": 4,
        "distinct_captions": 2,
        "most_repeated": "a coat",
        "most_repeated_times": 2,
        "similarity_median": 0.2,
    }
    table, places = with_captions(catalogue.table, captioned, by="tiny", everything=True)
    assert (table["caption"].to_pylist(), places) == (texts, [0, 1, 2])
    attributes = [dict(row).get("caption_similarity") for row in table["attributes"].to_pylist()]
    assert attributes == ["0.1000", "0.2000", "0.3000"]


def test_a_rejected_caption_takes_what_its_captioner_wrote_before_with_it_and_nothing_else(tmp_path):
    catalogue = tiny.write_squares(tmp_path / "squares", colours=("red", "green"), held_out=1)
    red, green = keys(catalogue)
    before, _ = with_captions(catalogue.table, {red: said(["the universe"])[0]}, by="tiny", everything=True)
    after, places = with_captions(before, {}, rejected={red, green}, by="tiny", everything=True)
    assert (after["caption"].to_pylist(), after["caption_by"].to_pylist(), places) == (
        [None, "green square"],
        [None] * 2,
        [],
    )
    assert after["attributes"].equals(catalogue.table["attributes"])


def test_a_caption_goes_to_its_item_wherever_that_is_now_and_only_while_it_holds(tmp_path):
    colours = ("red", "green", "blue", "white")
    before = tiny.write_squares(tmp_path / "before", colours=colours, captions=dict.fromkeys(colours))
    captioned = dict(zip(keys(before), said([f"a {colour} tile" for colour in colours]), strict=True))
    rows = tiny.write_squares(
        tmp_path / "now", colours=("white", "blue", "green", "pink"), captions=dict.fromkeys(("white", "blue", "pink"))
    ).table.to_pylist()
    rows[1]["image_sha256"] = "0" * 64
    now = pa.Table.from_pylist(rows, schema=SCHEMA)
    table, places = with_captions(now, captioned, by="tiny", everything=False)
    assert (table["caption"].to_pylist(), places) == (["a white tile", None, "green square", None], [0])
    table, places = with_captions(now, captioned, by="tiny", everything=True)
    assert (table["caption"].to_pylist(), places) == (["a white tile", None, "a green tile", None], [0, 2])


def test_captions_of_another_model_under_the_same_name_are_no_reason_to_go_on(tiny_world, tmp_path):
    """Neither of the captioner nor of the bundle that weighs them."""
    colours = tiny.COLOURS[:6]
    catalogue = tiny.write_squares(tmp_path / "squares", colours=colours, captions=dict.fromkeys(colours))
    shutil.copytree(tiny_world.bundle, tmp_path / "bundle")
    args = options(catalogue.folder, tmp_path / "bundle", gate_bundle=str(tmp_path / "bundle"), shard_rows=4)
    finish_shard(args, catalogue, 0)
    tiny.write_bundle(tmp_path / "bundle", lm=tiny_world.lm, seed=1)
    with pytest.raises(SettingsDiffer, match=r"captioner_fingerprint: .* gate_fingerprint: "):
        main(args)


class Say:
    """A stage that captions a picture by what its file is called."""

    def __call__(self, rows: pa.Table) -> pa.Table:
        now = datetime(2026, 1, 1, tzinfo=UTC)
        said = [f"said of {Path(place).stem}" for place in rows["place"].to_pylist()]
        rows = rows.select([name for name, _ in ITEM]).append_column("caption", pa.array(said))
        rows = rows.append_column("caption_at", pa.array([now] * len(said), TIMESTAMP))
        return rows.append_column("prompt", pa.array([PROMPT] * len(said)))


def finish_shard(args: CaptionArgs, catalogue: Catalogue, shard: int) -> None:
    """What a job leaves behind that is killed after one shard."""
    work = DurableRun.open(
        work_folder(f"{catalogue.folder}.captions"),
        job="caption",
        settings=settings_of(args),
        source=f"{catalogue.fingerprint} ",
        rows=rows_of(catalogue, set(catalogue.table["id"].to_pylist())),
        shard_rows=args.shard_rows,
    )
    plan = Plan(
        work.files.root, work.shard_rows, work.rows, "session", work.state["fingerprint"], work.state["settings"]
    )
    guard = Guard(plan=plan, position=0, last=True, name="say", make=Say, options={})
    guard(pa.table({SHARD: [shard], WORKERS: ["{}"]}))


def keys(catalogue: Catalogue) -> list[tuple[str, str]]:
    return list(zip(catalogue.table["id"].to_pylist(), catalogue.table["image_sha256"].to_pylist(), strict=True))


def said(texts: list[str]) -> list[Caption]:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    vectors = [np.array([[1, 0], [0.1 * row, 0]], np.float32) for row in range(1, len(texts) + 1)]
    return [Caption(text, now, PROMPT, both) for text, both in zip(texts, vectors, strict=True)]
