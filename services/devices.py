"""Where a replica computes."""

import torch


def pick_device(name: str) -> str:
    """`auto` is cuda where there is one, else the CPU; any other name is taken as it stands."""
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"
