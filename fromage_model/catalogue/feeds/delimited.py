"""TSV and CSV files as feeds. A record that can't be read is a bad row with its line; the others are read.

The header decides what separates fields: a tab, a comma or a semicolon; and whether the fields of a TSV are quoted like
those of a CSV. Knows nothing of where pictures are.
"""

import csv
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fromage_model.catalogue.feeds.columns import OWN_NAMES, sources_of
from fromage_model.catalogue.feeds.feed import Feed, FeedRow, row_from
from fromage_model.errors import CatalogueError
from fromage_model.storage.file_kinds import HEAD_BYTES, kind_of, told
from fromage_model.storage.files import read_bytes, stem_of

TAB = "\t"
SEPARATORS = (TAB, ",", ";")
# Conceptual Captions is published without a header.
CONCEPTUAL_CAPTIONS = ("caption", "image")
# A quote that is never closed must not swallow the rest of the file.
MAX_LINES_PER_RECORD = 100
# Of a CSV, as much as csv can count everywhere; a picture may stand in its row as a data: URL.
MAX_FIELD_CHARS = (1 << 31) - 1
# More bad lines than this share, and the file as a whole is of another encoding.
MAX_BAD_LINES = 0.01
UNDECODED = re.compile("[\udc80-\udcff]")
QUOTED = re.compile(r'"(?:[^"]|"")*""(?:[^"]|"")*"')
WHOLLY_QUOTED = re.compile(r'"((?:[^"]|"")*)"')
# A field of a TSV: quoted as pandas does it, over several lines maybe, but never with a tab in it; or as it stands.
FIELD = re.compile(r'"(?:[^"\t]++|"")*+"(?![^\t\n])|[^\t\n]*')
OPENED = re.compile(r'"(?:[^"]++|"")*+')
WRITTEN_TWICE = "inside a quoted field a quote is written twice"
NEVER_CLOSED = f"a quote opens a field and is never closed; {WRITTEN_TWICE}"


@dataclass(frozen=True)
class Record:
    """The fields of a record that begins on `line` (the first of the file is 1), or why it has none."""

    line: int
    fields: list[str]
    problem: str | None = None


def read_delimited(path: str, *, encoding: str = "utf-8", columns: Mapping[str, str] = OWN_NAMES) -> Feed:
    """A TSV or CSV with a header; only `image` is required, unknown columns become attributes, empty fields are null.

    `columns` says what the feed calls ours, where it has other names for them. In a TSV quotes stand for themselves (as
    in Conceptual Captions), but for fields with quotes or line breaks that are quoted as pandas does it, and where all
    of the header is quoted. There, and in a CSV, a field that holds a separator, a quote or a line break stands in
    quotes, quotes inside it doubled (RFC 4180).
    Raises CatalogueError, which names the line and what would work.
    """
    data = read_bytes(path)
    if (kind := kind_of(data[:HEAD_BYTES])) is not None and data:
        raise CatalogueError(told(path, kind, expected="a TSV or CSV with a header"))
    lines = _lines(data, path, encoding)
    names, separator, first, quoted = _header(lines, path)
    records = _csv_records(lines, first, separator) if quoted else _tab_records(lines, first, len(names))
    hint = "; only a TSV of caption and URL may come without a header" if first and len(names) > 1 else ""
    sources = sources_of(names, columns, path, hint=hint)
    rows = [
        _row(number, record, names, sources, path)
        for number, record in _numbered(records, first)
        if record.problem or any(field.strip() for field in record.fields)
    ]
    if not rows:
        raise CatalogueError(f"{path} has a header and no rows")
    return Feed(source=stem_of(path), rows=rows, sha256=hashlib.sha256(data).hexdigest())


def _lines(data: bytes, path: str, encoding: str) -> list[str]:
    """The file's lines; bytes that are not of the encoding stand in them as lone surrogates."""
    try:
        text = data.decode(encoding, errors="surrogateescape")
    except LookupError as error:
        raise CatalogueError(f"{path}: no encoding is called {encoding!r}; utf-8, latin-1 and cp1252 are") from error
    except UnicodeError as error:
        raise CatalogueError(f"{path} is not {encoding}: {error}") from error
    text = text.removeprefix("\ufeff")
    lines = text.split("\n" if "\n" in text else "\r")
    bad = [number for number, line in enumerate(lines, start=1) if UNDECODED.search(line)]
    if bad and (bad[0] == 1 or len(bad) > MAX_BAD_LINES * len(lines)):
        raise CatalogueError(
            f"{path} is not {encoding.upper()}: line {bad[0]} holds {_bad_byte(lines[bad[0] - 1])}, and {len(bad)} of "
            f"{len(lines)} lines are like it; save it as UTF-8, or name what it is, e.g. --encoding {_likely(data)}"
        )
    return lines


def _likely(data: bytes) -> str:
    """What a file that is no UTF-8 most likely is."""
    return "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:64] else "cp1252"


def _bad_byte(line: str) -> str:
    found = UNDECODED.search(line)
    return f"{ord(found[0]) - 0xDC00:#04x}" if found else ""


