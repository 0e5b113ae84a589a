"""What an SVG says of itself: title, description, subjects, creator and page, from the RDF in its `metadata`.

Dublin Core in a Creative Commons `Work`, as Inkscape and Open Clip Art write it. A drawing comes from a stranger: a
file that declares entities is refused, for nothing in a drawing's metadata needs them; files are bounded, nothing
outside them is read, and only the RDF is kept. Knows nothing of drawing.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from fromage_model.errors import InvalidInput

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
DUBLIN_CORE = "{http://purl.org/dc/elements/1.1/}"
# Older files and newer ones name Creative Commons by other addresses.
WORKS = tuple(f"{space}Work" for space in ("{http://web.resource.org/cc/}", "{http://creativecommons.org/ns#}"))
MAX_SVG_BYTES = 16 * 1024 * 1024
BLOCK_BYTES = 64 * 1024


@dataclass(frozen=True)
class Metadata:
    """Empty where the file says nothing. `subjects` are in the file's order; `page` is an http(s) URL."""

    title: str = ""
    description: str = ""
    subjects: tuple[str, ...] = ()
    creator: str = ""
    page: str | None = None


def read_metadata(path: Path) -> Metadata:
    """What the first `Work` in the SVG's RDF says. Raises InvalidInput where the file is not safe or not XML."""
    reader = _Reader()
    try:
        if path.stat().st_size > MAX_SVG_BYTES:
            raise InvalidInput(f"{path.stat().st_size:,} bytes, at most {MAX_SVG_BYTES:,} are read")
        with path.open("rb") as file:
            while reader.root is None and (block := file.read(BLOCK_BYTES)):
                reader.parser.Parse(block, False)
    except OSError as error:
        raise InvalidInput(f"the file can't be read: {error.strerror}") from error
    except (expat.ExpatError, ValueError) as error:
        raise InvalidInput(f"not XML: {error}") from error
    work = None if reader.root is None else next((one for one in reader.root if one.tag in WORKS), None)
    return Metadata() if work is None else _metadata(work)


class _Reader:
    """Builds the first RDF element and nothing else; `root` is that element once it has ended."""

    def __init__(self) -> None:
        self.root: Element | None = None
        self.parser = expat.ParserCreate(namespace_separator="}")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.EntityDeclHandler = self._refuse
        self._builder = TreeBuilder()
        self._depth = 0

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self.root is None and (self._depth or _tag(name) == f"{RDF}RDF"):
            self._depth += 1
            self._builder.start(_tag(name), {_tag(key): value for key, value in attributes.items()})

    def _end(self, name: str) -> None:
        if self.root is None and self._depth:
            self._depth -= 1
            element = self._builder.end(_tag(name))
            if self._depth == 0:
                self.root = element

    def _text(self, text: str) -> None:
        if self.root is None and self._depth:
            self._builder.data(text)

    def _refuse(self, name: str, *declared: Any) -> None:
        raise InvalidInput(f"it declares the entity {name!r}; drawings with entities are not read")


def _tag(name: str) -> str:
    """expat's `space}name` as ElementTree's `{space}name`."""
    return f"{{{name}" if "}" in name else name


def _metadata(work: Element) -> Metadata:
    subjects = (_text(one) for one in work.iterfind(f"{DUBLIN_CORE}subject/{RDF}Bag/{RDF}li"))
    page = work.get(f"{RDF}about", "")
    return Metadata(
        title=_text(work.find(f"{DUBLIN_CORE}title")),
        description=_text(work.find(f"{DUBLIN_CORE}description")),
        subjects=tuple(subject for subject in subjects if subject),
        creator=_text(work.find(f"{DUBLIN_CORE}creator")),
        page=page if page.startswith(("http://", "https://")) else None,
    )


def _text(element: Element | None) -> str:
    return "" if element is None else " ".join("".join(element.itertext()).split())
