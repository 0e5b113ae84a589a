"""Checkpoint files of the originals: read without running code, recognised, and held against the keys they must have.

Knows keys and shapes, not what they compute.
"""

import pickle
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fromage_model.errors import CheckpointError, MissingArtefact
from fromage_model.llama_adapter.visual import QUERIES
from fromage_model.storage.file_kinds import PICKLE, ZIP, is_instead

_LAYER = re.compile(r"(?<=layers\.)\d+(?=\.)|(?<=visual_blocks\.)\d+(?=\.)")
_LIKENESS = (
    (r"(tok_embeddings\.weight|layers\.\d+\.attention\.wq\.weight)$", "Meta's LLaMA weights (consolidated.00.pth)"),
    (r"model\.layers\.\d+\.self_attn\.", "a LLaMA of transformers"),
    (r"base_model\.model\.", "a LoRA adapter of peft"),
    (
        r"llama\.layers\.\d+\.attention\.wk\.weight$",
        "a full training checkpoint of LLaMA-Adapter V2, frozen weights too",
    ),
    (r"(image_bind|prefix_query|prefix_projector)", "an ImageBind-LLM checkpoint"),
    (r"llama\.layers\.\d+\.attention\.lora_wq_l1", "a LLaMA-Adapter V2 with biases and LoRA (LORA-BIAS-7B)"),
    (r"llama\.layers\.\d+\.attention\.wq\.bias", "a LLaMA-Adapter V2 with biases (BIAS-7B)"),
    (r"visual_query\.weight$", "a LLaMA-Adapter V2 without biases or LoRA"),
    (r"adapter_query\.weight$", "a LLaMA-Adapter for text alone (V1)"),
    (r"(module\.)?model\.(visual_embeddings|text_hidden_fcs)\.", "a FROMAGe checkpoint"),
    (r"(vision_model|visual)\.", "a CLIP"),
)


@dataclass(frozen=True)
class AdapterForm:
    """Which of the original's options a checkpoint was trained with, read off its keys and shapes.

    `layers`: how many of the LM's last layers attend to an adapter; `width`: of the visual side; `rank`: LoRA's, 0 for
    none; `biases` and `norms`: whether it brings its own.
    """

    layers: int
    width: int
    rank: int
    biases: bool
    norms: bool


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A `torch.save` file, mapped into memory, through the reader that runs no code.

    Raises MissingArtefact where there is no such file, CheckpointError where it can't be read that way.
    """
    if not path.is_file():
        raise MissingArtefact(f"{path} is no file; expected a checkpoint as torch.save writes it")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError) as error:
        if instead := is_instead(path, expected="a checkpoint as torch.save writes it", other_than=(ZIP, PICKLE)):
            raise CheckpointError(instead) from error
        reason = str(error).strip().partition("\n")[0]
        raise CheckpointError(
            f"{path} can't be read as plain tensors, and nothing else is read, since it could run code: {reason}"
        ) from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path} holds a {type(found).__name__}; expected a dictionary of tensors")
    return found


def read_adapter(path: Path) -> dict[str, Tensor]:
    """The tensors of an adapter's checkpoint by the original's names, with or without its outer `model`."""
    found = read_checkpoint(path)
    return tensors_of(found["model"] if isinstance(found.get("model"), dict) else found, source=path)


def tensors_of(values: Mapping[str, Any], *, source: Path) -> dict[str, Tensor]:
    """`values`, if all of them are tensors. Raises CheckpointError, which names those that are not."""
    others = sorted(str(key) for key, value in values.items() if not isinstance(value, Tensor))
    if others:
        raise CheckpointError(f"{source}: expected tensors alone, but these keys are none: {', '.join(others[:20])}")
    return dict(values)


def adapter_form(tensors: Mapping[str, Tensor], *, lm_layers: int) -> AdapterForm:
    """The options that a checkpoint's keys speak of; where a key is missing that would tell, the original's default."""
    ranks = [tensor.shape[0] for key, tensor in tensors.items() if re.search(r"\.lora_w\w_l1\.weight$", key)]
    queries = tensors.get("adapter_query.weight")
    width = tensors.get("visual_query.weight")
    return AdapterForm(
        layers=lm_layers - 1 if queries is None else min(lm_layers, max(1, len(queries) // QUERIES)),
        width=768 if width is None else width.shape[-1],
        rank=ranks[0] if ranks else 0,
        biases=any(re.search(r"^llama\.layers\..*\.bias$", key) for key in tensors),
        norms=any(re.search(r"^llama\.(layers\.\d+\.\w+_)?norm\.weight$", key) for key in tensors),
    )


def check_keys(
    found: Mapping[str, Tensor], wanted: Mapping[str, tuple[int, ...]], *, source: Path | str, model: str
) -> None:
    """Every key there, none over, each of its shape.

    Raises CheckpointError that lists what is not so (layers with the same fault together) and what the file looks like.
    """
    missing = sorted(wanted.keys() - found.keys())
    extra = sorted(found.keys() - wanted.keys())
    shapes = {key: tuple(found[key].shape) for key in wanted.keys() & found.keys()}
    wrong = sorted(key for key, shape in shapes.items() if shape != wanted[key])
    if not (missing or extra or wrong):
        return
    problems = [f"missing {key}" for key in grouped(missing)]
    problems += [f"unexpected {key}" for key in grouped(extra)]
    problems += grouped(f"{key} is {shapes[key]}, expected {wanted[key]}" for key in wrong)
    raise CheckpointError(f"{source} is no {model} (it looks like {likeness(found)}): {'; '.join(problems)}")


def grouped(keys: Iterable[str]) -> list[str]:
    """Keys, or lines that begin with one; those alike but for their layer as one: `layers.{0,1}.ffn_norm.weight`."""
    layers: dict[str, list[str]] = {}
    for key in keys:
        layers.setdefault(_LAYER.sub("*", key, count=1), []).append(key)
    return [same[0] if len(same) == 1 else _joined(pattern, same) for pattern, same in layers.items()]


def likeness(keys: Iterable[str]) -> str:
    """What a file with these keys was made by, as far as they tell."""
    keys = list(keys)
    for pattern, name in _LIKENESS:
        if any(re.match(pattern, key) for key in keys):
            return name
    return "nothing that we know"


def _joined(pattern: str, keys: list[str]) -> str:
    numbers = sorted(int(match.group()) for key in keys if (match := _LAYER.search(key)))
    return pattern.replace("*", "{" + ",".join(map(str, numbers)) + "}")
