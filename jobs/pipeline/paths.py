"""Options of a pipeline.yaml that name files -> what names the same files from any working directory. Runs nothing.

A path in the file is relative to it. Where an option may also hold a name or a hub id, that stays what it is if it is
known; anything else is a path if it begins with a dot, or if something lies there.
"""

import os
from pathlib import Path
from typing import Any

from fromage_model.captioning.names import LLAMA_ADAPTER, adapter_places
from fromage_model.catalogue.feeds.datasets.named import split_source
from fromage_model.storage.artefacts import SHIPPED_BUNDLES, Kind, is_uri, place
from jobs.ingest.sources import NAMED

# Options that hold a path, or the source of a name.
PATHS = {"ingest": ("source", "folder"), "finetune": ("glosses",)}
# Options that hold a path or something else, and the kind of artefact that they may hold the name of.
PATHS_OR_NAMES: dict[str, dict[str, Kind | None]] = {
    "caption": {"captioner": "bundle", "gate_bundle": "bundle"},
    "embed": {"encoder": None},
    "finetune": {
        "start_from": "bundle",
        "language_model": None,
        "further_catalogues": "catalogue",
        "further_features": "features",
    },
}


def from_anywhere(section: str, options: dict[str, Any], config: Path) -> dict[str, Any]:
    """The options of a section of the file `config`, checked already, with whole paths."""
    given = {key: options.get(key) for key in PATHS.get(section, ())}
    paths: dict[str, Any] = {key: _source(value, config) for key, value in given.items() if value not in (None, *NAMED)}
    for key, kind in PATHS_OR_NAMES.get(section, {}).items():
        value = options.get(key)
        if isinstance(value, str):
            paths[key] = path_or_name(value, config, kind=kind)
        elif value is not None:
            paths[key] = tuple(path_or_name(one, config, kind=kind) for one in value)
    return options | paths


def path_or_name(value: str, config: Path, *, kind: Kind | None) -> str:
    """One value, and of a LLaMA-Adapter each of its three places."""
    if value.startswith(LLAMA_ADAPTER):
        llama_dir, checkpoint, clip = adapter_places(value)
        places = (beside(llama_dir, config), beside(checkpoint, config), path_or_name(clip, config, kind=None))
        return LLAMA_ADAPTER + ",".join(places)
    if _is_known(value, kind):
        return value
    there = beside(value, config)
    return there if value.startswith(".") or Path(there).exists() else value


def _source(value: str, config: Path) -> str:
    """A path, or a data set's name and one, as `vqav2:FOLDER`."""
    dataset = split_source(value)
    return beside(value, config) if dataset is None else f"{dataset[0].name}:{beside(dataset[1], config)}"


def is_path(value: str) -> bool:
    """Whether a text can be no name."""
    return os.sep in value or value.startswith(("~", "."))


def beside(value: str, config: Path) -> str:
    """A URI, or a path relative to the file `config`."""
    return value if is_uri(value) else str((config.resolve().parent / Path(value).expanduser()).resolve())


def _is_known(value: str, kind: Kind | None) -> bool:
    if kind is None or is_path(value):
        return False
    return place(kind, value).is_dir() or (kind == "bundle" and (SHIPPED_BUNDLES / value).is_dir())
