"""The forms in which artefacts are exported, each a subcommand of `jobs.export`. Knows no command line."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from fromage_model.catalogue import Catalogue
from fromage_model.errors import ConfigError
from fromage_model.interop.catalogues import README
from fromage_model.storage.artefacts import check_replaceable, place, writing

if TYPE_CHECKING:
    from fromage_model.index import RetrievalIndex

log = logging.getLogger(__name__)
MODEL_ARGS, WEIGHTS, EMBEDDINGS = "model_args.json", "pretrained_ckpt.pth.tar", "cc3m_embeddings.pkl"


@dataclass(frozen=True)
class Written:
    """Rows that there were, and those of them that could not be written."""

    rows: int
    failed: int = 0


@dataclass(frozen=True)
class _OfIndex(ABC):
    """A form of an index."""

    index: str
    """Index to export: a name, a folder, or a URI."""
    out: str
    """File or fsspec URI to write."""

    def write(self, out: Path) -> Written:
        from fromage_model.index import RetrievalIndex

        index = RetrievalIndex.load(self.index)
        self._write_index(index, out)
        return Written(len(index))

    @abstractmethod
    def _write_index(self, index: RetrievalIndex, out: Path) -> None:
        """Write all of it."""


@dataclass(frozen=True)
class _OfCatalogue(ABC):
    """A form of a catalogue, in which some items may be left out."""

    catalogue: str
    """Catalogue to export: a name, a folder, or a URI."""
    out: str
    """File, or folder for a dataset, or fsspec URI to write."""

    left_out_for: ClassVar[str]

    def write(self, out: Path) -> Written:
        catalogue = Catalogue.open(self.catalogue)
        left_out = self._write_catalogue(catalogue, out)
        if left_out:
            first = f"the first is {left_out[0]}"
            log.warning("%d of %d items have no %s, %s", len(left_out), len(catalogue), self.left_out_for, first)
        return Written(len(catalogue), failed=len(left_out))

    @abstractmethod
    def _write_catalogue(self, catalogue: Catalogue, out: Path) -> list[str]:
        """Write what can be written -> the ids of the items that are left out."""


@dataclass(frozen=True)
class Original:
    """A bundle, and an index where one is named -> model_args.json, pretrained_ckpt.pth.tar and cc3m_embeddings.pkl."""

    out: str
    """Folder or fsspec URI to write."""
    bundle: str = "default"
    """Bundle to export: a name, a folder, or a URI. Its [RET] must have one row for both ends."""
    index: str | None = None
    """Index whose vectors become the catalogue embeddings."""

    def write(self, out: Path) -> Written:
        from fromage_model.bundle import load_bundle
        from fromage_model.interop import write_embeddings, write_model_args, write_pruned

        model = load_bundle(self.bundle, index=self.index, device="cpu", vision=False)
        with writing(out, marker=MODEL_ARGS) as folder:
            write_model_args(model, folder / MODEL_ARGS)
            write_pruned(model, folder / WEIGHTS)
            if model.index is not None:
                write_embeddings(model.index, folder / EMBEDDINGS)
        if model.lm.backbone.config.model_type != "opt":
            log.warning("the original opens OPT only; %s is for others who read its form", model.config.language_model)
        return Written(0 if model.index is None else len(model.index))


@dataclass(frozen=True)
class Embeddings(_OfIndex):
    """An index -> the original's catalogue embeddings, by custom cc3m_embeddings.pkl: paths, links, float32 vectors."""

    def _write_index(self, index: RetrievalIndex, out: Path) -> None:
        from fromage_model.interop import write_embeddings

        write_embeddings(index, out)


