"""Open Clip Art as a feed: the public-domain pictures of Debian's packages, 8,121 of them, PNG beside SVG.

The PNG is the picture; title, description and subjects stand in the SVG of the same stem, which is drawn where there is
no PNG. Pictures of one name are one group. Knows nothing of Ray or of rendering.
"""

import hashlib
import logging
import os
from dataclasses import replace
from pathlib import Path

from fromage_model.catalogue.feeds.clipart_names import captions, tags
from fromage_model.catalogue.feeds.feed import Feed, FeedRow
from fromage_model.catalogue.feeds.rdf import Metadata, read_metadata
from fromage_model.errors import CatalogueError, InvalidInput, MissingArtefact

FOLDER = Path("/usr/share/openclipart")
LICENCE = "public domain"
ATTRIBUTION = "Open Clip Art Library, https://openclipart.org, public domain; as packaged by Debian."

log = logging.getLogger(__name__)


def read_openclipart(folder: Path = FOLDER) -> Feed:
    """Rows in the order of their paths. Raises MissingArtefact where no picture is, CatalogueError for a bad name."""
    stems = _stems(folder)
    metadata, problems = [], []
    for stem in stems:
        one, problem = _metadata(folder / "svg" / f"{stem}.svg")
        metadata.append(one)
        problems.append(problem)
    if any(problems):
        log.warning("%d SVG files can't be read; their pictures are named by file", sum(map(bool, problems)))
    names = captions([stem.rpartition("/")[2] for stem in stems], metadata)
    rows = [
        _row(number, folder, stem, name, one, problem)
        for number, (stem, name, one, problem) in enumerate(zip(stems, names, metadata, problems, strict=True), start=1)
    ]
    return Feed("openclipart", rows, sha256=source_sha256(folder), licence=LICENCE, attribution=ATTRIBUTION)


def source_sha256(folder: Path = FOLDER) -> str:
    """A hash over paths, sizes and times of change, not over bytes. Raises MissingArtefact as reading would."""
    digest = hashlib.sha256()
    for stem in _stems(folder):
        for path in _files(folder, stem):
            if path.is_file():
                stat = path.stat()
                digest.update(f"{path.relative_to(folder)}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _stems(folder: Path) -> list[str]:
    """Each picture's path below `png` or `svg`, without its ending; directory links are not followed."""
    found = set()
    for kind in ("png", "svg"):
        for parent, _, names in os.walk(folder / kind):
            below = Path(parent).relative_to(folder / kind)
            found |= {(below / name).with_suffix("").as_posix() for name in names if name.endswith(f".{kind}")}
    if not found:
        raise MissingArtefact(
            f"no Open Clip Art in {folder}. On Debian and Ubuntu: apt-get install openclipart-png openclipart-svg; "
            "or name with --folder where its folders png and svg are"
        )
    unreadable = [stem for stem in found if stem != stem.encode("utf-8", "replace").decode()]
    if unreadable:
        raise CatalogueError(f"{folder}: the name {min(unreadable)!a} is not UTF-8; rename the file")
    return sorted(found)


def _files(folder: Path, stem: str) -> tuple[Path, Path]:
    return folder / "png" / f"{stem}.png", folder / "svg" / f"{stem}.svg"


def _metadata(svg: Path) -> tuple[Metadata, str | None]:
    """What the SVG says and, where it can't be read, why not."""
    if not svg.is_file():
        return Metadata(), None
    try:
        return read_metadata(svg), None
    except InvalidInput as error:
        return Metadata(), f"the SVG can't be read: {error}"


def _row(number: int, folder: Path, stem: str, name: str | None, metadata: Metadata, problem: str | None) -> FeedRow:
    png, svg = _files(folder, stem)
    attributes = {
        "tags": ", ".join(tags(metadata)),
        "description": metadata.description,
        "subgroup": Path(stem).parent.name.replace("_", "-"),
        "title": metadata.title,
    }
    row = FeedRow(
        row=number,
        image=str(png.absolute()),
        caption=name,
        item_url=metadata.page,
        attributes={key: value for key, value in attributes.items() if value},
        group=name,
    )
    if png.is_file() or not svg.is_file():
        return row
    return replace(row, image=str(svg.absolute()), svg=None if problem else svg.read_bytes(), problem=problem)
