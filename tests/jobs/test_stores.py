"""Jobs read from object stores and write to them, through pyarrow's S3 client, and leave nothing behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image
from pyarrow import fs

from fromage_model.bundle import load_projection
from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.features import read_features
from fromage_model.errors import CatalogueError, ConfigError, MissingArtefact, WriteError
from fromage_model.index import RetrievalIndex
from fromage_model.interop import read_embeddings
from fromage_model.storage.artefacts import locate
from jobs.common.durable.publish import placing, publishing, read_marker
from jobs.export.forms import Bundle, Dataset, Embeddings, Parquet, Prune, Tsv
from jobs.export.job import main as export
from jobs.index.job import main as index_job
from tests.jobs import tiny
from tests.pictures import encoded
from tests.s3_server import Store, open_store

ROOT = "s3://bucket/fromage"
COLOURS = tiny.COLOURS[:6]
# A process of its own: the session's Ray was started before there was a store, and its workers know nothing of it.
CHAIN = """
import json, sys
from pathlib import Path
from jobs.pipeline.job import PipelineArgs, main
for config in sys.argv[1:]:
    print("REPORT", json.dumps(main(PipelineArgs(config=Path(config))).as_dict()), flush=True)
"""


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    """A store, known to this process and those that it starts."""
    with open_store() as store, pytest.MonkeyPatch.context() as environment:
        environment.setenv("FROMAGE_HOME", str(tmp_path_factory.mktemp("home")))
        environment.setenv("AWS_ENDPOINT_URL", store.url)
        environment.setenv("AWS_ACCESS_KEY_ID", "somebody")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "something")
        environment.setenv("AWS_REGION", "eu-central-1")
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        environment.delenv("RAY_ADDRESS", raising=False)
        yield store


@pytest.fixture(scope="module")
def reports(s3, tiny_world, tmp_path_factory) -> list[dict]:
    """A pipeline over a feed in the store, run again, and run over the feed after it changed: each one's report."""
    folder = tmp_path_factory.mktemp("pipelines")
    configs = [
        # In two shards, which takes Ray: its workers read and write where the store is, like the process itself.
        write_config(folder / "first.yaml", put_feed(s3, "first", COLOURS), tiny_world.bundle, shard_rows=4),
        folder / "first.yaml",
        write_config(folder / "second.yaml", put_feed(s3, "second", [*COLOURS[1:], "lime"]), tiny_world.bundle),
    ]
    done = subprocess.run(
        [sys.executable, "-c", CHAIN, *map(str, configs)], capture_output=True, text=True, env=os.environ, timeout=280
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line.split(" ", 1)[1]) for line in done.stdout.splitlines() if line.startswith("REPORT")]


def put_feed(store: Store, name: str, colours) -> str:
    """A TSV beside its pictures; the first has no caption."""
    lines = ["image\tcaption\titem_url"]
    for colour in colours:
        store.put(f"bucket/feed/{colour}.png", encoded_square(colour))
        caption = "" if colour == colours[0] else f"{colour} square"
        lines.append(f"{colour}.png\t{caption}\thttps://shop.example/{colour}")
    store.put(f"bucket/feed/{name}.tsv", ("\n".join(lines) + "\n").encode())
    return f"s3://bucket/feed/{name}.tsv"


def encoded_square(colour: str) -> bytes:
    return encoded(Image.new("RGB", (32, 32), colour), "PNG")


def write_config(path: Path, source: str, bundle: Path, *, shard_rows: int = 64) -> Path:
    content = {
        "name": "shop",
        "root": ROOT,
        "bundle": str(bundle),
        "ingest": {"source": source, "held_out": 1, "workers": 1},
        "caption": {"captioner": str(bundle), "max_new_tokens": 3},
        "embed": {"threads": 1, "shard_rows": shard_rows},
        "index": {"vectors": "both", "threads": 1},
    }
    path.write_text(yaml.safe_dump(content))
    return path


def test_the_whole_chain_goes_from_a_store_to_a_store(s3, reports, tiny_world):
    first, again, second = reports
    for report, rows in ((first, 6), (second, 6)):
        for stage in report["stages"]:
            assert stage["rows_in"] == stage["rows_out"] + stage["rows_failed"]
            assert stage["rows_failed"] == 0
        assert (report["rows_in"], report["rows_out"], report["index"]) == (rows, rows, f"{ROOT}/indexes/shop")
    assert [stage["skipped"] for stage in again["stages"]] == [True] * 4
    assert [stage["output"] for stage in first["stages"]] == [
        f"{ROOT}/catalogues/shop",
        f"{ROOT}/catalogues/shop",
        f"{ROOT}/features/shop",
        f"{ROOT}/indexes/shop",
    ]
    ingest, _, embed, index = second["stages"]
    assert (ingest["added"], ingest["deleted"], embed["rows_in"]) == (1, 1, 6)
    assert (index["added"], index["deleted"]) == (1, 1)


