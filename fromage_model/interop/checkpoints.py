"""Checkpoints of the original FROMAGe: the pruned release and the training checkpoint, read, pruned and laid over.

Only what was trained is read; the frozen LM and encoder of a training checkpoint stay on disk. No code is run.
Knows the files and their keys, not our modules.

Shapes: D LM width, V rows of the token table.
Source: `main.py` (what is saved), `fromage/prune_model_ckpt.py` and `fromage/models.py` (what is loaded) of
kohjingyu/fromage; `test_weight.py` of seungu1108/fromage_fashion (un-pruning).
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fromage_model.errors import CheckpointError
from fromage_model.interop import original_keys as keys
from fromage_model.interop.pickles.restricted import TensorRecord
from fromage_model.interop.pickles.torch_archive import TorchArchive
from fromage_model.storage.artefacts import replacing
from fromage_model.storage.file_kinds import read_json

MODEL_ARGS = "model_args.json"
_LM_TABLES = ("embed_tokens.weight", "wte.weight", "embed_in.weight", "lm_head.weight")


@dataclass(frozen=True)
class FullCheckpoint:
    """What a training checkpoint says. `weights` has the pruned release's keys; what the file lacks is None.

    `optimizer` and `scheduler` are as pickled: plain containers, TensorRecord for tensors (mapped, not read), and inert
    Records for objects such as the scheduler's `StepLR`.
    """

    weights: dict[str, Tensor]
    epoch: int | None
    best_score: Any
    optimizer: Any = field(repr=False)
    scheduler: Any = field(repr=False)


def read_pruned(path: Path | str, *, ret_index: int | None = None) -> dict[str, Tensor]:
    """A `pretrained_ckpt.pth.tar` -> its tensors by the original's names, in the file's dtype, on the CPU.

    The row of [RET] comes as (1, D). A token table or frozen weights that the original's prune script left in are
    dropped, the table after its row of [RET] was compared. That row is `ret_index`; by default what a `model_args.json`
    beside the file says, else the last, where the original puts it.

    Raises CheckpointError with every missing, extra and wrongly shaped key, and what the file looks like.
    """
    records = _state(TorchArchive(path))
    if keys.RET_ROW not in records and _has_frozen(records):
        raise CheckpointError(
            f"{path} is a full training checkpoint: read_full_checkpoint reads it, and prune makes the pruned form"
        )
    table = records.pop(keys.TOKEN_TABLE, None)
    tensors = {name: record.tensor for name, record in records.items() if not name.startswith(keys.FROZEN)}
    row = tensors.get(keys.RET_ROW)
    if row is not None and row.ndim == 1:
        tensors[keys.RET_ROW] = row[None]
    _check_pruned(tensors, where=path, seen=records)
    if table is not None:
        index = ret_index if ret_index is not None else _index_beside(Path(path))
        _compare_row(table.tensor, tensors[keys.RET_ROW][0], index=index, where=path)
    return {name: tensors[name].clone() for name in _shapes(tensors)}


def read_full_checkpoint(path: Path | str, *, ret_index: int | None = None) -> FullCheckpoint:
    """A training checkpoint's trained tensors, without reading what is frozen.

    [RET] is row `ret_index` of the token table; by default what a `model_args.json` beside the file says, else the last
    row, where the original's training has it. Raises CheckpointError as `read_pruned` does.
    """
    archive = TorchArchive(path)
    trained = _trained(archive, ret_index=ret_index)
    value = archive.value
    return FullCheckpoint(
        weights={name: tensor.clone() for name, (_, tensor) in trained.items()},
        epoch=value.get("epoch"),
        best_score=_plain(value.get("best_score")),
        optimizer=value.get("optimizer"),
        scheduler=value.get("scheduler"),
    )


def save_pruned(weights: Mapping[str, Tensor], path: Path | str) -> None:
    """Tensors by the original's names -> a file as its `load_fromage` reads it, written whole or not at all."""
    with replacing(path) as scratch:
        torch.save({"state_dict": {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}}, scratch)


def prune(full: Path | str, out: Path | str, *, ret_index: int | None = None) -> None:
    """Keep of a training checkpoint what was trained, in its dtype: the pruned form. Raises CheckpointError."""
    save_pruned(read_full_checkpoint(full, ret_index=ret_index).weights, out)


def unprune(pruned: Path | str, full: Path | str, out: Path | str, *, ret_index: int | None = None) -> None:
    """Lay pruned weights over a training checkpoint, so that the original's training resumes from them.

    `out` is `full` byte for byte, but for the tensors that are laid over, cast to the target's dtype: the maps, the
    temperature, and [RET]'s row in the token table, the LM's own table and the tied head. Optimizer and scheduler are
    not touched. `ret_index` as in `read_full_checkpoint`. Raises CheckpointError, with nothing written.
    """
    index = ret_index if ret_index is not None else _index_beside(Path(full))
    weights = read_pruned(pruned, ret_index=ret_index)
    target = _trained(TorchArchive(full), ret_index=index)
    keys.check_keys(
        {name: tuple(tensor.shape) for name, tensor in weights.items()},
        {name: tuple(tensor.shape) for name, (_, tensor) in target.items()},
        where=f"{pruned}, laid over {full},",
        seen=weights,
    )
    with replacing(out) as scratch:
        shutil.copyfile(full, scratch)
        _lay_over(TorchArchive(scratch, writable=True), weights, ret_index=index)


