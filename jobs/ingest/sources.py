"""What `jobs.ingest` can read: catalogues that it knows by name, a folder of pictures, or files that list them.

Paths are local or fsspec URIs. Knows no Ray.
"""

import hashlib
import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from fromage_model.catalogue.feeds import openclipart, openmoji
from fromage_model.catalogue.feeds.arrow import TABLE_SUFFIXES, read_tables
from fromage_model.catalogue.feeds.columns import OWN_NAMES
from fromage_model.catalogue.feeds.datasets.named import FORMS, split_source
from fromage_model.catalogue.feeds.delimited import read_delimited
from fromage_model.catalogue.feeds.feed import Feed, row_from
from fromage_model.catalogue.feeds.folders import claims_to_be_picture, is_picture, read_folder
from fromage_model.catalogue.wardrobe import feed as wardrobe
from fromage_model.errors import CatalogueError, ConfigError
from fromage_model.storage.artefacts import is_uri
from fromage_model.storage.files import (
    WEB_SCHEMES,
    explained,
    filesystem,
    is_local,
    local_path,
    scheme_of,
    stamp,
    stem_of,
    type_of,
)

log = logging.getLogger(__name__)

OPENMOJI = "openmoji"
OPENCLIPART = "openclipart"
WARDROBE = wardrobe.SOURCE
NAMED = (OPENMOJI, OPENCLIPART, WARDROBE)
EMBEDDINGS_SUFFIXES = (".pkl", ".pickle")
EXPECTED = (
    f"expected wardrobe, openmoji, openclipart, {FORMS}, a folder of pictures, TSV, CSV, parquet, arrow, or "
    "embeddings .pkl"
)


def read_source(
    source: str,
    folder: str | None = None,
    *,
    encoding: str = "utf-8",
    columns: Mapping[str, str] = OWN_NAMES,
    items: int = wardrobe.ITEMS,
    seed: int = wardrobe.SEED,
) -> Feed:
    """The feed; `folder` is where Open Clip Art lies, if not where Debian puts it; `encoding` is that of a TSV or CSV.

    `columns` says what a table calls our columns, where it has other names for them; `items` and `seed` are those of
    the wardrobe.
    Raises ConfigError, CatalogueError, CheckpointError or MissingArtefact.
    """
    _check_folder(source, folder)
    dataset = split_source(source)
    if columns and (dataset or source in NAMED):
        raise ConfigError(f"columns is for a source with columns of its own; {source} has none that could be named")
    if dataset is not None:
        log.info("reading the official files of %s", source)
        return dataset[0].read(dataset[1])
    if source == OPENMOJI:
        log.info("fetching %s with npm, unless it is there", openmoji.PACKAGE)
        return openmoji.read_openmoji()
    if source == OPENCLIPART:
        return openclipart.read_openclipart(_clipart_folder(folder))
    if source == WARDROBE:
        log.info("drawing %d garments", items)
        return wardrobe.read_wardrobe(items=items, seed=seed)
    if (inside := _folder(source)) is not None:
        if inside:
            return _with_pictures(read_tables(inside, columns=columns))
        if columns:
            raise ConfigError(f"columns is for TSV, CSV, parquet and arrow; {source} is a folder of pictures")
        return read_folder(source if is_uri(source) else Path(source).expanduser())
    return _with_pictures(_read_files(source, encoding, columns))


def _read_files(source: str, encoding: str, columns: Mapping[str, str]) -> Feed:
    files = _files(source)
    if all(file.lower().endswith(EMBEDDINGS_SUFFIXES) for file in files):
        if columns:
            raise ConfigError(f"columns is for TSV, CSV, parquet and arrow; {source} holds embeddings")
        return _read_embeddings(files)
    if all(file.lower().endswith(TABLE_SUFFIXES) for file in files):
        return read_tables(files, columns=columns)
    if len(files) > 1:
        raise CatalogueError(f"source {source!r}: several files are read only where all are parquet, arrow or .pkl")
    return read_delimited(files[0], encoding=encoding, columns=columns)


def source_sha256(
    source: str,
    folder: str | None = None,
    *,
    encoding: str = "utf-8",
    columns: Mapping[str, str] = OWN_NAMES,
    items: int = wardrobe.ITEMS,
    seed: int = wardrobe.SEED,
) -> str:
    """The hash that `read_source` would give its feed, as cheaply as it can be had. Raises as that does."""
    _check_folder(source, folder)
    if source == OPENMOJI:
        # Known by its archive: the archive itself need not be there any more.
        return openmoji.ARCHIVE_SHA256
    if source == OPENCLIPART:
        return openclipart.source_sha256(_clipart_folder(folder))
    if source == WARDROBE:
        return wardrobe.source_sha256(items=items, seed=seed)
    if (dataset := split_source(source)) is not None:
        return dataset[0].sha256(dataset[1])
    return read_source(source, encoding=encoding, columns=columns).sha256


