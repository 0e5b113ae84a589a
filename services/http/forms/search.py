"""The form of a search, and of the items that it finds."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from services.http.forms.completion import Answer
from services.http.forms.embeddings import EmbeddingsUsage
from services.http.forms.form import Form
from services.http.forms.pictures import Model, Url
from services.http.forms.retrieval import Narrowed

MAX_FOUND = 100
WAYS = ("text", "image_url", "item_id")
Weight = Annotated[float, Field(ge=0, le=100)]


class Weights(Form):
    """How much each of what is asked for counts beside the others."""

    model_config = ConfigDict(extra="forbid")

    text: Weight = 1.0
    image_url: Weight = 1.0
    item_id: Weight = 1.0


class SearchRequest(Narrowed):
    """`POST /v1/search`: by a text, a picture, an item of the catalogue ("more like this"), or several together."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "anyOf": [{"required": [way], "properties": {way: {"not": {"type": "null"}}}} for way in WAYS]
        },
    )

    text: Annotated[str, Field(min_length=1)] | None = None
    image_url: Url | None = None
    item_id: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    weights: Weights | None = None
    top_k: Annotated[int, Field(ge=1, le=MAX_FOUND)] | None = None
    model: Model | None = None

    @model_validator(mode="after")
    def _asks(self) -> "SearchRequest":
        if all(getattr(self, way) is None for way in WAYS):
            raise PydanticCustomError("search", "expected what to search by: text, image_url or item_id")
        return self


class ItemAnswer(BaseModel):
    """All that the catalogue says of an item. `image_url` and `page_url` are paths on this server; times are in
    ISO 8601.
    """

    id: str
    caption: str | None
    title: str | None
    brand: str | None
    item_url: str | None
    image_url: str
    page_url: str
    price: str | None
    attributes: dict[str, str]
    source: str
    group: str
    split: str
    caption_by: str | None
    caption_at: str | None
    updated_at: str


class FoundAnswer(Answer):
    """`score`: cosine of what was asked for and the item."""

    id: str
    score: Annotated[float, Field(ge=-1.001, le=1.001)]
    item: ItemAnswer


class SearchAnswer(Answer):
    """Items, best first."""

    object: Literal["list"]
    data: list[FoundAnswer]
    model: str
    usage: EmbeddingsUsage