def _lay_over(archive: TorchArchive, weights: Mapping[str, Tensor], *, ret_index: int | None) -> None:
    trained = _trained(archive, ret_index=ret_index)
    for name, (record, _) in trained.items():
        if name != keys.RET_ROW:
            archive.patch(record, ..., weights[name])
    table = trained[keys.RET_ROW][0]
    row = _row_of(table.tensor, ret_index, where=archive.path)
    for record in [table, *_lm_tables(archive, table)]:
        archive.patch(record, row, weights[keys.RET_ROW][0])
    archive.seal()


def _state(archive: TorchArchive) -> dict[str, TensorRecord]:
    """The state dict of a file, whatever it is wrapped in, without DataParallel's prefix."""
    value = archive.value
    for wrapper in ("state_dict", "model"):
        if isinstance(value, dict) and isinstance(value.get(wrapper), dict):
            value = value[wrapper]
            break
    records = {key: item for key, item in value.items() if isinstance(key, str)} if isinstance(value, dict) else {}
    tensors = {key: item for key, item in records.items() if isinstance(item, TensorRecord)}
    if not tensors:
        raise CheckpointError(f"{archive.path} holds no state dict; expected a checkpoint with `state_dict`")
    return {key.removeprefix(keys.PARALLEL): item for key, item in tensors.items()}


def _has_frozen(names: Mapping[str, Any]) -> bool:
    return any(name.startswith(keys.FROZEN) for name in names)


def _trained(archive: TorchArchive, *, ret_index: int | None) -> dict[str, tuple[TensorRecord, Tensor]]:
    """Each pruned key -> the record that holds it, and its value there."""
    where = archive.path
    records = _state(archive)
    frozen = _has_frozen(records)
    kept = {name: record for name, record in records.items() if not name.startswith(keys.FROZEN)}
    kept.pop(keys.RET_ROW, None)
    table = kept.pop(keys.TOKEN_TABLE, None)
    found = {name: (record, record.tensor) for name, record in kept.items()}
    if table is not None and table.tensor.ndim == 2:
        index = ret_index if ret_index is not None else _index_beside(archive.path)
        row = _row_of(table.tensor, index, where=where)
        found[keys.RET_ROW] = (table, table.tensor[row : row + 1])
    if table is None or not frozen:
        lacks = keys.TOKEN_TABLE if table is None else "the frozen LM and encoder"
        raise CheckpointError(
            f"{where} looks like {keys.looks_like(records)}; expected a FROMAGe full training checkpoint, with {lacks}"
        )
    tensors = {name: tensor for name, (_, tensor) in found.items()}
    _check_pruned(tensors, where=where, seen=records)
    return {name: found[name] for name in _shapes(tensors)}


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Every key of the pruned form with the shape that the file's own widths ask for; 0 for a width not to be seen."""

    def size(name: str, dimension: int) -> int:
        tensor = tensors.get(name)
        return tensor.shape[dimension] if tensor is not None and tensor.ndim == 2 else 0

    lm_width, feature_width = size(keys.RET_ROW, 1), size(f"{keys.IMAGE}.weight", 1)
    maps = range(keys.text_maps(tensors))
    return keys.pruned_shapes(
        lm_width=lm_width,
        feature_width=feature_width,
        out_width=size(f"{keys.IMAGE}.weight", 0),
        visual_tokens=max(1, size(f"{keys.PREFIX}.weight", 0) // max(lm_width, 1)),
        text_widths=[size(f"{keys.text_map(layer)}.weight", 1) for layer in maps],
    )


def _check_pruned(tensors: Mapping[str, Tensor], *, where: Path | str, seen: Mapping[str, Any]) -> None:
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    keys.check_keys(found, _shapes(tensors), where=str(where), seen=seen)


def _compare_row(table: Tensor, row: Tensor, *, index: int | None, where: Path | str) -> None:
    place = _row_of(table, None if table.shape[0] == 1 else index, where=where)
    if table.shape[-1:] != row.shape or not torch.equal(table[place].to(row.dtype), row):
        raise CheckpointError(
            f"{where}: row {place} of {keys.TOKEN_TABLE} is not {keys.RET_ROW}; these weights are of two models"
        )


def _row_of(table: Tensor, index: int | None, *, where: Path | str) -> int:
    if table.ndim != 2:
        raise CheckpointError(f"{where}: {keys.TOKEN_TABLE} is {tuple(table.shape)}, expected (V, D)")
    row = len(table) - 1 if index is None else index
    if not 0 <= row < len(table):
        raise CheckpointError(f"{where}: [RET] should be row {row} of {keys.TOKEN_TABLE}, which has {len(table)} rows")
    return row


def _index_beside(path: Path) -> int | None:
    """What the `model_args.json` in a checkpoint's folder says of [RET], as the original's prune script asks it."""
    try:
        index = read_json(path.parent / MODEL_ARGS).get("retrieval_token_idx")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path.parent / MODEL_ARGS} can't be read: {error}") from error
    return index if isinstance(index, int) else None


def _lm_tables(archive: TorchArchive, table: TensorRecord) -> list[TensorRecord]:
    """The LM's own token table and head, where they have the token table's shape."""
    shape = table.tensor.shape
    return [
        record
        for name, record in _state(archive).items()
        if name.startswith(keys.FROZEN[0]) and name.endswith(_LM_TABLES) and record.tensor.shape == shape
    ]


def _plain(value: Any) -> Any:
    """`best_score` is a number, or a tensor of one."""
    return value.tensor.item() if isinstance(value, TensorRecord) and value.tensor.numel() == 1 else value
