"""The forms of what the server says of itself."""

from typing import Literal

from services.http.forms.completion import Answer


class NamedExamples(Answer):
    price: str | None
    brand: str | None


class HealthAnswer(Answer):
    """What is served. `refused`: why the last reload came to nothing; `attribution`: whom the catalogue's licence wants
    named beside its pictures; `examples`: a price that many items are below, and a brand, to ask by.
    """

    status: Literal["ok"]
    bundle: str
    fingerprint: str
    index: str | None = None
    pair: str | None = None
    refused: str | None = None
    items: int | None = None
    attribution: str | None = None
    examples: NamedExamples | None = None


class ReadyAnswer(Answer):
    status: Literal["ready"]
    bundle: str


class NotReadyAnswer(Answer):
    """`missing`: each part that does not answer, and what it has to say."""

    status: Literal["not ready"]
    missing: dict[str, str]
