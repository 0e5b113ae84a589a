"""Odd answers and pictures that stand in the feed itself: each row is an item or a failure with its own reason."""

import base64
import textwrap
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fromage_model.catalogue import Catalogue
from fromage_model.storage.artefacts import home
from jobs.ingest.job import IngestArgs, main
from tests.pictures import png
from tests.raw_server import answer, open_raw_server

pytestmark = pytest.mark.usefixtures("alone")
GOOD = 20


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))


def ingest(source, **options):
    return main(IngestArgs(source=str(source), workers=1, threads=2, **options))


def failures() -> dict[int, str]:
    rows = pq.read_table(home() / "catalogues" / "feed" / "failures.parquet").to_pylist()
    return {row["row"]: row["message"] for row in rows}


def test_odd_answers_cost_no_other_picture_anything(tmp_path):
    """Each good picture is asked for once, and an odd answer no more often than it may be."""
    with open_raw_server() as server:
        good = {f"/{number}": answer(png(side_px=8 + number)) for number in range(GOOD)}
        odd = {
            "/location": answer(b"", b"Location: http://[bad/", status=b"302 Found"),
            "/type": answer(b"<html>sold out", b"Content-Type: \xe9/\xe9"),
            "/pause": answer(b"", b"Retry-After: Sun, 06 Nov 99999999999999999999 08:49:37 GMT", status=b"503 Busy"),
        }
        kept = {
            "/tag": answer(png(side_px=50), b'ETag: "caf\xe9"', b"Content-Type: jpg"),
            "/large": answer(png(side_px=51), b"X-Large: " + b"a" * 20_000),
        }
        server.answers = good | kept | odd
        lines = [f"{server.url}{path}" for path in server.answers]
        (tmp_path / "feed.tsv").write_text("\n".join(["image", *lines]) + "\n")
        report = ingest(tmp_path / "feed.tsv", allow_private=True)
        asked = Counter(path.decode() for path in server.asked)
    assert (report.rows_out, report.rows_failed) == (GOOD + len(kept), len(odd))
    assert {asked[path] for path in good | kept} == {1}
    assert (asked["/location"], asked["/type"], asked["/pause"]) == (1, 1, 3)
    location, kind, pause = (failures()[GOOD + len(kept) + place] for place in (1, 2, 3))
    assert location == "its redirect leads nowhere: Invalid IPv6 URL"
    assert kind == r"expected a picture, the server sent \udce9/\udce9 (an HTML page)"
    assert pause == "HTTP status 503"


@pytest.mark.parametrize("kind", ["tsv", "parquet"])
def test_pictures_that_stand_in_the_feed_itself_become_items(tmp_path, kind):
    plain = base64.b64encode(png("red")).decode()
    broken = "\n".join(textwrap.wrap(base64.b64encode(png("blue")).decode(), 20))
    images = [f"data:image/png;base64,{plain}", f"data:image/*;base64,{broken}", "data:image/png;base64,@", "data:,x"]
    source = tmp_path / f"feed.{kind}"
    if kind == "tsv":
        fields = [f'"{image}"' if "\n" in image else image for image in images]
        source.write_text("\n".join(["image\tcaption", *(f"{field}\tA hat" for field in fields)]) + "\n")
    else:
        pq.write_table(pa.table({"image": images, "caption": ["A hat"] * 4}), source)
    report = ingest(source)
    assert (report.rows_out, report.rows_failed) == (2, 2)
    catalogue = Catalogue.open("feed")
    found = {catalogue.image_bytes(item.id) for item in catalogue.items()}
    assert found == {png("red"), png("blue")}
    reasons = list(failures().values())
    assert "'@' is none of its characters" in reasons[0]
    assert "got a data: URL of type text/plain" in reasons[1]
    rows = pq.read_table(home() / "catalogues" / "feed" / "failures.parquet").to_pylist()
    assert all(row["image"].startswith(f"{source}#") for row in rows)
    assert ingest(source).extra["skipped"] is True
