"""The model library: FROMAGe and FROZEN over frozen LMs and vision encoders. Usable from a notebook; no Ray, no HTTP.

`from fromage_model import load_bundle`, `load_captioner` and `FrozenModel` are the ways in. They are looked up on first
use, so that a module which needs no torch can be imported without it.
"""

from importlib import import_module
from typing import Any

_PLACES = {
    "FrozenModel": "fromage_model.frozen.model",
    "load_bundle": "fromage_model.bundle",
    "load_captioner": "fromage_model.captioning.captioner",
}
__all__ = ["FrozenModel", "load_bundle", "load_captioner"]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