def test_what_is_in_the_store_opens_and_fits_together(s3, reports, tiny_world):
    catalogue = Catalogue.open(f"{ROOT}/catalogues/shop")
    assert len(catalogue) == 6
    assert all(item.caption for item in catalogue.items())
    lime = next(item for item in catalogue.items() if item.item_url == "https://shop.example/lime")
    assert catalogue.image_bytes(lime.id) == encoded_square("lime")
    assert catalogue.image_place(lime.id) == f"{ROOT}/catalogues/shop/{lime.image}"
    index = RetrievalIndex.load(f"{ROOT}/indexes/shop", fingerprint=load_projection(str(tiny_world.bundle)).fingerprint)
    assert (
        sorted(index.ids) == sorted(item.id for item in catalogue.items()) == read_features(f"{ROOT}/features/shop").ids
    )
    assert index.info.catalogue_fingerprint == catalogue.fingerprint


def test_nothing_is_left_but_the_artefacts(s3, reports):
    names = s3.names("bucket/fromage/")
    assert {name.split("/")[0] for name in names} == {"catalogues", "features", "indexes"}
    assert not [name for name in names if ".work" in name or ".partial" in name]
    pictures = [name for name in names if name.startswith("catalogues/shop/images/")]
    catalogue = Catalogue.open(f"{ROOT}/catalogues/shop")
    assert sorted(pictures) == sorted(f"catalogues/shop/{item.image}" for item in catalogue.items())
    for artefact in ("catalogues/shop", "features/shop", "indexes/shop"):
        assert f"{artefact}/report.html" in names
        assert f"{artefact}/failures.parquet" in names


def test_every_form_is_exported_from_a_store_and_into_it(s3, reports, tmp_path):
    catalogue, index = f"{ROOT}/catalogues/shop", f"{ROOT}/indexes/shop"
    report = export(Tsv(catalogue=catalogue, out="s3://bucket/out/shop.tsv"))
    assert (report.output, report.rows_out) == ("s3://bucket/out/shop.tsv", 6)
    lines = s3.objects["bucket/out/shop.tsv"][0].decode().splitlines()
    assert len(lines) == 7
    assert all(f"\t{catalogue}/images/" in line for line in lines[1:])
    export(Parquet(index=index, out="s3://bucket/out/shop.parquet"))
    table = pq.read_table("bucket/out/shop.parquet", filesystem=fsspec.filesystem("s3"))
    assert table.num_rows == 6
    export(Embeddings(index=index, out="s3://bucket/out/shop.pkl"))
    (tmp_path / "shop.pkl").write_bytes(s3.objects["bucket/out/shop.pkl"][0])
    np.testing.assert_array_equal(read_embeddings(tmp_path / "shop.pkl").vectors, RetrievalIndex.load(index).vectors)
    export(Dataset(catalogue=catalogue, out="s3://bucket/out/dataset"))
    names = s3.names("bucket/out/dataset/")
    assert names[0] == "README.md"
    assert all(name.startswith("data/") for name in names[1:])
    with pytest.raises(ConfigError, match=r"no README\.md in it"):
        export(Dataset(catalogue=catalogue, out="s3://bucket/feed"))
    assert sorted(path.name for path in (tmp_path).iterdir()) == ["shop.pkl"]


def test_a_store_that_takes_nothing_more_is_named_and_has_what_it_had(s3, reports):
    before = dict(s3.objects)
    s3.full = True
    try:
        with pytest.raises(WriteError, match=r"bucket/out/full\.tsv can't be written: .*the quota is used up"):
            export(Tsv(catalogue=f"{ROOT}/catalogues/shop", out="s3://bucket/out/full.tsv"))
    finally:
        s3.full = False
    assert s3.objects == before


