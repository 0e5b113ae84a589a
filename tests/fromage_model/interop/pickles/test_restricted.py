"""A pickle from outside never runs: not by itself, not inside a tensor's storage, not through what it may name."""

import contextlib
import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from fromage_model.errors import CheckpointError
from fromage_model.interop import read_embeddings, read_full_checkpoint, read_pruned
from fromage_model.interop.pickles.arrays import ArrayRecord
from fromage_model.interop.pickles.restricted import Record, TensorRecord, load
from tests.fromage_model.interop import originals


class Calls:
    """Pickled as a call of `function` with `arguments`, and a state for what it gives back."""

    def __init__(self, function, *arguments, state=None):
        self.call = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.call


def system(marker: Path) -> Calls:
    return Calls(os.system, f"touch {marker}")


def storage_that_runs(marker: Path) -> Calls:
    """What torch itself opens with `weights_only=False`, over bytes that hold a call."""
    inner = io.BytesIO()
    torch.save(system(marker), inner, _use_new_zipfile_serialization=False)
    return Calls(torch.storage._load_from_bytes, inner.getvalue())


def array_that_runs(marker: Path) -> Calls:
    """numpy's own way of restoring an array, over a state of objects."""
    state = (1, (1,), np.dtype("O"), False, [system(marker)])
    return Calls(np.array([1]).__reduce__()[0], np.ndarray, (0,), b"b", state=state)


ATTACKS = {
    "os.system": system,
    "eval": lambda marker: Calls(eval, f"open({str(marker)!r}, 'w')"),
    "getattr": lambda marker: Calls(getattr, Calls(__import__, "os"), "system"),
    "storage": storage_that_runs,
    "array of objects": array_that_runs,
    "dtype of a class": lambda marker: Calls(np.dtype, system(marker)),
    "nested": lambda marker: {"paths": [system(marker)], "embeddings": [storage_that_runs(marker)]},
}
CODES = {
    "getattr": b"cbuiltins\ngetattr\n(cos\nsystem\nV__call__\ntR(VCOMMAND\ntR.",
    "instance": b"(VCOMMAND\nios\nsystem\n.",
    "object": b"(cos\nsystem\nVCOMMAND\no.",
    "dotted name": b"\x80\x04\x8c\x05torch\x8c\x17serialization.os.system\x93(VCOMMAND\ntR.",
}


def read(code: bytes) -> None:
    """What is refused has not run either."""
    with contextlib.suppress(CheckpointError):
        load(io.BytesIO(code), where="it")


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_call_in_a_pickle_is_not_made(attack, tmp_path):
    marker = tmp_path / "ran"
    code = pickle.dumps(ATTACKS[attack](marker))
    read(code)
    assert not marker.exists()
    if attack in ("os.system", "eval", "storage", "nested"):
        pickle.loads(code)
        assert marker.exists(), "the attack itself does not work, so it proves nothing"


@pytest.mark.parametrize("name", CODES)
def test_no_opcode_reaches_what_a_pickle_names(name, tmp_path):
    marker = tmp_path / "ran"
    code = CODES[name].replace(b"COMMAND", f"touch {marker}".encode())
    read(code)
    assert not marker.exists()
    pickle.loads(code)
    assert marker.exists(), "the attack itself does not work, so it proves nothing"


@pytest.mark.parametrize("name", ["collections\nOrderedDict", "torch\nSize", "numpy\ndtype", "os\nsystem"])
def test_a_pickle_cannot_change_what_reads_the_next_one(name):
    """BUILD sets attributes of what it is given, in plain pickles also of functions and classes."""
    read(f"c{name}\n(N}}V__call__\nI1\nstb.".encode())
    value = load(io.BytesIO(pickle.dumps([np.ones(2), torch.ones(2)])), where="it")
    assert value[0].array.tolist() == value[1].tensor.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("attack", ["os.system", "storage", "array of objects"])
