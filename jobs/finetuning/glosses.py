"""WordNet's words for a thing: a noun's first sense, as Debian's `wordnet-base` installs it. Knows no items.

WordNet 3.0 (Princeton University, WordNet licence) describes what a thing is for, which a catalogue's names don't.
"""

from pathlib import Path

from fromage_model.errors import MissingArtefact

DEFAULT_FOLDER = Path("/usr/share/wordnet")


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
        lemma = name.strip().lower().replace(" ", "_")
        for candidate in (lemma, lemma.removesuffix("s"), lemma.removesuffix("es")):
            if candidate in self._offsets:
                return self._definition(self._offsets[candidate])
        return None

    def _definition(self, offset: int) -> str:
        line = self._data[offset : self._data.index(b"\n", offset)].decode()
        return line.split(" | ", 1)[1].split(";")[0].strip().strip('"()')


def _first_sense(line: str) -> tuple[str, int]:
    """`lemma pos synset_cnt p_cnt [pointers] sense_cnt tagsense_cnt offset ...`, senses by frequency (wndb(5WN))."""
    fields = line.split()
    return fields[0], int(fields[6 + int(fields[3])])
