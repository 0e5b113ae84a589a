"""The form of what `/v1/models` says."""

from typing import Literal

from services.http.forms.completion import Answer


class ModelAnswer(Answer):
    """A bundle that answers. `created`: seconds since 1970."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelsAnswer(Answer):
    object: Literal["list"]
    data: list[ModelAnswer]
