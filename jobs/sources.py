"""What `jobs.ingest` can read: OpenMoji and Open Clip Art by name, a folder of pictures, or a TSV. Knows no Ray."""

import logging
from pathlib import Path

from fromage_model.catalogue import openclipart, openmoji
from fromage_model.catalogue.feeds import Feed, read_folder, read_tsv
from fromage_model.errors import CatalogueError, ConfigError

log = logging.getLogger(__name__)

OPENMOJI = "openmoji"
OPENCLIPART = "openclipart"
NAMED = (OPENMOJI, OPENCLIPART)


def read_source(source: str, folder: str | None = None) -> Feed:
    """The feed; `folder` is where Open Clip Art lies, if not where Debian puts it.

    Raises ConfigError, CatalogueError or MissingArtefact.
    """
    _check_folder(source, folder)
    if source == OPENMOJI:
        log.info("fetching %s with npm, unless it is there", openmoji.PACKAGE)
        return openmoji.read_openmoji()
    if source == OPENCLIPART:
        return openclipart.read_openclipart(_clipart_folder(folder))
    path = Path(source).expanduser()
    if path.is_dir():
        return read_folder(path)
    if path.is_file():
        return read_tsv(path)
    raise CatalogueError(
        f"source {source!r}: expected openmoji, openclipart, a folder, or a tab-separated file; there is none there"
    )


def source_sha256(source: str, folder: str | None = None) -> str:
    """The hash that `read_source` would give its feed, as cheaply as it can be had. Raises as that does."""
    _check_folder(source, folder)
    if source == OPENMOJI:
        # Known by its archive: the archive itself need not be there any more.
        return openmoji.ARCHIVE_SHA256
    if source == OPENCLIPART:
        return openclipart.source_sha256(_clipart_folder(folder))
    return read_source(source).sha256


def default_name(source: str) -> str:
    """The catalogue's name where none is given. Raises CatalogueError where the source has no name."""
    name = source if source in NAMED else Path(source).expanduser().resolve().stem
    if not name:
        raise CatalogueError(f"source {source!r} has no name that a catalogue could have; name one with --out")
    return name


def refuse_inside(catalogue: Path, source: str) -> None:
    """Raises CatalogueError where the catalogue would become part of its own source."""
    if source not in NAMED and catalogue.resolve().is_relative_to(Path(source).expanduser().resolve()):
        raise CatalogueError(f"the catalogue {catalogue} would lie inside its source {source}; choose another --out")


def _check_folder(source: str, folder: str | None) -> None:
    if folder is not None and source != OPENCLIPART:
        raise ConfigError(
            f"folder goes with --source {OPENCLIPART} alone; to read a folder of pictures: --source {folder}"
        )


def _clipart_folder(folder: str | None) -> Path:
    return openclipart.FOLDER if folder is None else Path(folder).expanduser()
