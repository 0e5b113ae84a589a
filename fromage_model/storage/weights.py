"""Tensors of a safetensors file, read and laid over a module with every key checked. Knows models by their keys."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from fromage_model.errors import BundleError
from fromage_model.storage.file_kinds import SAFETENSORS, is_instead

Shape = tuple[int, ...]
SIGNS = {
    "ret.input_row": "a FROMAGe bundle",
    "visual_map.": "a saved FROZEN model",
    "ret_input_embeddings.weight": "a pruned FROMAGe release",
    "model.logit_scale": "FROMAGe in the original's format",
    "module.model.logit_scale": "a full training checkpoint of FROMAGe",
    "visual_query.weight": "LLaMA-Adapter V2",
    "vision_model.": "a CLIP",
    "model.layers.0.": "a language model of transformers",
}
"""Beginnings of keys that tell whose weights a file holds."""


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The file's tensors by key, on the CPU, in the dtypes that it holds. Raises BundleError where it can't be read."""
    with _readable(path):
        return load_file(path)


def read_shapes(path: Path) -> dict[str, Shape]:
    """The shapes of the file's tensors by key, from its header alone. Raises as `read_tensors`."""
    with _readable(path), safe_open(path, framework="pt") as file:
        return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118, it is no dict


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, Shape]:
    return {key: tuple(tensor.shape) for key, tensor in tensors.items()}


def lay_over(module: nn.Module, tensors: dict[str, Tensor], *, source: Path | str) -> None:
    """Load `tensors` into `module`; every key must be there, none over, each of its shape.

    Raises BundleError, which names `source`, lists all that is wrong and says what the file looks like, where its keys
    tell; `module` is then as it was.
    """
    check_shapes(shapes_of(module.state_dict()), shapes_of(tensors), source=source)
    module.load_state_dict(tensors)


def check_shapes(wanted: Mapping[str, Shape], found: Mapping[str, Shape], *, source: Path | str) -> None:
    """Raises BundleError as `lay_over` where those of the tensors `found` are not the `wanted` ones."""
    problems = [f"missing {key}" for key in sorted(wanted.keys() - found.keys())]
    problems += [f"unexpected {key}" for key in sorted(found.keys() - wanted.keys())]
    shared = sorted(wanted.keys() & found.keys())
    problems += [f"{key} is {found[key]}, expected {wanted[key]}" for key in shared if wanted[key] != found[key]]
    if problems:
        raise BundleError(f"{source} does not fit its config: {'; '.join(problems)}{_looks_like(found)}")


def _looks_like(keys: Iterable[str]) -> str:
    found = [name for sign, name in SIGNS.items() if any(key.startswith(sign) for key in keys)]
    return f"; the file looks like {found[0]}" if found else ""


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, SafetensorError) as error:
        instead = is_instead(path, expected="safetensors", other_than=(SAFETENSORS,))
        raise BundleError(instead or f"{path} can't be read: {error}") from error
