"""How requests that are no chats say a picture."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from services.http.forms.chat import ImageUrl, Uri
from services.http.forms.form import Form

MAX_MODEL_CHARS = 256
Model = Annotated[str, Field(max_length=MAX_MODEL_CHARS)]


def _url(value: Any) -> Any:
    if not isinstance(value, str | dict | ImageUrl):
        raise PydanticCustomError("image_url", 'expected an object {{"url": ...}} or the URL as a text')
    return {"url": value} if isinstance(value, str) else value


Url = Annotated[ImageUrl, BeforeValidator(_url, json_schema_input_type=ImageUrl | Uri)]
"""A data: URL, by itself or as OpenAI's object."""


class PicturePart(Form):
    """A picture among other inputs: OpenAI's content part, whose type need not be said."""

    type: Literal["image_url"] = "image_url"
    image_url: Url
