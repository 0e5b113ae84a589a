"""What `torch.save` wrote, mapped into memory: values come restricted, tensors as views. Knows no model's keys.

A file of several GB costs no memory until a tensor of it is used. Opened for patching, tensors are views into the file:
what is written to them stands in it, every other byte stays as it was, and `seal` puts the checksums right.
"""

import io
import mmap
import sys
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fromage_model.errors import CheckpointError
from fromage_model.interop.pickles.restricted import Storage, TensorRecord, load, parse_storage_id
from fromage_model.storage.file_kinds import AGAIN, ZIP, is_instead

_LOCAL_HEADER, _CENTRAL_ENTRY, _DESCRIPTOR = b"PK\x03\x04", b"PK\x01\x02", b"PK\x07\x08"
_HAS_DESCRIPTOR = 0x08
_CRC_CHUNK = 1 << 24


class TorchArchive:
    """One file. `value` is what was saved; `patch` and `seal` need `writable=True`."""

    def __init__(self, path: Path | str, *, writable: bool = False):
        """Raises CheckpointError where the file is missing, is no archive of torch 1.6 or newer, or is broken.

        It says what the file is instead, where its first bytes tell.
        """
        self.path = Path(path)
        self._storages: dict[str, Storage] = {}
        self._patched: set[str] = set()
        try:
            with open(self.path, "r+b" if writable else "rb") as file:
                access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
                self._map = mmap.mmap(file.fileno(), 0, access=access)
            directory = zipfile.ZipFile(self.path)
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise CheckpointError(_why_not(self.path, error)) from error
        with directory:
            self._directory_offset = directory.start_dir
            self._entries = {entry.filename: entry for entry in directory.infolist()}
            self._root = self._find_root(directory)
            pickled = io.BytesIO(self._read(directory, f"{self._root}data.pkl"))
        self.value: Any = load(pickled, where=str(self.path), storage=self._storage)

    def patch(self, record: TensorRecord, index: Any, values: Tensor) -> None:
        """Write `values` over `record.tensor[index]`, cast to its dtype."""
        if record.storage.key is None:
            raise CheckpointError(f"{self.path}: a tensor without a place in the archive can't be rewritten")
        record.tensor[index].copy_(values)
        self._patched.add(record.storage.key)

    def seal(self) -> None:
        """Set the checksums of what was patched: zip readers compare them."""
        central = self._central_checksums()
        for key in self._patched:
            entry = self._entries[f"{self._root}data/{key}"]
            start = self._data_offset(entry)
            checksum = self._checksum(start, entry.file_size).to_bytes(4, "little")
            descriptor = start + entry.file_size
            if not entry.flag_bits & _HAS_DESCRIPTOR:
                local = entry.header_offset + 14
            elif self._map[descriptor : descriptor + 4] == _DESCRIPTOR:
                local = descriptor + 4
            else:
                local = descriptor
            for place in (local, central[entry.filename]):
                self._map[place : place + 4] = checksum
        self._map.flush()

    def _find_root(self, directory: zipfile.ZipFile) -> str:
        roots = [name.removesuffix("data.pkl") for name in self._entries if name.endswith("/data.pkl")]
        roots = [root for root in roots if root.count("/") == 1]
        if len(roots) != 1 or f"{roots[0]}constants.pkl" in self._entries:
            raise CheckpointError(
                f"{self.path} is a zip file, but not one that torch.save writes; of a TorchScript file, save the "
                "state_dict of what torch.jit.load gives"
            )
        byte_order = f"{roots[0]}byteorder"
        if byte_order in self._entries and self._read(directory, byte_order).decode() != sys.byteorder:
            raise CheckpointError(
                f"{self.path} was written on a machine of another byte order; save it again on this one"
            )
        return roots[0]

    def _read(self, directory: zipfile.ZipFile, name: str) -> bytes:
        try:
            return directory.read(name)
        except (KeyError, zipfile.BadZipFile, zlib.error, OSError, NotImplementedError, RuntimeError) as error:
            raise CheckpointError(f"{self.path} is broken: {error}") from error

    def _storage(self, saved_id: Any) -> Storage:
        dtype, key, numel = parse_storage_id(saved_id)
        if key not in self._storages:
            self._storages[key] = Storage(self._mapped(key, dtype, numel), key)
        return self._storages[key]

    def _mapped(self, key: str, dtype: torch.dtype, numel: int) -> Tensor:
        entry = self._entries.get(f"{self._root}data/{key}")
        if entry is None or entry.compress_type != zipfile.ZIP_STORED or entry.file_size < numel * dtype.itemsize:
            raise CheckpointError(f"{self.path} is broken: storage {key} is missing, compressed or too short")
        if numel == 0:
            return torch.empty(0, dtype=dtype)
        start = self._data_offset(entry)
        if start + entry.file_size > len(self._map):
            raise CheckpointError(f"{self.path} is broken: storage {key} ends after the file")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given buffer is not writable")
            return torch.frombuffer(self._map, dtype=dtype, count=numel, offset=start)

    def _data_offset(self, entry: zipfile.ZipInfo) -> int:
        header = self._map[entry.header_offset : entry.header_offset + 30]
        if header[:4] != _LOCAL_HEADER:
            raise CheckpointError(f"{self.path} is broken: no entry {entry.filename} where its directory says")
        lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        return entry.header_offset + 30 + lengths

    def _checksum(self, start: int, size: int) -> int:
        checksum = 0
        for begin in range(start, start + size, _CRC_CHUNK):
            checksum = zlib.crc32(self._map[begin : min(begin + _CRC_CHUNK, start + size)], checksum)
        return checksum

    def _central_checksums(self) -> dict[str, int]:
        """Where in the file the directory at its end keeps each entry's checksum."""
        places = {}
        position = self._directory_offset
        for entry in self._entries.values():
            header = self._map[position : position + 46]
            if header[:4] != _CENTRAL_ENTRY:
                raise CheckpointError(f"{self.path} is broken: its directory ends early")
            places[entry.filename] = position + 16
            position += 46 + sum(int.from_bytes(header[at : at + 2], "little") for at in (28, 30, 32))
        return places


def _why_not(path: Path, error: Exception) -> str:
    if not path.is_file():
        return f"{path} can't be opened: {error}. Expected a checkpoint file"
    instead = is_instead(path, expected="a file that torch.save of torch 1.6 or newer wrote", other_than=(ZIP,))
    return instead or f"{path} can't be opened: {error}; it is damaged, or its end is missing: {AGAIN}"
