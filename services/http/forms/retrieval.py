"""Which items a search may find, as requests say it: by what the catalogue holds of them, by id and by score."""

from typing import Annotated, Any

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic.json_schema import SkipJsonSchema

from fromage_model.index import Condition
from services.http.forms.form import Form
from services.products import Narrowing

MOST_FILTERS = 16
MOST_VALUES = 256
MOST_EXCLUDED = 1024
MOST_CHARS = 256
"""Of a column's name, of a value and of an id."""

Text = Annotated[str, Field(max_length=MOST_CHARS)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Value = Text | bool | Number | None


class Range(Form):
    """Numbers between bounds, of which at least one is given: at least `gte`, above `gt`, at most `lte`, below `lt`."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"minProperties": 1})

    gte: Number | SkipJsonSchema[None] = None
    gt: Number | SkipJsonSchema[None] = None
    lte: Number | SkipJsonSchema[None] = None
    lt: Number | SkipJsonSchema[None] = None

    @model_validator(mode="after")
    def _bounded(self) -> "Range":
        if not self.given:
            raise ValueError('a range needs at least one of gte, gt, lte and lt, as in {"lte": 50}')
        return self

    @property
    def given(self) -> dict[str, float]:
        return self.model_dump(exclude_none=True)


class Negation(Form):
    """What a cell is not to hold: a value, or a list of them."""

    model_config = ConfigDict(extra="forbid")

    not_: Value | Annotated[list[Value], Field(min_length=1, max_length=MOST_VALUES)] = Field(alias="not")


def _kind(value: Any) -> str:
    if isinstance(value, Negation) or (isinstance(value, dict) and "not" in value):
        return "not"
    if isinstance(value, dict | Range):
        return "range"
    return "list" if isinstance(value, list) else "value"


Wanted = Annotated[
    Annotated[Value, Tag("value")]
    | Annotated[list[Value], Field(min_length=1, max_length=MOST_VALUES), Tag("list")]
    | Annotated[Range, Tag("range")]
    | Annotated[Negation, Tag("not")],
    Discriminator(_kind),
]


NarrowedBy = Annotated[dict[Text, Wanted], Field(max_length=MOST_FILTERS)]
"""Columns, and what they are to hold."""


class Narrowed(Form):
    """What every request that searches may say. A column is one of the catalogue's, as `brand` or `attributes.price`;
    it holds the value given, one of the list given, or a number in the range given, or none of what is given by `not`.
    `text_weight`: of an index for hybrid search, how much the words count beside what the model makes of them.
    """

    filters: NarrowedBy | None = None
    exclude_ids: list[Text] | None = Field(None, max_length=MOST_EXCLUDED)
    min_score: Annotated[float, Field(ge=-1, le=1)] | None = None
    text_weight: Annotated[float, Field(ge=0, le=1)] | None = None

    def narrowing(self, *, field: str) -> Narrowing:
        """The same for a search; `field` is the name that a refused filter has in messages."""
        return Narrowing(
            filters=conditions_of(self.filters),
            exclude=frozenset(self.exclude_ids or ()),
            min_score=self.min_score,
            field=field,
            text_weight=self.text_weight,
        )


def conditions_of(filters: NarrowedBy | None) -> dict[str, Condition]:
    """The same as the index takes it."""
    return {name: _condition(wanted) for name, wanted in (filters or {}).items()}


def _condition(wanted: Any) -> Condition:
    if isinstance(wanted, Negation):
        return {"not": wanted.not_}
    return wanted.given if isinstance(wanted, Range) else wanted
