"""What an Open Clip Art picture is called: rules for noisy titles and file names. Knows nothing of files or of XML.

A title is often that of a set ("Lemon SVG theme", 431 pictures), a code ("gramastar"), the author's name, or that of
another file. Then the file's stem names the picture, once the author and the number behind it are gone
(`dino_architetto_franc_05` is a dino).
"""

import html
import re
from collections.abc import Sequence

from fromage_model.catalogue.feeds.rdf import Metadata

# A title that stands over more different file names than this is a set's title, unless it is one of the tags.
MAX_STEMS_OF_A_TITLE = 8
MIN_AUTHOR_CHARS = 3
# "Clipart by AUTHOR - FILE" mostly names the first file of an upload of many.
SIGNATURE = re.compile(r"(clip ?art by|part of) .*", re.IGNORECASE)
NOISE = re.compile(r"\b(clip ?arts?|svg|png|jpg|gif|eps|aiga|gnome|mime|b and w|bw|0x[0-9a-f]+)\b", re.IGNORECASE)
# `32pt05step` says how a star was drawn.
CODE = re.compile(r"\b[^\W_]*\d[^\W\d_]+\d[^\W_]*\b")
PUNCTUATION = re.compile(r"[\d()\[\]{}\"#_.:;,/-]+")
# "hash(0x89c79d4)" and the like came out of a program that printed its memory.
NOT_A_TAG = re.compile(r"hash\b.*|0x.*|[\W\d]*|.")
WORD = re.compile(r"[^\W\d_]{3,}")


def captions(stems: Sequence[str], metadata: Sequence[Metadata]) -> list[str | None]:
    """A name in lower case for each picture: its title where that fits, else its file's stem, else None."""
    names = [_words(_without_author(stem, one.creator)) for stem, one in zip(stems, metadata, strict=True)]
    titles = ["" if SIGNATURE.match(one.title) else _words(one.title) for one in metadata]
    stems_of: dict[str, set[str]] = {}
    for name, title in zip(names, titles, strict=True):
        stems_of.setdefault(title, set()).add(name)
    chosen = []
    for name, title, one in zip(names, titles, metadata, strict=True):
        if title == _words(one.creator) or (len(stems_of[title]) > MAX_STEMS_OF_A_TITLE and title not in tags(one)):
            title = ""
        candidates = (title, name) if _in_common(title, name, one) else (name, title)
        chosen.append(next((words for words in candidates if WORD.search(words)), None))
    return chosen


def tags(metadata: Metadata) -> list[str]:
    """The subjects in lower case, each once, without the author's name and what a program left there by mistake."""
    found = (" ".join(tag.replace("_", " ").lower().split()) for one in metadata.subjects for tag in one.split(","))
    author = metadata.creator.lower()
    return [tag for tag in dict.fromkeys(found) if not NOT_A_TAG.fullmatch(tag) and tag != author]


def _in_common(title: str, name: str, metadata: Metadata) -> bool:
    """Whether a word of the title stands in the file's name too, or among the tags."""
    known = set(WORD.findall(" ".join(tags(metadata))))
    squeezed = _squeezed(name)
    return any(word in known or word in squeezed for word in WORD.findall(title))


def _words(text: str) -> str:
    """Lower case, without punctuation, numbers, codes and file endings."""
    text = html.unescape(text).replace("_", " ")
    text = PUNCTUATION.sub(" ", NOISE.sub(" ", CODE.sub(" ", text)))
    return " ".join(text.lower().split())


def _without_author(stem: str, creator: str) -> str:
    """`as_trefle_jean_victor_ba_` of Jean-Victor Balin -> `as_trefle`: the upload cut authors' names off anywhere."""
    author = _squeezed(creator)
    parts = stem.split("_")
    for start in range(1, len(parts)):
        rest = _squeezed("".join(parts[start:]))
        if len(rest) >= MIN_AUTHOR_CHARS and author.startswith(rest):
            return "_".join(parts[:start])
    return stem


def _squeezed(text: str) -> str:
    return re.sub(r"[\W\d_]", "", text.lower())
