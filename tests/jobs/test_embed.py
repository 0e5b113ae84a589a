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

from fromage_model.artefacts import home
from fromage_model.catalogue import Catalogue, Item
from fromage_model.catalogue.features import read_features
from fromage_model.errors import CatalogueError, MissingArtefact
from fromage_model.images import decode_image
from jobs.embed import EmbedArgs, main, up_to_date
from jobs.ingest import IngestArgs
from jobs.ingest import main as ingest
from jobs.report import Report
from jobs.stages import EmbedPictures
from tests.pictures import write_png

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
        return main(EmbedArgs(catalogue="shop", encoder=self.encoder, threads=1, cpus_per_worker=0.5, **options))


@pytest.fixture(scope="module")
def shop(tmp_path_factory, tiny_clip, ray_session) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    for number, colour in enumerate(COLOURS):
        write_png(folder / "shop" / f"{number}.png", colour, side_px=40)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FROMAGE_HOME", str(folder / "home"))
        ingest(IngestArgs(source=str(folder / "shop"), workers=1, threads=1))
        catalogue = Catalogue.open("shop")
        damaged = min(catalogue.items(), key=lambda item: item.id)
        catalogue.image_path(damaged.id).write_bytes(b"damaged")
        shop = Shop(catalogue, damaged, tiny_clip, report=None)
        # Batches of one: the damaged picture is a batch of its own.
        yield dataclasses.replace(shop, report=shop.embed(batch_size=1))


def test_features_are_those_of_the_encoder_sorted_by_id(shop):
    from fromage_model.vision import load_vision_encoder

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
        "import json, sys; from jobs.embed import EmbedArgs, main; "
        f"report = main(EmbedArgs(catalogue='shop', encoder={shop.encoder!r})); "
        "print(json.dumps([report.extra['skipped'], 'torch' in sys.modules, 'ray' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [True, False, False]


def test_the_last_line_is_the_report_as_json(shop):
    command = [sys.executable, "-m", "jobs.embed", "--catalogue", "shop", "--encoder", shop.encoder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=os.environ, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert (report["rows_in"], report["rows_out"], report["rows_failed"]) == (7, 6, 1)
    assert Path(report["output"]) == home() / "features" / "shop"


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


def test_the_stage_says_which_column_is_missing(tiny_clip):
    with pytest.raises(CatalogueError, match="EmbedPictures: missing columns id, image; found picture"):
        EmbedPictures(encoder=tiny_clip, device="cpu", threads=1)(pa.table({"picture": ["a.png"]}))
