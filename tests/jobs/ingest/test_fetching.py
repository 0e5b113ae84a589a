"""The stage that fetches pictures: what it keeps, and what it says of those that it can't."""

import hashlib
import io
import os
import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fromage_model.catalogue.pictures.perceptual import SIGNATURE_BYTES
from fromage_model.errors import CatalogueError, WriteError
from fromage_model.vision.images import ImageLimits
from jobs.ingest.fetching import FETCHED, WANTED, FetchPictures
from tests.pictures import encoded, png

NOISE = Image.effect_noise((90, 90), 80)


@pytest.fixture
def fetch(tmp_path):
    """Paths, or whole rows -> what the stage gives for each."""
    (tmp_path / "out" / "images").mkdir(parents=True)
    stage = FetchPictures(
        folder=str(tmp_path / "out"), side_px=16, threads=2, image_limits=ImageLimits(max_pixels=10_000)
    )

    def run(*rows: Path | dict) -> list[dict]:
        wanted = [row if isinstance(row, dict) else {"image": str(row)} for row in rows]
        numbered = [{"row": number} | row for number, row in enumerate(wanted, start=1)]
        table = stage(pa.Table.from_pylist(numbered, schema=WANTED))
        assert table.schema == FETCHED
        return table.to_pylist()

    return run


def write(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def test_a_picture_is_kept_byte_for_byte_under_its_hash(tmp_path, fetch):
    data = encoded(Image.new("RGB", (60, 40), "red"), "JPEG")
    (row,) = fetch(write(tmp_path, "a.png", data))
    assert row["file"] == f"images/{hashlib.sha256(data).hexdigest()}.jpg"
    assert (tmp_path / "out" / row["file"]).read_bytes() == data
    assert (row["error"], row["unchanged"], len(row["signature"])) == (None, False, SIGNATURE_BYTES)
    assert len(os.listdir(tmp_path / "out" / "images")) == 1


def test_pictures_of_every_kind_are_read(tmp_path, fetch):
    """Animated, CMYK, 16 bits, a palette with transparency, rotated by EXIF, and more than one of them mislabelled."""
    red = Image.new("RGB", (20, 10), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds = {
        "animated.gif": encoded(red, "GIF", save_all=True, append_images=[Image.new("RGB", (20, 10), "blue")]),
        "cmyk.jpg": encoded(red.convert("CMYK"), "JPEG"),
        "deep.png": encoded(Image.fromarray(np.full((10, 20), 40_000, dtype=np.uint16)), "PNG"),
        "palette.jpg": encoded(red.convert("P"), "PNG", transparency=0),
        "turned.webp": encoded(red, "JPEG", exif=exif),
        "grey.tif": encoded(red.convert("LA"), "TIFF"),
    }
    rows = fetch(*(write(tmp_path, name, data) for name, data in kinds.items()))
    assert [row["error"] for row in rows] == [None] * len(kinds)
    assert [row["file"].rpartition(".")[2] for row in rows] == ["gif", "jpg", "png", "png", "jpg", "tif"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "0 bytes"),
        (b"<html>sold out</html>", "not an image that can be read; known formats are JPEG, PNG"),
        (encoded(NOISE, "JPEG")[:2000], "damaged: image file is truncated"),
        (encoded(NOISE, "PNG")[:2000], "damaged: image file is truncated"),
        (png(side_px=101), "too many pixels: 101 x 101, at most 10,000"),
    ],
)
def test_bytes_that_are_no_whole_picture_are_named(tmp_path, fetch, data, reason):
    good, bad = fetch(write(tmp_path, "good.png", png()), write(tmp_path, "bad.png", data))
    assert good["error"] is None
    assert (bad["row"], bad["stage"], bad["error"], bad["file"]) == (2, "decode", "ImageError", None)
    assert reason in bad["message"]
    assert len(os.listdir(tmp_path / "out" / "images")) == 1


def test_a_drawing_is_rasterised_and_one_that_is_none_is_a_failed_row(fetch):
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9" fill="red"/></svg>'
    drawn, broken = fetch({"image": "a.svg", "svg": svg}, {"image": "b.svg", "svg": b"<p>no drawing</p>"})
    assert (drawn["error"], len(drawn["thumbnail"])) == (None, 3072)
    assert (broken["file"], broken["stage"], broken["error"]) == (None, "render", "InvalidInput")
    assert broken["message"] == "no SVG: its first element is <p>"


def test_a_picture_that_stands_in_a_table_is_read_from_there(tmp_path, fetch):
    path = str(tmp_path / "a.parquet")
    pq.write_table(pa.table({"jpg": [png("red"), None, png("blue")]}), path, row_group_size=2)
    cells = [
        {"image": "x", "cell": {"file": path, "part": part, "row": row, "column": "jpg"}}
        for part, row in ((0, 0), (0, 1), (1, 0))
    ]
    red, none, blue = fetch(*cells)
    assert [red["sha256"], blue["sha256"]] == [hashlib.sha256(png(colour)).hexdigest() for colour in ("red", "blue")]
    assert (none["stage"], none["message"]) == ("decode", "the picture is empty: 0 bytes")


def test_the_stage_says_which_column_is_missing(tmp_path):
    with pytest.raises(
        CatalogueError, match="FetchPictures: missing columns row, image, svg, data_url, cell, before; found picture"
    ):
        FetchPictures(folder=str(tmp_path), side_px=8)(pa.table({"picture": ["a.png"]}))


def test_a_target_that_can_not_be_written_stops_the_job(tmp_path):
    stage = FetchPictures(folder=str(tmp_path / "absent"), side_px=8, threads=1)
    picture = write(tmp_path, "a.png", png())
    with pytest.raises(WriteError, match=r"absent/images/\w+\.png can't be written: No such file"):
        stage(pa.Table.from_pylist([{"row": 1, "image": str(picture)}], schema=WANTED))


def test_two_rows_with_one_picture_share_a_file(tmp_path, fetch):
    first, second = fetch(write(tmp_path, "a.png", png()), write(tmp_path, "b.png", png()))
    assert first["file"] == second["file"]
    assert Image.open(io.BytesIO((tmp_path / "out" / first["file"]).read_bytes())).size == (8, 8)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_stops_the_stage_with_its_reason(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(disk)], check=True)
    try:
        (disk / "images").mkdir()
        picture = write(tmp_path, "a.png", encoded(Image.effect_noise((300, 300), 80)))
        with pytest.raises(WriteError, match=r"images/\w+\.png can't be written: No space left on device"):
            FetchPictures(folder=str(disk), side_px=8)(
                pa.Table.from_pylist([{"row": 1, "image": str(picture)}], WANTED)
            )
        assert list((disk / "images").iterdir()) == []
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
