"""A catalogue's pictures become features through Ray Data actors, once, the same as the encoder gives directly."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fromage_model.catalogue import Catalogue, Item
from fromage_model.catalogue.features import read_features, read_info
from fromage_model.errors import CatalogueError, MissingArtefact, SettingsDiffer
from fromage_model.language.precision import default_dtype
from fromage_model.storage.artefacts import home
from fromage_model.storage.pretrained import DEFAULT_VISION_ENCODER
from fromage_model.vision.images import decode_image
from jobs.common.reporting.report import Report
from jobs.common.stages.pictures import DecodePictures, EncodePictures, random_crop
from jobs.embed.earlier import up_to_date
from jobs.embed.job import EmbedArgs, fastest_compute, main
from jobs.ingest.job import IngestArgs
from jobs.ingest.job import main as ingest
from tests.jobs.conftest import without_ray
from tests.lines import said, wrong
from tests.pictures import write_png

pytestmark = pytest.mark.usefixtures("alone")

ENCODE = {"encoder": DEFAULT_VISION_ENCODER, "device": "cpu", "dtype": "float32"} | {
    "threads": 1,
    "views": 1,
    "batch_size": 2,
}
COLOURS = ("red", "green", "blue", "white", "black", "gold", "pink")


@pytest.fixture(scope="module")
def tiny_clip(tmp_path_factory) -> str:
    """A real CLIP vision tower of a few thousand weights, saved and loaded as a large one would be."""
    import torch
    from transformers import CLIPVisionConfig, CLIPVisionModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    folder = tmp_path_factory.mktemp("tiny-clip")
    CLIPVisionModel(CLIPVisionConfig(**sizes, image_size=32, patch_size=8)).save_pretrained(folder)
    processor = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    processor.save_pretrained(folder)
    return str(folder)


@dataclass(frozen=True)
class Shop:
    """A catalogue of seven pictures in a home of its own, embedded once; one picture was damaged before."""

    catalogue: Catalogue
    damaged: Item
    encoder: str
    report: Report

    def embed(self, **options) -> Report:
        exact = {"compute": "float32", "threads": 1, "cpus_per_worker": 0.5}
        return main(EmbedArgs(catalogue="shop", encoder=self.encoder, **(exact | options)))


@pytest.fixture(scope="module")
def shop(tmp_path_factory, tiny_clip) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    for number, colour in enumerate(COLOURS):
        write_png(folder / "shop" / f"{number}.png", colour, side_px=40)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FROMAGE_HOME", str(folder / "home"))
        with without_ray(shards=len(COLOURS)):
            ingest(IngestArgs(source=str(folder / "shop"), workers=1, threads=1))
            catalogue = Catalogue.open("shop")
            damaged = min(catalogue.items(), key=lambda item: item.id)
            catalogue.image_path(damaged.id).write_bytes(b"damaged")
            shop = Shop(catalogue, damaged, tiny_clip, report=None)
            # Shards of one: the damaged picture is a shard of its own.
            shop = dataclasses.replace(shop, report=shop.embed(batch_size=1, shard_rows=1))
        yield shop


def test_features_are_those_of_the_encoder_sorted_by_id(shop):
    from fromage_model.vision.encoders import load_vision_encoder

    features = read_features("shop")
    assert features.ids == sorted(item.id for item in shop.catalogue.items() if item.id != shop.damaged.id)
    encoder = load_vision_encoder(shop.encoder)
    assert features.encoder_fingerprint == encoder.fingerprint
    assert features.catalogue_fingerprint == shop.catalogue.fingerprint
    expected = encoder.encode([decode_image(shop.catalogue.image_bytes(id)) for id in features.ids])
    np.testing.assert_allclose(features.vectors, expected, atol=1e-5)


def test_a_damaged_picture_is_reported_and_the_others_are_embedded(shop):
    report = shop.report
    assert (report.rows_in, report.rows_out, report.rows_failed) == (7, 6, 1)
    (failure,) = pq.read_table(home() / "features" / "shop" / "failures.parquet").to_pylist()
    row = [item.id for item in shop.catalogue.items()].index(shop.damaged.id) + 1
    assert (failure["row"], failure["id"], failure["image"]) == (row, shop.damaged.id, shop.damaged.image)
    assert (failure["stage"], failure["error"]) == ("decode", "ImageError")


def test_what_is_up_to_date_needs_neither_ray_nor_torch(shop):
    program = (
        "import json, sys; from jobs.embed.job import EmbedArgs, main; "
        f"report = main(EmbedArgs(catalogue='shop', encoder={shop.encoder!r})); "
        "print(json.dumps([report.extra['skipped'], 'torch' in sys.modules, 'ray' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [True, False, False]


def test_the_last_line_is_the_report_as_json(shop):
    command = [sys.executable, "-m", "jobs.embed", "--catalogue", "shop", "--encoder", shop.encoder]
    few = subprocess.run(command, capture_output=True, text=True, timeout=240, env=os.environ, check=False)
    assert few.returncode == 1
    (told,) = wrong(few.stderr)
    assert told.startswith("error: 1 of 7 rows failed (14.3 %), more than --max-failed 0.01 (1 %) allows")
    command += ["--max-failed", "0.2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=os.environ, check=False)
    assert done.returncode == 0, done.stderr
    assert said(done.stderr)
    (line,) = done.stdout.splitlines()
    report = json.loads(line)
    assert (report["rows_in"], report["rows_out"], report["rows_failed"]) == (7, 6, 1)
    assert Path(report["output"]) == home() / "features" / "shop"
    assert report["peak_rss_mb"] > 0


def test_the_page_shows_pictures_with_captions_and_why_rows_failed(shop):
    page = (home() / "features" / "shop" / "report.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 6
    assert ">ImageError</text>" in page
    assert '<polyline class="curve" points="' in page


def test_auto_computes_as_the_features_that_are_there(shop):
    assert shop.embed(out="half", compute="bfloat16").extra["skipped"] is False
    assert shop.embed(out="half", compute="auto").extra["skipped"] is True
    assert fastest_compute(DEFAULT_VISION_ENCODER, "cpu") == "float32"
    multiplied = str(default_dtype("cpu")).removeprefix("torch.")
    assert fastest_compute(shop.encoder, "cpu") == multiplied
    assert shop.embed(out="fastest", compute="auto").extra["skipped"] is False
    assert read_info(home() / "features" / "fastest").settings["compute"] == multiplied


def test_a_missing_catalogue_or_encoder_is_named(shop, tmp_path):
    with pytest.raises(MissingArtefact, match=r"jobs\.ingest"):
        main(EmbedArgs(catalogue="absent"))
    with pytest.raises(MissingArtefact):
        main(EmbedArgs(catalogue="shop", encoder=str(tmp_path / "no-encoder")))


def test_features_are_the_same_whatever_the_batches(shop):
    before = read_features("shop")
    assert shop.embed(batch_size=16, out="again").rows_out == 6
    again = read_features("again")
    assert again.ids == before.ids
    np.testing.assert_allclose(again.vectors, before.vectors, atol=1e-5)


def test_views_are_rows_of_their_own_and_only_full_is_read_unless_asked(shop):
    report = shop.embed(out="views", flips=True, crops=1, dtype="float16", batch_size=4)
    assert (report.rows_out, report.extra["view_rows"]) == (6, 12)
    whole, before = read_features("views"), read_features("shop")
    assert whole.ids == before.ids
    np.testing.assert_allclose(whole.vectors, before.vectors, atol=1e-2)
    assert pq.read_schema(home() / "features" / "views" / "features-00000.parquet").field("vector").type == pa.list_(
        pa.float16(), whole.info.width
    )
    flipped = read_features("views", view="flip")
    assert flipped.ids == before.ids
    from fromage_model.vision.encoders import load_vision_encoder

    picture = decode_image(shop.catalogue.image_bytes(flipped.ids[0]))
    mirrored = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    expected = load_vision_encoder(shop.encoder).encode([mirrored])[0]
    np.testing.assert_allclose(flipped.vectors[0], expected, atol=1e-2)


def test_other_settings_are_refused_and_named(shop):
    with pytest.raises(SettingsDiffer, match="compute: 'float32' then, 'bfloat16' now"):
        shop.embed(compute="bfloat16")
    assert len(read_features("shop")) == 6


def test_only_what_changed_is_looked_at_again(shop, monkeypatch):
    """The picture that failed is mended, and the others' files are gone: their features are taken over."""
    catalogue, path = shop.catalogue, shop.catalogue.image_path(shop.damaged.id)
    damaged = path.read_bytes()
    sound = [item.id for item in catalogue.items() if item.id != shop.damaged.id]
    others = {catalogue.image_path(id): catalogue.image_bytes(id) for id in sound}
    shop.embed(out="upsert", batch_size=1)
    path.write_bytes(next(iter(others.values())))
    try:
        for other in others:
            other.unlink()
        assert shop.embed(out="upsert", batch_size=1).extra["skipped"] is True
        report = shop.embed(out="upsert", batch_size=1, retry_failed=True)
    finally:
        path.write_bytes(damaged)
        for other, data in others.items():
            other.write_bytes(data)
    assert (report.rows_in, report.rows_out, report.rows_failed) == (7, 7, 0)
    after, before = read_features("upsert"), read_features("shop")
    np.testing.assert_array_equal(after.of(before.ids), before.vectors)
    written = pq.read_table(home() / "features" / "upsert" / "features-00000.parquet")
    hashes = dict(zip(written["id"].to_pylist(), written["image_sha256"].to_pylist(), strict=True))
    assert hashes == {item.id: item.image_sha256 for item in catalogue.items()}


