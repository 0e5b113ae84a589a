"""What `jobs.index` can be told. Knows nothing of how an index is made."""

from dataclasses import dataclass
from typing import Literal

from fromage_model.errors import ConfigError
from jobs.common.embeddings.items import VectorKind
from jobs.common.options import check_options


@dataclass(frozen=True)
class IndexArgs:
    """Make a retrieval index, or bring one up to date."""

    catalogue: str = "wardrobe"
    """Catalogue to index: a name, a folder, or a URI."""
    bundle: str = "default"
    """Bundle whose maps make the embeddings: a name, a folder, or a URI."""
    features: str | None = None
    """Features of the catalogue's pictures: a name, a folder, or a URI. Without it, those named like the catalogue."""
    out: str | None = None
    """Name, folder or fsspec URI of the index. Without it, the catalogue's name."""
    vectors: VectorKind = "both"
    """What an item is found by; one without a caption always by its picture."""
    picture_share: float = 0.25
    """What the picture counts in both, from 0 to 1; the caption counts the rest."""
    words: int = 4
    """Most tags and keywords of an item that are read with its caption; 0 reads the caption alone."""
    hybrid: str | None = None
    """Also embed names, descriptions and attributes, by this sentence encoder: all-minilm-l6-v2, or a folder."""
    kind: Literal["auto", "exact", "hnsw", "ivfpq"] = "auto"
    """How the index is searched; auto goes by the number of items, the width of vectors, and --memory-gib."""
    memory_gib: float = 0.0
    """GiB that faiss's graph or lists may take where the index is served; 0 for half of this machine's memory."""
    dtype: Literal["float32", "float16"] = "float32"
    """How vectors are stored; float16 takes half the disk, and rounds scores at the fourth digit."""
    compact: bool = False
    """Make the index anew without its tombstones, even where it is up to date; nothing is embedded for it."""
    compact_above: float = 0.2
    """Share of tombstones, from 0 to 1, above which an index that is brought up to date is compacted."""
    shard_rows: int = 256
    """Items whose texts are kept at once when read: what a kill can cost each worker."""
    workers: int = 1
    """Most Ray Data actors that read captions; there is one at first, and more while captions wait."""
    threads: int = 0
    """Torch threads of each actor on a CPU; 0 shares the machine's CPUs among them."""
    cpus_per_worker: float = 1.0
    """CPUs that each actor reserves."""
    num_gpus: float = 0.0
    """GPUs, or share of one, that each actor reserves; above 0 the LM runs on CUDA."""
    max_failed: float = 0.01
    """Largest share of items that may fail; with more the job ends with exit code 1, and what succeeded is indexed."""
    retry_failed: bool = False
    """Read captions again that could not be read before."""
    force: bool = False
    """Embed and index every item again, whatever is there."""

    def __post_init__(self):
        if not 0 <= self.picture_share <= 1:
            raise ConfigError(f"picture_share is {self.picture_share}; expected 0 to 1, for example 0.25")
        if self.words < 0:
            raise ConfigError(f"words is {self.words}; expected 0 or more, for example 4")
        if self.memory_gib < 0:
            raise ConfigError(f"memory_gib is {self.memory_gib}; expected 0 or more, for example 4")
        if not 0 <= self.compact_above <= 1:
            raise ConfigError(f"compact_above is {self.compact_above}; expected a share from 0 to 1, for example 0.2")
        check_options(
            self,
            positive=("shard_rows", "workers"),
            not_negative=("threads", "cpus_per_worker", "num_gpus"),
            shares=("max_failed",),
        )