def _header(lines: list[str], path: str) -> tuple[list[str], str, int, bool]:
    """The columns, what separates them, the index of the first line of rows, and whether fields are quoted."""
    first = lines[0].rstrip("\r")
    separator = max(SEPARATORS, key=first.count)
    fields = first.split(TAB)
    quoted = separator != TAB or all(WHOLLY_QUOTED.fullmatch(field) for field in fields)
    if quoted:
        record = next(_csv_records(lines, 0, separator))
        if record.problem:
            raise CatalogueError(f"{path}: the header can't be read; {record.problem}")
        fields = record.fields
    if separator == TAB and len(fields) == 2 and fields[1].strip().lower().startswith(("http://", "https://")):
        return list(CONCEPTUAL_CAPTIONS), TAB, 0, quoted
    if not quoted:
        fields = [field.strip('"') if WHOLLY_QUOTED.fullmatch(field) else field for field in fields]
    return [field.strip() for field in fields], separator, 1, quoted


def _tab_records(lines: list[str], start: int, width: int) -> Iterator[Record]:
    """A line is a record of `width` fields, fewer where the last are lacking, and goes on where a field is quoted so.

    A quote that opens a field and is never closed stands for itself where its line and the next one are whole; else
    they may be parts of one field, and the row is bad.
    """
    index = start
    while index < len(lines):
        cells, after = _line(lines, index).split(TAB), index + 1
        problem = None
        # No quoted field holds a tab, so only the last one of a line can go on.
        if OPENED.fullmatch(cells[-1]):
            joined, count = _over_lines(lines, index)
            if count > 1 and len(joined) == width:
                cells, after = joined, index + count
            elif len(cells) != width or not _whole(lines, after, width):
                problem = f"line {after}: {NEVER_CLOSED}"
        yield Record(index + 1, [_unquoted(cell) for cell in cells], problem)
        index = after


def _over_lines(lines: list[str], index: int) -> tuple[list[str], int]:
    """The fields of the record that begins here where quotes hold line breaks, and how many lines it takes."""
    last = min(index + MAX_LINES_PER_RECORD, len(lines))
    text = "\n".join(_line(lines, place) for place in range(index, last))
    fields: list[str] = []
    end = -1
    while not fields or text[end : end + 1] == TAB:
        found = FIELD.match(text, end + 1)
        assert found is not None
        fields.append(found[0])
        end = found.end()
    return fields, text.count("\n", 0, end) + 1


def _whole(lines: list[str], index: int, width: int) -> bool:
    """Whether a line is a record of its own, or nothing."""
    return index >= len(lines) or not lines[index].strip() or lines[index].count(TAB) + 1 == width


def _line(lines: list[str], index: int) -> str:
    return lines[index].rstrip("\r")


def _csv_records(lines: list[str], start: int, separator: str) -> Iterator[Record]:
    # By itself csv takes longer fields for a quote that was never closed; here lines are counted for that.
    csv.field_size_limit(MAX_FIELD_CHARS)
    index = start
    while index < len(lines):
        fed = _Fed(lines, index)
        try:
            fields = next(csv.reader(fed, delimiter=separator, strict=True), [])
            yield Record(index + 1, fields)
            index += max(fed.count, 1)
        except csv.Error as error:
            yield Record(index + 1, [], f"line {index + 1}: {_problem(error, fed.count)}")
            index += 1


def _problem(error: csv.Error, lines: int) -> str:
    """What csv found wrong with a record, in words of a feed."""
    if "new-line" in str(error):
        return "a carriage return stands in a field; such a field is quoted"
    return NEVER_CLOSED if lines > 1 else f"its quotes are wrong: {error}; {WRITTEN_TWICE}"


class _Fed:
    """Lines for one record of csv.reader, which stops asking when the record is whole."""

    def __init__(self, lines: list[str], start: int):
        self._lines = lines
        self._start = start
        self.count = 0

    def __iter__(self) -> "_Fed":
        return self

    def __next__(self) -> str:
        index = self._start + self.count
        if index >= len(self._lines) or self.count >= MAX_LINES_PER_RECORD:
            raise StopIteration
        self.count += 1
        return self._lines[index].removesuffix("\r") + "\n"


def _unquoted(cell: str) -> str:
    """`"5"" heel"`, which pandas writes for `5" heel`, or a field of several lines; other quotes stay."""
    return cell[1:-1].replace('""', '"') if "\n" in cell or QUOTED.fullmatch(cell) else cell


def _numbered(records: Iterator[Record], first: int) -> Iterator[tuple[int, Record]]:
    """Rows count by the lines on which they begin, from 1 below the header."""
    return ((record.line - first, record) for record in records)


def _row(number: int, record: Record, names: list[str], sources: Mapping[str, str], path: str) -> FeedRow:
    problem = record.problem
    text = " ".join(record.fields)
    if problem is None and UNDECODED.search(text):
        problem = f"line {record.line} holds {_bad_byte(text)}, which is not of the file's encoding"
    elif problem is None and len(record.fields) > len(names):
        problem = f"line {record.line}: {len(record.fields)} fields, but the header names {len(names)}"
    fields = [field.encode("utf-8", "replace").decode() for field in record.fields]
    given = dict(zip(names, fields, strict=False))
    values = {ours: given.get(theirs) for ours, theirs in sources.items()}
    return row_from(number, values, base=path, problem=problem)
