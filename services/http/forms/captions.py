"""The form of captions of pictures."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from services.http.forms.chat import Uri
from services.http.forms.completion import Answer, Usage
from services.http.forms.form import INT64_MAX, Form
from services.http.forms.pictures import Model, PicturePart

MOST_PROMPT_CHARS = 512


def _part(value: Any) -> Any:
    return {"image_url": value} if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str | dict) else value


Image = Annotated[PicturePart, BeforeValidator(_part, json_schema_input_type=PicturePart | Uri)]
Images = Annotated[
    list[Image],
    Field(min_length=1, max_length=2048),
    BeforeValidator(_listed, json_schema_input_type=PicturePart | Uri | Annotated[list[Image], Field(min_length=1)]),
]


class CaptionsRequest(Form):
    """`POST /v1/captions`. `prompt`: the words that the caption goes on from, the bundle's own where there are none."""

    model_config = ConfigDict(extra="forbid")

    images: Images
    prompt: Annotated[str, Field(max_length=MOST_PROMPT_CHARS)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-INT64_MAX, le=INT64_MAX)] | None = None
    model: Model | None = None


class CaptionAnswer(Answer):
    object: Literal["caption"]
    index: int
    caption: str


class CaptionsAnswer(Answer):
    """Of each picture, in its order, a caption."""

    object: Literal["list"]
    data: list[CaptionAnswer]
    model: str
    usage: Usage
