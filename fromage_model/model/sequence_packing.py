"""Sequence packing: short sequences share rows of a batch, one behind the other, so that fewer positions are padding.

Each sequence sees itself and what all begin with, and nothing of its neighbours; its positions count from its own
beginning. So the states are those of the padded batch, which is what goes in and comes out: packing is an arrangement,
and no loss knows of it. (Krell et al. 2021, "Efficient Sequence Packing without Cross-contamination", section 3.)

Shapes: B sequences, T positions of the longest, R rows, L positions of a row, O positions of the opening, D LM width.
"""

import inspect
from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor

from fromage_model.errors import ConfigError
from fromage_model.language.model import LanguageModel, States

EAGER = "eager"
POSITIONS = 512
"""Of a row by default: of a batch of captions or wishes one or two rows become."""


def states_of(lm: LanguageModel, embeddings: Tensor, mask: Tensor, *, position_ids: Tensor | None = None) -> States:
    """A right-padded batch, (B, T, D) with its mask (B, T), through the LM, packed where it is to."""
    packing = Packing.of(lm, mask, opened=0)
    if packing is None:
        return lm(embeddings, attention_mask=mask, position_ids=position_ids)
    return packing.read(lm, embeddings, opened=0, cache=None)


class Packing:
    """Where the positions of B right-padded sequences lie in R rows."""

    def __init__(self, lengths: Sequence[int], *, positions: int, device: torch.device | None = None):
        """Rows have as many positions as their fullest, at most `positions` unless one sequence has more."""
        longest = max(lengths)
        shelves = _first_fit(lengths, room=max(positions, longest))
        width = max(sum(lengths[number] for number in shelf) for shelf in shelves)
        self.rows = len(shelves)
        # Of each place in a row: the position in the batch that stands there, its sequence (-1 for none), and which of
        # its positions it is. And the other way round.
        source = torch.zeros(len(shelves), width, dtype=torch.long)
        self._owner = torch.full((len(shelves), width), -1)
        self._position = torch.zeros(len(shelves), width, dtype=torch.long)
        self._target = torch.zeros(len(lengths), longest, dtype=torch.long)
        self._asking = torch.full((len(shelves), max(map(len, shelves))), -1)
        for row, shelf in enumerate(shelves):
            start = 0
            for place, number in enumerate(shelf):
                end, own = start + lengths[number], torch.arange(lengths[number])
                source[row, start:end] = number * longest + own
                self._owner[row, start:end] = number
                self._position[row, start:end] = own
                self._target[number, : lengths[number]] = row * width + torch.arange(start, end)
                self._asking[row, place] = number
                start = end
        self._source = source.to(device)
        self._owner, self._position = self._owner.to(device), self._position.to(device)
        self._target, self._asking = self._target.to(device), self._asking.to(device)

    @classmethod
    def of(cls, lm: LanguageModel, mask: Tensor, *, opened: int) -> Self | None:
        """For a right-padded batch with this mask (B, T) behind an opening of `opened` positions, with an LM that is to
        pack; None where that saves nothing, or an attention window ends within a sequence.
        """
        if not lm.pack_positions or (lm.window is not None and opened + mask.shape[1] > lm.window):
            return None
        positions = min(lm.pack_positions, lm.max_positions - opened)
        packing = cls(mask.sum(dim=1).tolist(), positions=positions, device=mask.device)
        return packing if packing._owner.numel() < mask.numel() else None

    def pack(self, values: Tensor) -> Tensor:
        """(B, T, ...) -> (R, L, ...)."""
        return values.flatten(0, 1)[self._source]

    def unpack(self, values: Tensor) -> Tensor:
        """(R, L, ...) -> (B, T, ...); at padding stands the value of some other position."""
        return values.flatten(0, 1)[self._target]

    def read(self, lm: LanguageModel, embeddings: Tensor, *, opened: int, cache: Any) -> States:
        """(B, T, D) -> the states as of the padded batch. `cache`, of R rows, holds the opening, and grows in place."""
        states = lm(
            self.pack(embeddings),
            attention_mask=_mask(self._sees(opened), lm),
            position_ids=opened + self._position,
            cache=cache,
        )
        return States(self.unpack(states.last), tuple(map(self.unpack, states.layers)), states.cache)

    def read_one_more(
        self, lm: LanguageModel, embedding: Tensor, lengths: Tensor, *, opened: int, cache: Any
    ) -> tuple[Tensor, ...]:
        """One token more behind each sequence, (1, 1, D), the same for all -> its states, (B, D) for each layer.

        `lengths` (B,) are those of the sequences, `cache` what `read` left.
        """
        asking = self._asking
        own = torch.eye(asking.shape[1], dtype=torch.bool, device=asking.device).expand(len(asking), -1, -1)
        sees = torch.cat([self._opening(asking, opened), asking[:, :, None] == self._owner[:, None, :], own], dim=2)
        states = lm(
            embedding.expand(*asking.shape, -1),
            attention_mask=_mask(sees, lm),
            position_ids=opened + lengths[asking.clamp(min=0)],
            cache=cache,
        )
        rows, columns = torch.where(asking >= 0)
        back = asking[rows, columns].argsort()
        return tuple(layer[rows, columns][back] for layer in states.layers)

    def _sees(self, opened: int) -> Tensor:
        """(R, L, O + L) bool: the opening, and of the own sequence what stands before."""
        same = self._owner[:, :, None] == self._owner[:, None, :]
        return torch.cat([self._opening(self._owner, opened), same.tril()], dim=2)

    def _opening(self, owner: Tensor, opened: int) -> Tensor:
        return torch.ones(*owner.shape, opened, dtype=torch.bool, device=owner.device)