def test_features_of_another_catalogue_or_encoder_are_not_up_to_date(shop, tmp_path):
    info = read_features("shop").info
    settings = info.settings
    assert up_to_date(home() / "features" / "shop", shop.catalogue, settings) == info
    assert up_to_date(home() / "features" / "shop", shop.catalogue, settings | {"weights": "others"}) is None
    assert up_to_date(home() / "features" / "shop", shop.catalogue, settings | {"device": "cuda"}) is None
    changed = Catalogue(shop.catalogue.folder, table=shop.catalogue.table.slice(1), info={})
    assert up_to_date(home() / "features" / "shop", changed, settings) is None
    assert up_to_date(tmp_path, shop.catalogue, settings) is None


def test_a_change_of_code_that_leaves_the_fingerprint_alone_is_noted_and_nothing_more(shop):
    folder = Path(shutil.copytree(home() / "features" / "shop", home() / "features" / "older"))
    info = read_features("older").info
    (folder / "features.json").write_text(
        json.dumps(dataclasses.asdict(info) | {"settings": info.settings | {"code": "old"}})
    )
    assert shop.embed(out="older").extra["skipped"] is True
    assert read_features("older").info == info
    stranger = dataclasses.replace(info, encoder_fingerprint="other", settings=info.settings | {"code": "old"})
    (folder / "features.json").write_text(json.dumps(dataclasses.asdict(stranger)))
    assert up_to_date(folder, shop.catalogue, info.settings) is None