@dataclass(frozen=True)
class Bundle:
    """The original's folder -> a bundle, and an index of its embeddings where it has any."""

    source: Path
    """Folder with model_args.json, pretrained_ckpt.pth.tar and, if you like, cc3m_embeddings*.pkl."""
    out: str
    """Name or folder of the bundle; the index gets the same name."""
    index: str | None = None
    """Another name or folder for the index."""

    def write(self) -> Written:
        from fromage_model.bundle import save_bundle
        from fromage_model.header import HEADER
        from fromage_model.index import INFO_FILE, RetrievalIndex
        from fromage_model.interop import load_original
        from fromage_model.language.precision import default_dtype

        folder = place("bundle", self.out)
        index_folder = place("index", self.index or self.out)
        check_replaceable(folder, marker=HEADER)
        if index_folder.resolve() == folder.resolve():
            raise ConfigError(f"--out {self.out} is a folder for the bundle; name one for the index with --index")
        check_replaceable(index_folder, marker=INFO_FILE)
        model = load_original(self.source, device="cpu", dtype=default_dtype("cpu"))
        assert model.encoder is not None  # load_original always brings it
        fingerprint = save_bundle(
            model,
            folder,
            feature_width=model.encoder.feature_width,
            encoder_fingerprint=model.encoder.fingerprint,
            lineage=model.lineage | {"source": str(self.source)},
        )
        found = model.index
        if found is None:
            return Written(0)
        index = RetrievalIndex.build(
            found.vectors,
            found.items,
            fingerprint=fingerprint,
            catalogue=found.info.catalogue,
            created_by="jobs.export",
        )
        log.info("%d items indexed in %s", len(index), index.save(index_folder))
        return Written(len(index))


@dataclass(frozen=True)
class Prune:
    """The original's training checkpoint -> pretrained_ckpt.pth.tar, with what was trained and nothing else."""

    full: Path
    """Training checkpoint, ckpt.pth.tar; a model_args.json beside it says which row is [RET]."""
    out: str
    """File or fsspec URI to write."""

    def write(self, out: Path) -> Written:
        from fromage_model.interop import prune

        prune(self.full, out)
        return Written(0)


@dataclass(frozen=True)
class Unprune:
    """Pruned weights, laid over a training checkpoint; its optimizer and scheduler are not touched."""

    pruned: Path
    """Weights to lay over, pretrained_ckpt.pth.tar."""
    full: Path
    """Training checkpoint that they are laid over; it is copied, not changed."""
    out: str
    """File or fsspec URI to write."""

    def write(self, out: Path) -> Written:
        from fromage_model.interop import unprune

        unprune(self.pruned, self.full, out)
        return Written(0)


@dataclass(frozen=True)
class Tsv(_OfCatalogue):
    """A catalogue -> a TSV with the columns caption and image; items without a caption are left out, and counted."""

    left_out_for = "caption"

    def _write_catalogue(self, catalogue: Catalogue, out: Path) -> list[str]:
        from fromage_model.interop import write_tsv

        return write_tsv(catalogue, out)


@dataclass(frozen=True)
class Parquet(_OfIndex):
    """An index -> one parquet file of items and vectors, which any reader of parquet opens."""

    def _write_index(self, index: RetrievalIndex, out: Path) -> None:
        from fromage_model.interop import write_parquet

        write_parquet(index, out)


@dataclass(frozen=True)
class Dataset(_OfCatalogue):
    """A catalogue -> a folder for `datasets.load_dataset`; items whose picture is gone are left out, and counted."""

    left_out_for = "picture any more"

    def _write_catalogue(self, catalogue: Catalogue, out: Path) -> list[str]:
        from fromage_model.interop import write_dataset

        return write_dataset(catalogue, out)


@dataclass(frozen=True)
class FrozenArrow:
    """A catalogue, or a data set's official files -> the .arrow files that the original FROZEN trains on."""

    data: str
    """Catalogue by name, folder or URI, or coco-karpathy:FOLDER or vqav2:FOLDER."""
    out: str
    """Local folder to write into; files of other data in it stay."""
    answers_at_least: int = 9
    """Questions that an answer must be the most given one of to be a label of VQAv2."""

    def write(self, out: Path) -> Written:
        from fromage_model.frozen import make_arrow

        made = make_arrow(self.data, out, answers_at_least=self.answers_at_least)
        for name, rows in made.rows.items():
            log.info("%s: %d rows", name, rows)
        return Written(made.examples, failed=made.left_out)


ExportArgs = Original | Embeddings | Bundle | Prune | Unprune | Tsv | Parquet | Dataset | FrozenArrow
# Of a form that is a folder, the file without which it is not whole.
LAST = {Original: MODEL_ARGS, Dataset: README}