def pack_sequences(lm: LanguageModel, positions: int | None) -> None:
    """Have an LM read batches in rows of at most `positions` from now on; 0 for one row for each sequence, None for
    `POSITIONS` on a CPU, where it was measured, if the LM can.

    Raises ConfigError for an LM that can't.
    """
    if positions is None:
        positions = POSITIONS if lm.device.type == "cpu" and why_not(lm) is None else 0
    if positions and (reason := why_not(lm)):
        raise ConfigError(f"pack_positions is {positions}, but {reason}; 0 works")
    lm.pack_positions = positions


def why_not(lm: LanguageModel) -> str | None:
    """Why an LM's sequences can't share rows: its positions are places in a row, or its attention takes no mask."""
    if "position_ids" not in inspect.signature(lm.backbone.base_model.forward).parameters:
        return f"{lm.backbone.config.model_type} counts positions by itself"
    if (attention := lm.backbone.config._attn_implementation).startswith(("flash", "flex")):
        return f"{attention} attention takes no mask of ours"
    return None


def _first_fit(lengths: Sequence[int], *, room: int) -> list[list[int]]:
    """Sequences by row, the longest first, each in the first row that has room for it."""
    shelves: list[list[int]] = []
    left: list[int] = []
    for number in sorted(range(len(lengths)), key=lambda number: -lengths[number]):
        row = next((row for row, free in enumerate(left) if free >= lengths[number]), None)
        if row is None:
            row = len(shelves)
            shelves.append([])
            left.append(room)
        shelves[row].append(number)
        left[row] -= lengths[number]
    return shelves


def _mask(sees: Tensor, lm: LanguageModel) -> Tensor:
    """(R, Q, C) bool -> (R, 1, Q, C) as the LM's attention takes it: as it is, or what is added to its scores."""
    sees = sees[:, None]
    if lm.backbone.config._attn_implementation != EAGER:
        return sees
    return torch.zeros(sees.shape, dtype=lm.dtype, device=lm.device).masked_fill(~sees, torch.finfo(lm.dtype).min)
