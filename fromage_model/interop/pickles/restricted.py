"""A pickle from outside -> plain values, without running its code. Knows neither torch's archives nor our models.

A pickle names functions and classes, and calls them while it is read. Here a name never becomes what it names: it
stands for a builder of ours from a short list, a torch dtype, or an inert `Record` that only remembers what it got.
"""

import io
import pickle
from collections.abc import Callable
from typing import IO, Any

import torch
from torch import Tensor

from fromage_model.errors import CheckpointError
from fromage_model.interop.pickles.arrays import ArrayRecord, DtypeRecord, array_from_bytes
from fromage_model.storage.file_kinds import HEAD_BYTES, PICKLE, kind_of, told

_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "UntypedStorage": torch.uint8,
}
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C


class Record:
    """An object of a class that we don't know: its `origin`, what it was made from, and its state. It does nothing."""

    origin = ""
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    state: Any
    items: list[Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> "Record":
        record = super().__new__(cls)
        record.args, record.kwargs, record.state, record.items = args, kwargs, None, []
        return record

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items.append((key, value))

    def append(self, value: Any) -> None:
        self.items.append(value)

    def extend(self, values: Any) -> None:
        self.items.extend(values)

    def __repr__(self) -> str:
        return f"<inert {self.origin}>"


class Storage:
    """The elements of one storage, `flat`, (numel,); `key` is its record's name in an archive, None outside of one."""

    __slots__ = ("flat", "key")

    def __init__(self, flat: Tensor, key: str | None = None):
        self.flat = flat
        self.key = key

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a storage takes no state")


class TensorRecord:
    """A tensor over a storage. `tensor` is a view: where the storage is mapped, nothing is read before it is used."""

    __slots__ = ("storage", "tensor")

    def __init__(self, storage: Storage, tensor: Tensor):
        self.storage = storage
        self.tensor = tensor

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a tensor takes no state")


class RestrictedUnpickler(pickle.Unpickler):
    """Reads one pickle. `storage` gives the storage of a persistent id, where the pickle stands in an archive."""

    def __init__(self, file: IO[bytes], *, storage: Callable[[Any], Storage] | None = None):
        super().__init__(file, encoding="latin1")
        self._storage = storage
        self._unknown: dict[str, type[Record]] = {}

    def find_class(self, module: str, name: str) -> Any:
        builder = _BUILDERS.get((module.replace("numpy._core", "numpy.core"), name))
        if builder is not None:
            return builder
        if module in ("torch", "torch.storage") and name in _STORAGES:
            return _STORAGES[name]
        dtype = vars(torch).get(name) if module == "torch" else None
        if isinstance(dtype, torch.dtype):
            return dtype
        origin = f"{module}.{name}"
        return self._unknown.setdefault(origin, type("Record", (Record,), {"origin": origin}))

    def persistent_load(self, saved_id: Any) -> Storage:
        if self._storage is None:
            raise pickle.UnpicklingError("expected no persistent ids outside of torch's archive")
        return self._storage(saved_id)


def load(file: IO[bytes], *, where: str, storage: Callable[[Any], Storage] | None = None) -> Any:
    """One pickle -> dicts, lists, numbers, texts; tensors and arrays as TensorRecord and ArrayRecord, all else inert.

    Raises CheckpointError where the bytes are no pickle, saying what they are if they tell, or one whose values
    contradict each other.
    """
    try:
        return RestrictedUnpickler(file, storage=storage).load()
    except CheckpointError:
        raise
    except (MemoryError, RecursionError) as error:
        raise CheckpointError(f"{where} is a pickle of a size or depth that can't be read") from error
    except Exception as error:  # A broken or hostile pickle may raise anything.
        file.seek(0)
        kind = kind_of(file.read(HEAD_BYTES))
        if kind is not None and kind != PICKLE:
            raise CheckpointError(told(where, kind, expected="a pickle")) from error
        raise CheckpointError(f"{where} can't be read as a pickle: {type(error).__name__}: {error}") from error


def parse_storage_id(saved_id: Any) -> tuple[torch.dtype, str, int]:
    """torch's persistent id -> dtype, key, number of elements. Raises UnpicklingError."""
    if not (isinstance(saved_id, tuple) and len(saved_id) >= 5 and saved_id[0] == "storage"):
        raise pickle.UnpicklingError(f"expected the id of a storage, got {type(saved_id).__name__}")
    _, dtype, key, _, numel = saved_id[:5]
    if not (isinstance(dtype, torch.dtype) and isinstance(key, str) and isinstance(numel, int) and numel >= 0):
        raise pickle.UnpicklingError("expected a storage's type, key and length")
    return dtype, key, numel


class _Mapping(dict):
    """A dict that forgets the attributes a pickle gives it (`_metadata` of a state dict)."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        pass


class _Builder:
    """One of our functions as an object that a pickle can call, and neither change nor subclass."""

    __slots__ = ("_build",)

    def __init__(self, build: Callable[..., Any]):
        self._build = build

    def __call__(self, *args: Any) -> Any:
        return self._build(*args)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a function takes no state")


def _mapping(*args: Any) -> dict[Any, Any]:
    """OrderedDict and defaultdict; protocol 2 may give the pairs as an argument."""
    pairs = args[0] if args and isinstance(args[0], list) else ()
    return _Mapping(tuple(pair) for pair in pairs)


def _tensor(storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> TensorRecord:
    if not isinstance(storage, Storage):
        raise pickle.UnpicklingError(f"expected a tensor over a storage, got {type(storage).__name__}")
    if any(not isinstance(number, int) or number < 0 for number in (offset, *size, *stride)) or len(size) != len(
        stride
    ):
        raise pickle.UnpicklingError(f"a tensor of shape {size}, strides {stride}, offset {offset} can't be")
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if 0 not in size and last >= len(storage.flat):
        raise pickle.UnpicklingError(f"a tensor of shape {size} does not fit into a storage of {len(storage.flat)}")
    if 0 in size:
        return TensorRecord(storage, storage.flat.new_empty(size))
    return TensorRecord(storage, torch.as_strided(storage.flat, size, stride, offset))


def _tensor_of_dtype(storage: Any, offset: int, size: Any, stride: Any, _: Any, __: Any, dtype: Any, *rest: Any) -> Any:
    """A dtype without a storage class of its own comes over untyped bytes."""
    if not (isinstance(storage, Storage) and isinstance(dtype, torch.dtype)):
        raise pickle.UnpicklingError("expected a tensor over a storage, with its dtype")
    return _tensor(Storage(storage.flat.view(dtype), storage.key), offset, size, stride)


def _parameter(data: Any, *_: Any) -> TensorRecord:
    if not isinstance(data, TensorRecord):
        raise pickle.UnpicklingError(f"expected a parameter over a tensor, got {type(data).__name__}")
    return data


def _storage_from_bytes(data: Any) -> Storage:
    """What a tensor in a plain pickle holds: one storage in torch's form of before 1.6, itself a row of pickles.

    torch reads it with `torch.load(weights_only=False)`; here it is read as restrictedly as what it stands in.
    """
    if not isinstance(data, bytes | bytearray):
        raise pickle.UnpicklingError(f"expected a storage's bytes, got {type(data).__name__}")
    file = io.BytesIO(data)
    found: list[tuple[torch.dtype, str, int]] = []

    def remember(saved_id: Any) -> Storage:
        found.append(parse_storage_id(saved_id))
        return Storage(torch.empty(0))

    magic, _, system, value, keys = (RestrictedUnpickler(file, storage=remember).load() for _ in range(5))
    if magic != _LEGACY_MAGIC or not system.get("little_endian", True):
        raise pickle.UnpicklingError("expected a storage as a little-endian torch writes it")
    if not isinstance(value, Storage) or len(found) != 1 or keys != [found[0][1]]:
        raise pickle.UnpicklingError("expected one storage and nothing else")
    dtype, _, numel = found[0]
    if int.from_bytes(file.read(8), "little") != numel:
        raise pickle.UnpicklingError("a storage's length is given twice, and differently")
    content = file.read(numel * dtype.itemsize)
    if len(content) != numel * dtype.itemsize:
        raise pickle.UnpicklingError(f"expected {numel * dtype.itemsize} bytes in a storage, got {len(content)}")
    return Storage(torch.frombuffer(bytearray(content), dtype=dtype) if numel else torch.empty(0, dtype=dtype))


def _encode(text: Any, encoding: Any) -> bytes:
    """Bytes, as protocol 2 has them."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"expected bytes as latin1, got {encoding!r}")
    return text.encode("latin1")


def _bytes(data: Any = b"") -> bytes:
    """A bytearray's content, or the empty bytes of protocol 2."""
    if not isinstance(data, bytes):
        raise pickle.UnpicklingError(f"expected bytes, got {type(data).__name__}")
    return data


_FUNCTIONS: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): _mapping,
    ("collections", "defaultdict"): lambda *_: _Mapping(),
    ("torch", "Size"): tuple,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _tensor_of_dtype,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch.storage", "_load_from_bytes"): _storage_from_bytes,
    ("numpy", "dtype"): lambda code, *_: DtypeRecord(str(code)),
    ("numpy", "ndarray"): lambda shape, dtype, data: ArrayRecord(array_from_bytes(data, shape, dtype)),
    ("numpy.core.multiarray", "_reconstruct"): lambda *_: ArrayRecord(),
    ("numpy.core.multiarray", "scalar"): lambda dtype, data: array_from_bytes(data, (), dtype).item(),
    ("numpy.core.numeric", "_frombuffer"): lambda data, dtype, shape, order: ArrayRecord(
        array_from_bytes(data, shape, dtype, order=order)
    ),
    ("_codecs", "encode"): _encode,
    **{(module, name): _bytes for module in ("builtins", "__builtin__") for name in ("bytes", "bytearray")},
}
_BUILDERS = {name: _Builder(build) for name, build in _FUNCTIONS.items()}
