"""Artefacts of ours <-> files of the projects that we come from, one subcommand for each form. Needs no Ray.

    original    a bundle and an index -> a folder that the original FROMAGe opens
    embeddings  an index -> the original's catalogue embeddings, a .pkl
    bundle      the original's folder -> a bundle, and an index of its embeddings
    prune       the original's training checkpoint -> its pruned form
    unprune     pruned weights, laid over a training checkpoint, from which the original's training resumes
    tsv         a catalogue -> captions and images as Conceptual Captions has them
    parquet     an index -> items and vectors in one plain parquet file
    dataset     a catalogue -> a folder that Hugging Face's load_dataset opens, pictures inside

Each says more with --help. Files from outside are read without running anything that stands in them.

    python -m jobs.export original --bundle default --index openmoji --out exported
"""

import logging
import re
from dataclasses import dataclass, fields
from pathlib import Path

from fromage_model.catalogue import Catalogue
from fromage_model.errors import ConfigError
from fromage_model.interop.catalogues import README
from fromage_model.storage.artefacts import check_replaceable, place, writing
from jobs.common.durable.publish import placing
from jobs.common.report import Report, Stopwatch

log = logging.getLogger(__name__)
MODEL_ARGS, WEIGHTS, EMBEDDINGS = "model_args.json", "pretrained_ckpt.pth.tar", "cc3m_embeddings.pkl"


@dataclass(frozen=True)
class Written:
    """Rows that there were, and those of them that could not be written."""

    rows: int
    failed: int = 0


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
class Embeddings:
    """An index -> the original's catalogue embeddings: paths, item links, and float32 vectors."""

    index: str
    """Index to export: a name, a folder, or a URI."""
    out: str
    """File or fsspec URI to write, by custom cc3m_embeddings.pkl."""

    def write(self, out: Path) -> Written:
        from fromage_model.index import RetrievalIndex
        from fromage_model.interop import write_embeddings

        index = RetrievalIndex.load(self.index)
        write_embeddings(index, out)
        return Written(len(index))


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
        from fromage_model.bundle import HEADER, save_bundle
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
class Tsv:
    """A catalogue -> a TSV with the columns caption and image; items without a caption are left out, and counted."""

    catalogue: str
    """Catalogue to export: a name, a folder, or a URI."""
    out: str
    """File or fsspec URI to write."""

    def write(self, out: Path) -> Written:
        from fromage_model.interop import write_tsv

        catalogue = Catalogue.open(self.catalogue)
        without = write_tsv(catalogue, out)
        if without:
            log.warning("%d of %d items have no caption, the first is %s", len(without), len(catalogue), without[0])
        return Written(len(catalogue), failed=len(without))


@dataclass(frozen=True)
class Parquet:
    """An index -> one parquet file of items and vectors, which any reader of parquet opens."""

    index: str
    """Index to export: a name, a folder, or a URI."""
    out: str
    """File or fsspec URI to write."""

    def write(self, out: Path) -> Written:
        from fromage_model.index import RetrievalIndex
        from fromage_model.interop import write_parquet

        index = RetrievalIndex.load(self.index)
        write_parquet(index, out)
        return Written(len(index))


@dataclass(frozen=True)
class Dataset:
    """A catalogue -> a folder for `datasets.load_dataset`; items whose picture is gone are left out, and counted."""

    catalogue: str
    """Catalogue to export: a name, a folder, or a URI."""
    out: str
    """Folder or fsspec URI to write."""

    def write(self, out: Path) -> Written:
        from fromage_model.interop import write_dataset

        catalogue = Catalogue.open(self.catalogue)
        missing = write_dataset(catalogue, out)
        if missing:
            log.warning("%d of %d pictures are not there, the first of %s", len(missing), len(catalogue), missing[0])
        return Written(len(catalogue), failed=len(missing))


ExportArgs = Original | Embeddings | Bundle | Prune | Unprune | Tsv | Parquet | Dataset
# Of a form that is a folder, the file without which it is not whole.
LAST = {Original: MODEL_ARGS, Dataset: README}


def main(args: ExportArgs) -> Report:
    """Write one form. Raises FromageError for what the user can put right."""
    watch = Stopwatch()
    refuse_uris(args)
    if isinstance(args, Bundle):
        written, output = args.write(), str(place("bundle", args.out))
    else:
        with placing(args.out, last=LAST.get(type(args), "")) as out:
            written, output = args.write(out), args.out
    log.info("wrote %s", output)
    form = type(args).__name__.lower()
    return Report(
        "export",
        rows_in=written.rows,
        rows_out=written.rows - written.failed,
        rows_failed=written.failed,
        seconds=watch.seconds,
        output=output,
        failures=None,
        form=form,
    )


def refuse_uris(args: ExportArgs) -> None:
    """Raises ConfigError where a file of the original is named by a URI, of which a Path has kept one slash."""
    for field in fields(args):
        value = getattr(args, field.name)
        if isinstance(value, Path) and (found := re.match(r"([a-z][a-z0-9+.-]+):/", str(value))):
            raise ConfigError(
                f"--{field.name} {found[1]}://...: files of the original are read from a local folder; copy them here "
                "first. Bundles, indexes and catalogues may be URIs"
            )
