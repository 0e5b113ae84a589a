"""Rows of any causal LM of transformers, by its own modules. Knows no engine.

A row reads its prompt in a cache of its own, without padding, and moves into the one that all steps share with its
first step.

Shapes: as in `decoder`; H key heads.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from fromage_model.language.decoder import NewStates
from fromage_model.language.kv_cache import SlotCache

LayerStates = tuple[Tensor, Tensor]
"""Keys and values of one layer, (1, H, T, E)."""


class ModuleDecoder:
    """At most `slots` rows over a `LanguageModel`'s forward."""

    def __init__(self, forward: Callable[..., Any], *, layers: int, slots: int, device: torch.device):
        self._forward = forward
        self._device = device
        self._cache = SlotCache(layers=layers, slots=slots, device=device)
        self._reading: dict[int, Any] = {}
        self._opened: dict[int, int] = {}
        self._stepping: list[int] = []
        self._next_row = 0

    @property
    def cache_bytes(self) -> int:
        own = sum(keys.nbytes + values.nbytes for cache in self._reading.values() for keys, values in _states(cache))
        return own + self._cache.size_bytes

    max_positions: int | None = None

    def warm(self, opening: Sequence[LayerStates] | None = None) -> int:
        """Nothing has to be prepared."""
        return 0

    def join(self, opening: Sequence[LayerStates] | None = None) -> int:
        """`opening` is as `read_alone` gives it."""
        row, self._next_row = self._next_row, self._next_row + 1
        self._reading[row] = _filled(opening or ())
        self._opened[row] = 0 if opening is None else opening[0][0].shape[2]
        return row

    def leave(self, row: int) -> None:
        del self._opened[row]
        if self._reading.pop(row, None) is not None:
            return
        place = self._stepping.index(row)
        self._cache.leave(place)
        last = self._stepping.pop()
        if place < len(self._stepping):
            self._stepping[place] = last

    def prefill_many(self, rows: Sequence[int], pieces: Sequence[Tensor]) -> NewStates:
        """One after the other, without padding."""
        found = [self.prefill(row, piece) for row, piece in zip(rows, pieces, strict=True)]
        layers = zip(*[states.layers for states in found], strict=True)
        return NewStates(torch.cat([states.last for states in found]), tuple(torch.cat(layer) for layer in layers))

    def prefill(self, row: int, embeddings: Tensor) -> NewStates:
        """(T, D) after what the row has read -> the states of the last of them, N = 1."""
        states = self._forward(embeddings.unsqueeze(0), cache=self._reading[row])
        return NewStates(states.last[0, -1:], tuple(layer[0, -1:] for layer in states.layers))

    def step(self, embeddings: Tensor, rows: Sequence[int]) -> NewStates:
        for row in rows:
            if row in self._reading:
                self._cache.admit(_states(self._reading.pop(row)))
                self._stepping.append(row)
        if len(rows) < len(self._stepping):
            raise RuntimeError(f"a step of {len(rows)} rows, and {len(self._stepping)} have begun")
        placed = [rows.index(row) for row in self._stepping]
        layout = self._cache.extend()
        given = embeddings[torch.tensor(placed, device=self._device)].unsqueeze(1)
        states = self._forward(given, attention_mask=layout.mask, position_ids=layout.positions, cache=self._cache)
        back = torch.tensor([self._stepping.index(row) for row in rows], device=self._device)
        return NewStates(states.last[back, -1], tuple(layer[back, -1] for layer in states.layers))

    def forget_last(self, rows: Sequence[int]) -> None:
        for row in rows:
            self._cache.forget_last(self._stepping.index(row))

    def export(self, row: int, start: int, stop: int) -> Tensor:
        opened = self._opened[row]
        if row in self._reading:
            states = [(keys[0], values[0]) for keys, values in _states(self._reading[row])]
        else:
            states = self._cache.row(self._stepping.index(row))
        own = slice(opened + start, opened + stop)
        return torch.stack([torch.stack([keys[:, own], values[:, own]], dim=1) for keys, values in states])

    def load(self, row: int, kept: Tensor) -> None:
        for number, layer in enumerate(kept):
            self._reading[row].update(layer[:, 0].unsqueeze(0), layer[:, 1].unsqueeze(0), number)


def read_alone(forward: Callable[..., Any], embeddings: Tensor) -> list[LayerStates]:
    """(O, D) -> for each layer the keys and values, (1, H, O, E)."""
    cache = _filled(())
    forward(embeddings.unsqueeze(0), cache=cache)
    return _states(cache)


def _filled(layers: Sequence[LayerStates]) -> Any:
    from transformers import DynamicCache

    cache = DynamicCache()
    for number, (keys, values) in enumerate(layers):
        cache.update(keys, values, number)
    return cache


def _states(cache: Any) -> list[LayerStates]:
    return [(layer.keys, layer.values) for layer in cache.layers]
