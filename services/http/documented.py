"""What `openapi.json` says of requests that we read ourselves, and of answers that are not plain JSON."""

from typing import Any

from pydantic import BaseModel

from services.http.forms.completion import ErrorAnswer

JSON = "application/json"
REFUSED: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorAnswer, "description": "A field is missing, wrong, or not served."},
    401: {"model": ErrorAnswer, "description": "There is no API key in the request, or none that holds."},
    403: {
        "model": ErrorAnswer,
        "description": "The key is not for this, or there are no keys and you ask from elsewhere.",
    },
    404: {"model": ErrorAnswer, "description": "Another model than the one that is served."},
    413: {"model": ErrorAnswer, "description": "The body is over the limit."},
    429: {"model": ErrorAnswer, "description": "The key's budget is spent; see Retry-After."},
    500: {"model": ErrorAnswer, "description": "Our fault."},
    503: {"model": ErrorAnswer, "description": "Too many chats wait, or a part starts again; see Retry-After."},
    504: {"model": ErrorAnswer, "description": "The reply was not complete in time."},
}


def body_of(form: type[BaseModel]) -> dict[str, Any]:
    """`openapi_extra` of a route whose JSON body has this form."""
    return {"requestBody": {"required": True, "content": {JSON: {"schema": schema_of(form)}}}}


def schema_of(form: type[BaseModel]) -> dict[str, Any]:
    """A form's schema that refers to nothing outside of itself: it may stand anywhere in a document."""
    schema = form.model_json_schema()
    named = schema.pop("$defs", {})

    def whole(value: Any) -> Any:
        if isinstance(value, list):
            return [whole(one) for one in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            found = whole(named[value["$ref"].rpartition("/")[2]])
            return {**found, **{name: whole(one) for name, one in value.items() if name != "$ref"}}
        # Its mapping names what is written out here; `oneOf` beside it says the same.
        return {name: whole(one) for name, one in value.items() if name != "discriminator"}

    return whole(schema)
