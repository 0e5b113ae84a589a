"""The form of the fashion server that the original's app talks to: a text in, and text, pictures and links out."""

from typing import Annotated

from pydantic import Field

from services.http.forms.completion import Answer
from services.http.forms.form import Form

MOST_HISTORY_CHARS = 64 * 1024


class OriginalRequest(Form):
    """One message. `conversation`: an empty text begins one that is remembered, and what the last answer had in this
    field goes on with it; without the field each message is the first.
    """

    text: Annotated[str, Field(min_length=1)]
    conversation: Annotated[str, Field(max_length=MOST_HISTORY_CHARS)] | None = None


class OriginalAnswer(Answer):
    """`response_image`, base64 of JPEGs, and `response_link`, of the same length and with "" where an item has no link,
    are there only where products are.
    """

    response_text: str
    response_image: list[str] | None = None
    response_link: list[str] | None = None
    conversation: str | None = None


class OriginalError(Answer):
    """The app reads `response_text` whatever the status; `error` is as on every other route."""

    response_text: str
    error: dict[str, str | None]
