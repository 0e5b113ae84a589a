"""A folder laid out as Debian's Open Clip Art becomes a feed: names and tags by rule, strange SVG files refused."""

import os
from pathlib import Path

import pytest

from fromage_model.catalogue.feeds.clipart_names import captions, tags
from fromage_model.catalogue.feeds.openclipart import read_openclipart, source_sha256
from fromage_model.catalogue.feeds.rdf import MAX_SVG_BYTES, Metadata, read_metadata
from fromage_model.errors import CatalogueError, InvalidInput, MissingArtefact
from tests.fromage_model.catalogue.feeds.clipart import BOMB, svg_text, write_clipart, write_svg
from tests.pictures import write_png


def test_the_metadata_is_the_works_own_and_not_its_publishers(tmp_path):
    svg = write_svg(
        tmp_path / "a.svg",
        title=" Straw\n Hat ",
        subjects=("Hat", "", "summer"),
        creator="Ann Lee",
        about="https://a.b/1",
    )
    assert read_metadata(svg) == Metadata("Straw Hat", "A drawing", ("Hat", "summer"), "Ann Lee", "https://a.b/1")
    (tmp_path / "bare.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><title>no RDF</title></svg>")
    assert read_metadata(tmp_path / "bare.svg") == Metadata()


def test_nothing_behind_the_rdf_is_read(tmp_path):
    path = write_svg(tmp_path / "a.svg", title="Hat")
    path.write_bytes(path.read_bytes().replace(b"</svg>", b" " * 200_000 + b"<broken"))
    assert read_metadata(path).title == "Hat"


OUTSIDE = '<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (svg_text(title="&b;", doctype=BOMB), "declares the entity 'a'"),
        (svg_text(title="&a;", doctype=OUTSIDE), "declares the entity 'a'"),
        (svg_text(title="&a;", doctype=OUTSIDE).encode("utf-16").decode("latin-1"), "declares the entity 'a'"),
        ("<svg><unclosed></svg>", "not XML"),
        (svg_text(title="&absent;"), "not XML"),
    ],
)
def test_an_unsafe_or_broken_svg_is_refused_with_its_reason(tmp_path, text, reason):
    path = tmp_path / "a.svg"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidInput, match=reason):
        read_metadata(path)


def test_an_svg_over_the_limit_is_not_opened(tmp_path):
    path = tmp_path / "a.svg"
    with path.open("wb") as file:
        file.truncate(MAX_SVG_BYTES + 1)
    with pytest.raises(InvalidInput, match=r"16,777,217 bytes, at most 16,777,216"):
        read_metadata(path)


@pytest.mark.parametrize(
    ("stem", "metadata", "caption"),
    [
        ("rubik_s_cube_petri_lumme_01", Metadata("Rubik's Cube", creator="Petri Lumme"), "rubik's cube"),
        ("silhouette_male_3", Metadata("male silhouette 3"), "male silhouette"),
        ("hot_dog_bw", Metadata("Hot Dog (B and W)"), "hot dog"),
        ("cassa_d_39_epoca_01", Metadata("Cassa d&#39;epoca"), "cassa d'epoca"),
        ("star_32pt05step", Metadata("gramastar", subjects=("stars", "shapes")), "star"),
        ("jigsaw_green_03", Metadata("Clipart by Nicu Buculei - jigsaw_red_10", subjects=("jigsaw",)), "jigsaw green"),
        ("scart_plug_stefan_g_01", Metadata("Stefan Graubner", creator="Stefan Graubner"), "scart plug"),
        ("as_trefle_jean_victor_ba_", Metadata("", creator="Jean-Victor Balin"), "as trefle"),
        ("bordered_h_k", Metadata("card", subjects=("card",)), "card"),
        ("sm_019", Metadata("stick man", subjects=("stickmen",)), "stick man"),
        ("70a001", Metadata(""), None),
    ],
)
def test_a_picture_is_named_by_its_title_where_that_fits_and_else_by_its_file(stem, metadata, caption):
    assert captions([stem], [metadata]) == [caption]


def test_a_title_over_many_different_files_is_a_sets_unless_it_is_a_tag():
    words = ("boot", "coat", "gown", "sock", "scarf", "glove", "shirt", "shoe", "belt")
    theme = [Metadata("Etiquette Icons", subjects=("icons",))] * len(words)
    assert captions(words, theme) == list(words)
    assert captions(words[:8], theme[:8]) == ["etiquette icons"] * 8
    assert captions(words, [Metadata("Icons", subjects=("icons",))] * len(words)) == ["icons"] * len(words)


def test_tags_are_lower_case_words_once_each_without_leftovers_and_the_author():
    subjects = (
        "Hat",
        "hash(0x89c79d4)",
        "HASH",
        "0xa12",
        "signs_and_symbols",
        "hat",
        "11",
        "Ann Lee",
        "sun,straw",
        "x",
    )
    assert tags(Metadata(subjects=subjects, creator="ann lee")) == ["hat", "signs and symbols", "sun", "straw"]


def test_each_picture_is_a_row_in_order_png_first_svg_where_there_is_none(tmp_path):
    write_clipart(tmp_path)
    rows = read_openclipart(tmp_path).rows
    assert [(row.row, Path(row.image).relative_to(tmp_path).as_posix(), row.caption) for row in rows] == [
        (1, "png/clothing/big_hats/bomb_01.png", "bomb"),
        (2, "png/clothing/big_hats/straw_hat_ann_l_01.png", "straw hat"),
        (3, "png/clothing/big_hats/straw_hat_ann_l_02.png", "straw hat"),
        (4, "png/clothing/broken_boot.png", "broken boot"),
        (5, "svg/clothing/drawn_scarf.svg", "drawn scarf"),
        (6, "svg/clothing/lone_bomb.svg", "lone bomb"),
        (7, "png/zz/70a001.png", None),
        (8, "png/zz/gone.png", "gone"),
    ]
    hat = rows[1]
    assert hat.attributes == {
        "tags": "hat, summer",
        "description": "A drawing",
        "subgroup": "big-hats",
        "title": "Straw Hat",
    }
    assert (hat.group, hat.item_url, hat.svg, hat.series) == ("straw hat", None, None, None)
    assert rows[4].svg == (tmp_path / "svg" / "clothing" / "drawn_scarf.svg").read_bytes()
    assert [row.row for row in rows if row.problem] == [6]
    assert "entity" in (rows[5].problem or "")
    assert rows[5].svg is None


def test_the_hash_changes_when_a_picture_or_its_metadata_does(tmp_path):
    write_clipart(tmp_path)
    before = source_sha256(tmp_path)
    assert read_openclipart(tmp_path).sha256 == before == source_sha256(tmp_path)
    os.utime(tmp_path / "svg" / "clothing" / "drawn_scarf.svg", (1, 1))
    after = source_sha256(tmp_path)
    assert after != before
    write_png(tmp_path / "png" / "zz" / "new.png")
    assert source_sha256(tmp_path) != after


def test_a_folder_without_the_packages_tells_how_to_install_them(tmp_path):
    with pytest.raises(MissingArtefact, match="apt-get install openclipart-png openclipart-svg"):
        read_openclipart(tmp_path / "absent")


def test_a_name_that_is_not_utf_8_is_told(tmp_path):
    write_png(tmp_path / "png" / os.fsdecode(b"caf\xe9.png"))
    with pytest.raises(CatalogueError, match=r"caf\\udce9.* is not UTF-8"):
        read_openclipart(tmp_path)