@pytest.fixture
def burnt_shop(shop) -> Iterator[Shop]:
    """The shop while none of its pictures can be read."""
    whole = {item.id: shop.catalogue.image_bytes(item.id) for item in shop.catalogue.items()}
    for name in whole:
        shop.catalogue.image_path(name).write_bytes(b"damaged")
    yield shop
    for name, picture in whole.items():
        shop.catalogue.image_path(name).write_bytes(picture)


def test_when_no_picture_can_be_read_nothing_is_replaced(burnt_shop):
    with pytest.raises(CatalogueError, match="none of the 7 pictures"):
        burnt_shop.embed(force=True)
    assert len(read_features("shop")) == 6


@pytest.mark.parametrize(
    ("stage", "columns", "options"),
    [
        (DecodePictures, "row, id, place, image_sha256", {"encoder": "efficientnet-lite0"}),
        (EncodePictures, "row, id, image_sha256, squares", ENCODE),
    ],
)
def test_a_stage_says_which_column_is_missing(stage, columns, options):
    with pytest.raises(CatalogueError, match=f"{stage.__name__}: missing columns {columns}; found picture"):
        stage(**options)(pa.table({"picture": ["a.png"]}))


def test_a_crop_is_the_same_for_the_same_picture_and_lies_inside_it():
    picture = Image.effect_noise((50, 80), 90).convert("RGB")
    crops = {seed: random_crop(picture, seed=seed) for seed in ("a 0", "a 1", "b 0")}
    assert {crop.tobytes() for crop in crops.values()} != {crops["a 0"].tobytes()}
    for seed, crop in crops.items():
        assert random_crop(picture, seed=seed).tobytes() == crop.tobytes()
        assert 0.45 * 50 * 80 < crop.width * crop.height <= 50 * 80
