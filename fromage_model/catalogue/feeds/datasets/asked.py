"""The questions of VQAv2 and their annotations, joined by question and sorted by picture on disk.

A million questions with ten answers each are gigabytes as objects; here they are rows of a database that goes away.
"""

import json
import sqlite3
import tempfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Self

from fromage_model.catalogue.annotations import Question
from fromage_model.catalogue.feeds.datasets.records import BrokenRecord, fields_of, records
from fromage_model.errors import CatalogueError

TABLES = """
    CREATE TABLE questions (id INTEGER PRIMARY KEY, place INTEGER, image INTEGER, question TEXT, dev INTEGER DEFAULT 0);
    CREATE TABLE annotations (id INTEGER PRIMARY KEY, image INTEGER, answers TEXT, answer TEXT, answer_type TEXT,
        question_type TEXT);
    CREATE TABLE problems (image INTEGER, problem TEXT);
"""
# Pictures in the order in which they are first asked about, their questions in the order of the file.
SORTED = """
    SELECT image, id, question, dev, answers, answer, answer_type, question_type
    FROM (SELECT *, MIN(place) OVER (PARTITION BY image) AS first FROM questions)
        LEFT JOIN (SELECT id, answers, answer, answer_type, question_type FROM annotations) USING (id)
    ORDER BY first, place
"""
QUESTION_FIELDS = {"question_id": int, "image_id": int, "question": str}
ANNOTATION_FIELDS = {"question_id": int, "image_id": int, "answers": list}


class Asked:
    """What was asked in one split. As a context it goes away with its files."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="vqav2-")
        self._database = sqlite3.connect(Path(self._folder.name, "asked.db"), isolation_level="DEFERRED")
        # Nobody opens it after a crash.
        self._database.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {TABLES}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()
        self._folder.cleanup()

    def add_questions(self, path: str) -> None:
        """The questions of a file; broken ones become problems. Raises CatalogueError where not one can be used."""
        name, problem = Path(path).name, None
        for place, record in enumerate(records(path, "questions")):
            where = f"{name}: questions[{place}]"
            try:
                id, image, question = fields_of(record, QUESTION_FIELDS, where)
                new = "INSERT OR IGNORE INTO questions VALUES (?, ?, ?, ?, 0)"
                if not self._add(where, new, id, place, image, question):
                    raise BrokenRecord(f"{where}: question {id} stands in the file more than once")
            except BrokenRecord as error:
                problem = problem or str(error)
                self._broken(record, str(error))
        if not self._count("questions"):
            raise CatalogueError(f"{path} is no file of questions of VQAv2: {problem}")

    def add_annotations(self, path: str) -> None:
        """The answers to questions that are there; what belongs to none becomes a problem. Raises CatalogueError."""
        name, problem = Path(path).name, None
        for place, record in enumerate(records(path, "annotations")):
            where = f"{name}: annotations[{place}]"
            try:
                self._add_annotation(record, where)
            except BrokenRecord as error:
                problem = problem or str(error)
                self._broken(record, str(error))
        if not self._count("annotations"):
            raise CatalogueError(f"{path} is no file of annotations of VQAv2: {problem}")
        self._database.execute(
            "INSERT INTO problems SELECT image, 'question ' || id || ' has no annotation in ' || ? || ' that can be "
            "used' FROM questions WHERE id NOT IN (SELECT id FROM annotations) ORDER BY place",
            (name,),
        )

    def mark_test_dev(self, path: str) -> None:
        """Say which questions are of test-dev too, which is a part of test. Raises CatalogueError."""
        for place, record in enumerate(records(path, "questions")):
            where = f"{Path(path).name}: questions[{place}]"
            try:
                id, *_ = fields_of(record, QUESTION_FIELDS, where)
                if not self._add(where, "UPDATE questions SET dev = 1 WHERE id = ?", id):
                    raise BrokenRecord(f"{where}: question {id} is not among those of the split test")
            except BrokenRecord as error:
                self._broken(record, str(error))

    def by_picture(self, *, answered: bool) -> Iterator[tuple[int, list[Question]]]:
        """Each picture that has a question, with its questions; where they are `answered`, with those that are."""
        for image, rows in groupby(self._database.execute(SORTED), key=lambda row: row[0]):
            questions = [_question(row) for row in rows if not answered or row[4] is not None]
            if questions:
                yield image, questions

    def problems(self) -> Iterator[tuple[int | None, str]]:
        """What can't be used, with the picture that it is about where that is known."""
        yield from self._database.execute("SELECT image, problem FROM problems ORDER BY rowid")

    def _add_annotation(self, record: Any, where: str) -> None:
        id, image, given = fields_of(record, ANNOTATION_FIELDS, where)
        answers = [_answer(one, f"{where}.answers", at) for at, one in enumerate(given)]
        if not answers:
            raise BrokenRecord(f"{where} has no answers")
        asked = self._run(where, "SELECT image FROM questions WHERE id = ?", id).fetchone()
        if asked is None:
            raise BrokenRecord(f"{where} is of question {id}, which is not among the questions")
        if asked[0] != image:
            raise BrokenRecord(f"{where} has image_id {image}, but question {id} is about picture {asked[0]}")
        told = [_text(record.get(name)) for name in ("multiple_choice_answer", "answer_type", "question_type")]
        text = json.dumps(answers, ensure_ascii=False)
        new = "INSERT OR IGNORE INTO annotations VALUES (?, ?, ?, ?, ?, ?)"
        if not self._add(where, new, id, image, text, *told):
            raise BrokenRecord(f"{where}: question {id} has an annotation already")

    def _add(self, where: str, statement: str, *values: Any) -> bool:
        """Whether it changed a row. Raises BrokenRecord as `_run`."""
        return self._run(where, statement, *values).rowcount > 0

    def _run(self, where: str, statement: str, *values: Any) -> sqlite3.Cursor:
        """Raises BrokenRecord for a number that no id can be."""
        try:
            return self._database.execute(statement, values)
        except OverflowError as error:
            raise BrokenRecord(f"{where}: a number is too large for an id") from error

    def _broken(self, record: Any, problem: str) -> None:
        image = record.get("image_id") if isinstance(record, dict) else None
        known = image if isinstance(image, int) and 0 <= image < 1 << 62 else None
        self._database.execute("INSERT INTO problems VALUES (?, ?)", (known, problem))

    def _count(self, table: str) -> int:
        return int(self._database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])


def _question(row: tuple[Any, ...]) -> Question:
    _, id, question, dev, answers, answer, answer_type, question_type = row
    given = tuple(json.loads(answers)) if answers is not None else ()
    return Question(id, " ".join(question.split()), given, answer, answer_type, question_type, bool(dev))


def _answer(given: Any, where: str, place: int) -> str:
    """What one person answered. Ten times a million: the long way is for what is broken."""
    answer = given.get("answer") if isinstance(given, dict) else None
    if isinstance(answer, str):
        return answer
    fields_of(given, {"answer": str}, f"{where}[{place}]", may_be_blank=True)
    raise BrokenRecord(f"{where}[{place}] has no answer")


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None
