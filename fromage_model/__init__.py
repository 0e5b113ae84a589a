"""The model library: FROMAGe over frozen LMs and vision encoders. Usable from a notebook; knows no Ray and no HTTP.

`from fromage_model import load_bundle` is the way in. It is looked up on first use, so that a module which needs no
torch can be imported without it.
"""

from typing import Any

__all__ = ["load_bundle"]


def __getattr__(name: str) -> Any:
    if name == "load_bundle":
        from fromage_model.bundle import load_bundle

        return load_bundle
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
