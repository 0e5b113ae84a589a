"""A file that is not what its name says is told for what it is; JSON is read with or without a byte order mark."""

import gzip
import io
import json
import pickle
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from fromage_model.errors import BundleError, CheckpointError, ConfigError
from fromage_model.interop.embeddings import read_embeddings
from fromage_model.interop.model_args import load_model_args
from fromage_model.llama_adapter.checkpoints import read_checkpoint
from fromage_model.storage.file_kinds import is_instead, kind_of, read_json
from fromage_model.storage.pretrained import locate_folder
from fromage_model.storage.weights import read_tensors

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 269060552\n"
PAGE = b"\n<!-- cached -->\n<!DOCTYPE html><html><head><title>model.safetensors</title></head></html>"
STAND_INS = {
    POINTER: "a Git LFS pointer, not the file itself.*git lfs pull",
    PAGE: "an HTML page.*/resolve/",
    b"": "empty",
}


def packed_tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("weights.bin"))
    return file.getvalue()


def written(write, value) -> bytes:
    file = io.BytesIO()
    write(value, file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (POINTER, "a Git LFS pointer"),
        (PAGE, "an HTML page"),
        (b"\xef\xbb\xbf<html>", "an HTML page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "an XML document"),
        (b'<?xml version="1.0"?><!DOCTYPE html><html xmlns="x">', "an HTML page"),
        (b'{"error": "Repository not found"}', "JSON"),
        (b"[1, 2]", "JSON"),
        (save({"a": torch.ones(2)}), "a safetensors file"),
        (written(torch.save, {"a": torch.ones(2)}), "a zip file"),
        (
            written(lambda value, file: torch.save(value, file, _use_new_zipfile_serialization=False), 1),
            "a torch before",
        ),
        (pickle.dumps({"paths": []}), "a pickle"),
        (written(lambda value, file: pq.write_table(value, file), pa.table({"a": [1]})), "a parquet file"),
        (written(lambda value, file: np.save(file, value), np.ones(2)), "an array of numpy"),
        (gzip.compress(b"image,caption"), "packed with gzip"),
        (packed_tar(), "a tar archive"),
    ],
)
def test_real_files_are_known_by_how_they_begin(data, name):
    assert name in kind_of(data[:1024]).name


@pytest.mark.parametrize(
    "data", [b"image,caption\na.png,A\n", b"[RET] is a token", b"{item} is a name", b"\0\1\2\3" * 9]
)
def test_other_bytes_are_of_no_kind(data):
    assert kind_of(data) is None


@given(data=st.binary(max_size=300))
def test_any_bytes_are_of_some_kind_or_none(data):
    kind = kind_of(data)
    assert kind is None or kind.name


@pytest.mark.parametrize("data", STAND_INS)
@pytest.mark.parametrize(
    ("read", "error"),
    [
        (read_tensors, BundleError),
        (read_checkpoint, CheckpointError),
        (read_embeddings, CheckpointError),
        (load_model_args, ConfigError),
    ],
)
def test_every_reader_says_that_a_page_or_a_pointer_is_not_the_file(data, read, error, tmp_path):
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(error, match=f"(?s)file can't be read.*{STAND_INS[data]}"):
        read(tmp_path / "file")


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_model_s_folder_with_a_pointer_in_it_names_the_file(name, tmp_path):
    for file in ("config.json", "tokenizer.json"):
        (tmp_path / file).write_text("{}")
    (tmp_path / name).write_bytes(POINTER)
    with pytest.raises(CheckpointError, match=rf"{name} can't be read: it is a Git LFS pointer.*git lfs pull"):
        locate_folder(str(tmp_path))


def test_a_model_s_config_with_a_byte_order_mark_is_told_before_transformers_stumbles(tmp_path):
    (tmp_path / "config.json").write_bytes(b"\xef\xbb\xbf{}")
    with pytest.raises(CheckpointError, match=r"begins with a byte order mark.*save it as UTF-8 without one"):
        locate_folder(str(tmp_path))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_json_is_read_as_editors_and_shells_save_it(encoding, tmp_path):
    (tmp_path / "file").write_bytes(json.dumps({"name": "Größe"}, ensure_ascii=False).encode(encoding))
    assert read_json(tmp_path / "file") == {"name": "Größe"}


def test_what_is_no_json_is_told_for_what_it_is_and_broken_json_by_the_place(tmp_path):
    (tmp_path / "file").write_bytes(PAGE)
    with pytest.raises(ValueError, match=r"an HTML page.*expected JSON"):
        read_json(tmp_path / "file")
    (tmp_path / "file").write_text('{"a": 1,}')
    with pytest.raises(ValueError, match=r"is not JSON: .*line 1 column 9"):
        read_json(tmp_path / "file")


def test_a_file_of_the_expected_kind_is_nothing_instead(tmp_path):
    (tmp_path / "file").write_bytes(pickle.dumps(1))
    kind = kind_of(pickle.dumps(1))
    assert is_instead(tmp_path / "file", expected="a pickle", other_than=(kind,)) is None
    assert is_instead(tmp_path / "absent", expected="a pickle") is None