def test_what_can_be_no_uri_says_what_works(s3):
    with pytest.raises(ConfigError, match=r"--full s3://\.\.\.: files of the original are read from a local folder"):
        export(Prune(full=Path("s3://bucket/ckpt.pth.tar"), out="pruned"))
    with pytest.raises(MissingArtefact, match="a bundle is written here to a local folder or under a name"):
        export(Bundle(source=Path("/original"), out="s3://bucket/bundle"))
    with pytest.raises(MissingArtefact, match="no catalogue 's3://bucket/nowhere'"):
        Catalogue.open("s3://bucket/nowhere")


@pytest.fixture
def memory():
    yield "memory://shop"
    fsspec.filesystem("memory").rm("/shop", recursive=True)


def copied(folder: Path, uri: str) -> str:
    """A folder as it is, at a URI."""
    filesystem, path = fsspec.core.url_to_fs(uri)
    filesystem.put(f"{folder}/", f"{path}/", recursive=True)
    return uri


def test_an_index_is_made_and_brought_up_to_date_where_no_file_is_local(
    memory, index_args, tiny_world, monkeypatch, tmp_path
):
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))
    args = index_args(
        catalogue=copied(tiny_world.catalogue, f"{memory}/catalogue"),
        features=copied(tiny_world.features, f"{memory}/features"),
        out=f"{memory}/index",
    )
    assert index_job(args).as_dict()["rows_out"] == 12
    local = index_job(index_args()).as_dict()
    np.testing.assert_array_equal(
        RetrievalIndex.load(f"{memory}/index").vectors, RetrievalIndex.load(local["output"]).vectors
    )
    assert index_job(args).as_dict()["skipped"]
    catalogue = tiny.write_squares(tmp_path / "fewer", colours=tiny.COLOURS[1:])
    features = tiny.write_random_features(tmp_path / "fewer features", catalogue)
    copied(catalogue.folder, f"{memory}/fewer")
    copied(features, f"{memory}/fewer features")
    args = index_args(catalogue=f"{memory}/fewer", features=f"{memory}/fewer features", out=f"{memory}/index")
    assert index_job(args).as_dict()["deleted"] == 1
    assert len(RetrievalIndex.load(f"{memory}/index")) == 11


def test_folders_inside_are_published_before_the_marker_and_others_stay(memory):
    with publishing(f"{memory}/a", marker="info") as scratch:
        (scratch / "inner").mkdir()
        (scratch / "inner" / "one").write_text("1")
        (scratch / "info").write_text("first")
    fsspec.filesystem("memory").pipe_file("/shop/a/images/picture", b"p")
    with publishing(f"{memory}/a", marker="info") as scratch:
        (scratch / "inner").mkdir()
        (scratch / "inner" / "two").write_text("2")
        (scratch / "info").write_text("second")
    found = sorted(path.removeprefix("/shop/a/") for path in fsspec.filesystem("memory").find("/shop/a"))
    assert found == ["images/picture", "info", "inner/two"]
    assert read_marker(f"{memory}/a", "info") == b"second"


def test_a_file_is_placed_when_it_is_whole(memory, tmp_path):
    def half() -> None:
        with placing(f"{memory}/x.tsv") as path:
            path.write_text("half")
            raise CatalogueError("no rows")

    with pytest.raises(CatalogueError):
        half()
    assert not fsspec.filesystem("memory").exists("/shop/x.tsv")
    with placing(str(tmp_path / "x.tsv")) as path:
        assert path == tmp_path / "x.tsv"
    with placing(f"{memory}/x.tsv") as path:
        path.write_text("whole")
    assert fsspec.filesystem("memory").cat_file("/shop/x.tsv") == b"whole"


def test_a_copy_of_what_is_behind_a_uri_is_that_of_its_last_state(s3, tmp_path):
    s3.put("bucket/state/index.json", b"one")
    folder = locate("index", "s3://bucket/state")
    asked = len(s3.asked)
    assert locate("index", "s3://bucket/state/") == folder
    assert len(s3.asked) == asked + 1
    s3.put("bucket/state/index.json", b"two")
    assert (locate("index", "s3://bucket/state") / "index.json").read_bytes() == b"two"


def test_s3_is_pyarrow_s_where_s3fs_is_not_installed(s3):
    store = fsspec.filesystem("s3")
    assert isinstance(store.fs, fs.S3FileSystem)
    store.pipe_file("bucket/large", bytes(range(256)) * 50_000)
    assert store.cat_file("bucket/large", 1_000_000, 1_000_004) == bytes([64, 65, 66, 67])
    assert store.cat_file("bucket/large", 0, 3) == store.cat_file("bucket/large", end=3) == bytes([0, 1, 2])
    assert len(store.cat_file("bucket/large")) == 256 * 50_000