def test_no_file_of_ours_runs_what_is_in_it(attack, tmp_path):
    marker = tmp_path / "ran"
    call = ATTACKS[attack](marker)
    pickled = tmp_path / "cc3m_embeddings.pkl"
    pickled.write_bytes(pickle.dumps({"paths": ["a"], "embeddings": [call]}))
    saved = tmp_path / "pretrained_ckpt.pth.tar"
    torch.save({"state_dict": originals.trained() | {"model.logit_scale": call}}, saved)
    for read, path in ((read_embeddings, pickled), (read_pruned, saved), (read_full_checkpoint, saved)):
        with pytest.raises(CheckpointError):
            read(path)
    assert not marker.exists()


def test_a_checkpoint_s_scheduler_may_try_and_the_weights_still_come(tmp_path):
    marker = tmp_path / "ran"
    path = originals.write_full(tmp_path / "ckpt.pth.tar", originals.trained())
    value = torch.load(path, weights_only=False)
    value["scheduler"]["after_scheduler"] = system(marker)
    torch.save(value, path)
    scheduler = read_full_checkpoint(path).scheduler
    assert not marker.exists()
    assert scheduler["after_scheduler"].origin.endswith(".system")
    assert scheduler["after_scheduler"].args == (f"touch {marker}",)


def test_an_object_of_an_unknown_class_is_an_inert_record():
    step = torch.optim.lr_scheduler.StepLR(torch.optim.SGD([torch.nn.Parameter(torch.ones(2))]), step_size=5)
    record = load(io.BytesIO(pickle.dumps(step)), where="it")
    assert isinstance(record, Record)
    assert not isinstance(record, torch.optim.lr_scheduler.StepLR)
    assert record.origin == "torch.optim.lr_scheduler.StepLR"
    assert record.state["step_size"] == 5
    assert repr(record) == "<inert torch.optim.lr_scheduler.StepLR>"
    assert not callable(record)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint16])
def test_tensors_of_a_plain_pickle_come_whole(dtype, protocol):
    tensor = (torch.arange(24).reshape(2, 3, 4) * 3).to(dtype)
    value = {"whole": tensor, "view": tensor[:, 1:, ::2], "empty": tensor[:0], "one": tensor[1, 2, 3]}
    read = load(io.BytesIO(pickle.dumps(value, protocol=protocol)), where="it")
    for name, wanted in value.items():
        assert isinstance(read[name], TensorRecord)
        assert torch.equal(read[name].tensor, wanted)
        assert read[name].tensor.dtype == dtype


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f2", "f8", "<i8", "|u1", "|b1"])
def test_arrays_of_a_plain_pickle_come_whole(dtype, protocol):
    array = np.arange(12).reshape(3, 4).astype(dtype)
    for wanted in (array, np.asfortranarray(array), array[:0], array[1]):
        read = load(io.BytesIO(pickle.dumps([wanted, wanted.sum()], protocol=protocol)), where="it")
        assert isinstance(read[0], ArrayRecord)
        np.testing.assert_array_equal(read[0].array, wanted)
        assert read[0].array.dtype == wanted.dtype
        assert read[1] == wanted.sum()


def test_an_array_that_says_more_than_it_holds_is_refused():
    code = pickle.dumps(np.zeros((2, 2), np.float32), protocol=4).replace(b"K\x02K\x02\x86", b"K\x02K\x63\x86")
    with pytest.raises(CheckpointError, match=r"an array of shape \(2, 99\) .* can't have 16 bytes"):
        load(io.BytesIO(code), where="it")


def test_a_tensor_that_reaches_past_its_storage_is_refused(tmp_path):
    path = tmp_path / "x.pt"
    torch.save({"state_dict": {"x": torch.arange(6.0).reshape(2, 3)}}, path)
    broken = tmp_path / "y.pt"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(broken, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("data.pkl"):
                assert b"K\x02K\x03\x86" in content
                content = content.replace(b"K\x02K\x03\x86", b"K\x63K\x03\x86")
            new.writestr(name, content)
    with pytest.raises(CheckpointError, match=r"shape \(99, 3\) does not fit into a storage of 6"):
        read_pruned(broken)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x04", b"\x80\x04K", pickle.dumps([1])[:-1]])
def test_what_is_no_pickle_is_named(content, tmp_path):
    path = tmp_path / "cc3m_embeddings.pkl"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"cc3m_embeddings\.pkl"):
        read_embeddings(path)
