"""WordNet's words for a thing: a noun's first sense, as Debian's `wordnet-base` installs it. Knows no items.

WordNet 3.0 (Princeton University, WordNet licence) describes what a thing is for, which a catalogue's names don't.
"""

import hashlib
from collections.abc import Collection
from pathlib import Path

from fromage_model.errors import MissingArtefact

DEFAULT_FOLDER = Path("/usr/share/wordnet")
CONCRETE = frozenset({5, 6, 8, 13, 17, 18, 20})
"""Lexicographer files of animals, artefacts, the body, food, natural objects, people and plants (lexnames(5WN))."""


class Glosses:
    """Looks a name up as a whole, then without a plural's ending; the most frequent sense counts."""

    def __init__(self, folder: Path = DEFAULT_FOLDER):
        index, data = folder / "index.noun", folder / "data.noun"
        if not (index.is_file() and data.is_file()):
            raise MissingArtefact(f"no WordNet in {folder}: `apt-get install wordnet-base`, or leave --glosses out")
        self._offsets = dict(_first_sense(line) for line in index.read_text().splitlines() if not line.startswith(" "))
        self._data = data.read_bytes()

    def of(self, name: str) -> str | None:
        """The definition, without examples, or None where WordNet has no such noun."""
        offset = self._offset(name)
        return None if offset is None else self._definition(offset)

    def pairs(self, count: int, *, without: Collection[str] = ()) -> list[tuple[str, str]]:
        """Names of things one can picture, each with its definition; always the same ones, in the order of a sha256.

        `without` are names that must not be among them, nor what means the same: a synonym has the same definition.
        """
        left_out = {self._offset(name) for name in without}
        order = sorted(self._offsets, key=lambda lemma: hashlib.sha256(lemma.encode()).digest())
        found: list[tuple[str, str]] = []
        for lemma in order:
            name = lemma.replace("_", " ")
            if len(found) == count:
                break
            offset = self._offsets[lemma]
            if name.isascii() and lemma.count("_") < 2 and offset not in left_out and self._is_picturable(lemma):
                found.append((name, self._definition(offset)))
        return found

    def _offset(self, name: str) -> int | None:
        """Where the name's first sense stands."""
        lemma = name.strip().lower().replace(" ", "_")
        candidates = (lemma, lemma.removesuffix("s"), lemma.removesuffix("es"))
        return next((self._offsets[one] for one in candidates if one in self._offsets), None)

    def _is_picturable(self, lemma: str) -> bool:
        """Whether the first sense is a concrete thing, and the lemma its usual word."""
        fields = self._line(self._offsets[lemma]).split(maxsplit=5)
        return int(fields[1]) in CONCRETE and fields[4].lower() == lemma

    def _definition(self, offset: int) -> str:
        return self._line(offset).split(" | ", 1)[1].split(";")[0].strip().strip('"()')

    def _line(self, offset: int) -> str:
        return self._data[offset : self._data.index(b"\n", offset)].decode()


def _first_sense(line: str) -> tuple[str, int]:
    """`lemma pos synset_cnt p_cnt [pointers] sense_cnt tagsense_cnt offset ...`, senses by frequency (wndb(5WN))."""
    fields = line.split()
    return fields[0], int(fields[6 + int(fields[3])])
