"""OpenMoji's package becomes a feed; where npm can't give it, the user reads what to do."""

import io
import json
import shutil
import stat
import tarfile
from pathlib import Path

import pytest

from fromage_model.catalogue.feeds import openmoji
from fromage_model.errors import CatalogueError, MissingArtefact
from fromage_model.storage.artefacts import file_sha256, home

SVG = b"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 72 72'><circle r='30'/></svg>"


def entry(hexcode: str, annotation: str, **changes: str) -> dict[str, str]:
    return {
        "hexcode": hexcode,
        "annotation": annotation,
        "group": "objects",
        "subgroups": "clothing",
        "tags": "a, b",
        "openmoji_tags": "",
        "skintone": "",
    } | changes


def pack(path: Path, entries: list[dict[str, str]], *, without: str = "") -> Path:
    files = {f"package/color/svg/{one['hexcode']}.svg": SVG for one in entries if one["hexcode"] != without}
    files["package/data/openmoji.json"] = json.dumps(entries).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.fixture
def npm(own_home, monkeypatch):
    """An npm of our own, alone in the PATH, that runs the given shell lines; `$5` is where the archive is wanted."""

    def install(script: str) -> None:
        path = own_home / "bin" / "npm"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")

    return install


def test_drawings_become_rows_without_skin_tones_flags_and_components(tmp_path):
    entries = [
        entry("1F457", "dress", openmoji_tags="robe"),
        entry("1F44B", "waving hand: dark", skintone="5"),
        entry("1F1E6", "flag: Andorra", group="flags"),
        entry("1F9B0", "red hair", group="component"),
        entry("E000", "horizontal black hexagon ", group="extras-unicode"),
    ]
    feed = openmoji.read_archive(pack(tmp_path / "a.tgz", entries))
    assert [(row.row, row.caption) for row in feed.rows] == [(1, "dress"), (2, "horizontal black hexagon")]
    row = feed.rows[0]
    assert (row.item_url, row.svg) == ("https://openmoji.org/library/emoji-1F457/", SVG)
    assert row.attributes == {
        "tags": "a, b",
        "openmoji_tags": "robe",
        "group": "objects",
        "subgroup": "clothing",
        "hexcode": "1F457",
    }
    assert feed.licence == "CC BY-SA 4.0"
    assert "openmoji.org" in feed.attribution


def test_a_package_without_a_drawing_is_refused(tmp_path):
    with pytest.raises(CatalogueError, match=r"not the OpenMoji package.*1F457"):
        openmoji.read_archive(pack(tmp_path / "a.tgz", [entry("1F457", "dress")], without="1F457"))
    (tmp_path / "b.tgz").write_bytes(b"no archive")
    with pytest.raises(CatalogueError, match="not the OpenMoji package"):
        openmoji.read_archive(tmp_path / "b.tgz")


def test_the_package_is_fetched_once_and_then_read_from_disk(own_home, npm, monkeypatch):
    archive = pack(own_home / "upstream.tgz", [entry("1F457", "dress")])
    monkeypatch.setattr(openmoji, "ARCHIVE_SHA256", file_sha256(archive))
    npm(f'[ "$1 $2" = "pack openmoji@17.0.0" ] && cp {archive} "$5/{openmoji.ARCHIVE}" && echo x >> {own_home}/calls')
    first = openmoji.download()
    assert first.is_relative_to(home() / "downloads")
    assert openmoji.download() == first
    assert (own_home / "calls").read_text() == "x\n"


def test_without_npm_the_user_reads_how_to_get_it_or_do_without(own_home, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(MissingArtefact) as caught:
        openmoji.download()
    for part in ("npm is not installed", "apt-get install npm", "nodejs.org", "CATALOGUE=my.tsv make demo"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo npm error network unreachable >&2; exit 1", "network unreachable"),
        (f'echo other > "$5/{openmoji.ARCHIVE}"', "another archive than expected"),
        ("exit 0", "sha256 no file"),
    ],
)
def test_when_npm_fails_the_reason_is_told_and_nothing_is_kept(npm, script, reason):
    npm(script)
    with pytest.raises(MissingArtefact, match=reason):
        openmoji.download()
    assert not [path for path in (home() / "downloads").rglob("*") if path.is_file()]


def test_npm_that_never_ends_is_given_up(npm, monkeypatch):
    npm("sleep 30")
    monkeypatch.setattr(openmoji, "NPM_TIMEOUT_S", 0.2)
    with pytest.raises(MissingArtefact, match="took more than"):
        openmoji.download()
