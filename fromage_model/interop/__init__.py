"""The original FROMAGe: its formats, from configs to a whole model's folder, in and out, and its inference.

Out only: catalogues as a TSV, as plain parquet, and as a Hugging Face dataset.

Files from outside are read without running anything that stands in them.
"""

from fromage_model.interop.catalogues import write_dataset, write_parquet, write_tsv
from fromage_model.interop.checkpoints import FullCheckpoint, prune, read_full_checkpoint, read_pruned, unprune
from fromage_model.interop.embeddings import Embeddings, read_embeddings, write_embeddings
from fromage_model.interop.generation import generate_for_images_and_texts
from fromage_model.interop.model_args import ModelArgs
from fromage_model.interop.original import load_original, read_model_args, write_model_args, write_pruned
from fromage_model.prompts.original import RET

__all__ = [
    "RET",
    "Embeddings",
    "FullCheckpoint",
    "ModelArgs",
    "generate_for_images_and_texts",
    "load_original",
    "prune",
    "read_embeddings",
    "read_full_checkpoint",
    "read_model_args",
    "read_pruned",
    "unprune",
    "write_dataset",
    "write_embeddings",
    "write_model_args",
    "write_parquet",
    "write_pruned",
    "write_tsv",
]
