"""Formats of the original FROMAGe, in and out: checkpoints and catalogue embeddings.

Files from outside are read without running anything that stands in them.
"""

from fromage_model.interop.checkpoints import FullCheckpoint, prune, read_full_checkpoint, read_pruned, unprune
from fromage_model.interop.embeddings import Embeddings, read_embeddings, write_embeddings

__all__ = [
    "Embeddings",
    "FullCheckpoint",
    "prune",
    "read_embeddings",
    "read_full_checkpoint",
    "read_pruned",
    "unprune",
    "write_embeddings",
]
