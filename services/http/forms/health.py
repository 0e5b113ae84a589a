"""The forms of what the server says of itself."""

from typing import Literal

from services.http.forms.completion import Answer


class HealthAnswer(Answer):
    """What is served. `refused`: why the last reload came to nothing; `attribution`: whom the catalogue's licence wants
    named beside its pictures.
    """

    status: Literal["ok"]
    bundle: str
    fingerprint: str
    index: str | None = None
    pair: str | None = None
    refused: str | None = None
    items: int | None = None
    attribution: str | None = None


class ReadyAnswer(Answer):
    status: Literal["ready"]
    bundle: str


class NotReadyAnswer(Answer):
    """`missing`: each part that does not answer, and what it has to say."""

    status: Literal["not ready"]
    missing: dict[str, str]
