"""What a CUDA graph does, on the CPU: calls are recorded once with the memory that they took, and done again over it.

Whatever a step took from the host, or computed from data on the host, stays on the tape as it was when it was recorded.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

WAITING = ("item", "_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "unique", "where")
"""Operations for which the host waits: for what comes of them, or as `where` does to send a number to the device."""


class Tape:
    """In the place of `graphs.Graph`."""

    def __init__(self, run: Callable[[], Any], _pool: object):
        recorder = _Recorder()
        with recorder:
            self._outputs = run()
        self.calls = recorder.calls

    def __call__(self) -> Any:
        for function, args, kwargs, kept in self.calls:
            found = function(*args, **kwargs)
            for old, new in zip(kept, _tensors(found), strict=True):
                if not _shares_memory(new, old) and not _shares_memory(new, *_tensors((args, kwargs))):
                    old.copy_(new)
        return self._outputs


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Callable, tuple, dict, list[Tensor]]] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        assert name not in WAITING, f"{name} waits for the device"
        found = function(*args, **(kwargs or {}))
        self.calls.append((function, args, kwargs or {}, _tensors(found)))
        return found


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _shares_memory(one: Tensor, *others: Tensor) -> bool:
    strided = [other for other in others if other.layout is torch.strided]
    return one.untyped_storage().data_ptr() in [other.untyped_storage().data_ptr() for other in strided]