def default_name(source: str) -> str:
    """The catalogue's name where none is given. Raises CatalogueError where the source has no name."""
    dataset = split_source(source)
    name = dataset[0].name if dataset else source if source in NAMED else stem_of(source)
    if not name or "*" in name:
        raise CatalogueError(f"source {source!r} has no name that a catalogue could have; name one with --out")
    return name


def refuse_inside(catalogue: Path | str, source: str, folder: str | None = None) -> None:
    """Raises CatalogueError where one of the catalogue and its own source would lie inside the other.

    The catalogue in the source would be read with it the next time; the source in the catalogue would be removed.
    """
    dataset = split_source(source)
    place = dataset[1] if dataset else str(_clipart_folder(folder)) if source == OPENCLIPART else source
    if source in (OPENMOJI, WARDROBE) or isinstance(catalogue, str) or not is_local(place):
        return
    here, there = catalogue.resolve(), Path(filesystem(place)[1]).resolve()
    if here.is_relative_to(there):
        raise CatalogueError(f"the catalogue {catalogue} would lie inside its source {place}; choose another --out")
    if there.is_relative_to(here):
        raise CatalogueError(
            f"the source {place} lies inside the catalogue {catalogue}, which ingest replaces as a whole; move the "
            "source, or choose another --out"
        )


def _folder(source: str) -> list[str] | None:
    """None where `source` is no folder; the tables in it where it holds tables and no pictures, else nothing."""
    if scheme_of(source) in WEB_SCHEMES:
        return None
    if type_of(source) != "directory":
        return None
    files, path = filesystem(source)
    with explained(source):
        inside = [name for name in sorted(files.ls(path, detail=False)) if not Path(name).name.startswith((".", "_"))]
    places = [files.unstrip_protocol(name) if is_uri(source) else name for name in inside]
    tables = [place for place in places if place.lower().endswith(TABLE_SUFFIXES)]
    return [] if tables and _holds_pictures(set(places).difference(tables)) else tables


def _holds_pictures(places: set[str]) -> bool:
    """Whether one of several files or folders is a picture. Raises CatalogueError."""
    if any(map(claims_to_be_picture, places)):
        return True
    return any(is_picture(place) for place in places if type_of(place) == "file")


def _files(source: str) -> list[str]:
    """The file, or the files of a pattern with `*`, in the order of their names."""
    files, path = filesystem(source)
    with explained(source):
        found = sorted(files.glob(path)) if "*" in source else [path] * (type_of(source) == "file")
    if not found:
        raise CatalogueError(f"source {source!r}: {EXPECTED}; there is none there")
    if "*" not in source:
        return [source if is_uri(source) else path]
    return [files.unstrip_protocol(name) if is_uri(source) else name for name in found]


def _with_pictures(feed: Feed) -> Feed:
    """The feed with a hash that changes also when a local picture does that it names, by size and time of change."""
    named = (row.image for row in feed.rows if row.problem is None and not row.brings_picture and is_local(row.image))
    stamps = [f"{image}\0{_local_stamp(image)}" for image in named]
    if not stamps:
        return feed
    return replace(feed, sha256=hashlib.sha256("\n".join([feed.sha256, *stamps]).encode()).hexdigest())


def _local_stamp(image: str) -> str:
    try:
        found = os.stat(local_path(image))
    except (OSError, ValueError, CatalogueError):
        return ""
    return f"{found.st_size} {found.st_mtime_ns}"


def _read_embeddings(files: list[str]) -> Feed:
    """Paths and item URLs of the original's embeddings; the vectors are `jobs.export`'s business."""
    from fromage_model.interop.embeddings import read_embeddings

    if any(map(is_uri, files)):
        raise CatalogueError(f"{files[0]}: embeddings are read from local files; copy it here first")
    found = read_embeddings(files)
    urls = found.item_urls or [None] * len(found.paths)
    rows = [
        row_from(number, {"image": path, "item_url": url}, base=files[0])
        for number, (path, url) in enumerate(zip(found.paths, urls, strict=True), start=1)
    ]
    stamps = "\n".join(f"{file}\0{stamp(file)}" for file in files)
    return Feed(source=stem_of(files[0]), rows=rows, sha256=hashlib.sha256(stamps.encode()).hexdigest())


def _check_folder(source: str, folder: str | None) -> None:
    if folder is not None and source != OPENCLIPART:
        raise ConfigError(
            f"folder goes with --source {OPENCLIPART} alone; to read a folder of pictures: --source {folder}"
        )


def _clipart_folder(folder: str | None) -> Path:
    return openclipart.FOLDER if folder is None else Path(folder).expanduser()
